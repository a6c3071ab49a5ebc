#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# The life of a guest, seen from the host: start, jobs, stop. To be sourced
# after setup.sh, once setup_guest and setup_build have run.
# shellcheck disable=SC2154 # the variables of setup.sh
#
# A guest lives in a directory of its own, $run:
#
#   guest/ cases/   copies of the scripts here, taken when it boots
#   module/         rdma_odp.ko
#   jobs/N.sh .out  what the host asked for, and what it printed
#   ctl.in ctl.out  the guest's second serial port (see guest/init)
#   answers         all that came out of it
#   monitor.in      QEMU's monitor
#   console.log     the first serial port
#   pid             QEMU's process
#
# A panic ends QEMU (-no-reboot), so "the guest is gone" is a result as good
# as any. One guest at a time runs on a machine: QEMU itself inherits the lock
# and gives it back by ending, however it ends.

memory=${ODP_MEMORY:-6144}
swap_size=${ODP_SWAP:-6G}
cpus=${ODP_CPUS:-2}
silence=${ODP_SILENCE:-60}
# All limits of time are that many times as long.
slow=${ODP_SLOW:-1}
# How long the case everything goes on, if that is asked for.
everything_cmdline=${ODP_EVERYTHING:+odp.everything=$ODP_EVERYTHING}
# Each slab cache for itself, so that a leak has a name. Two NUMA nodes, to move
# pages between, and memfd_secret, for the cases about kinds of memory.
debug_cmdline="slab_nomerge numa=fake=2 numa_balancing=disable secretmem.enable=1"
lock=${ODP_LOCK:-/tmp/rdma-odp-guest.$(id -u).lock}

# KVM where it is able to boot this very kernel, else emulation. /dev/kvm may
# be there and be of no use, so a short boot decides, once per host boot.
choose_accel() {
	local memo key

	memo=$cache/accel-$kernel
	key="$(cat /proc/sys/kernel/random/boot_id) $kernel"
	if [ -n "${ODP_ACCEL:-}" ]; then
		accel=$ODP_ACCEL
	elif [ "$(head -n 1 "$memo" 2>/dev/null)" = "$key" ]; then
		accel=$(tail -n 1 "$memo")
	else
		accel=tcg
		! probe_kvm || accel=kvm
		printf '%s\n%s\n' "$key" "$accel" >"$memo"
	fi
	case $accel in
	kvm)
		accel_args=(-accel kvm -cpu host)
		accel_cmdline=
		;;
	# Emulation does "rep movsb" byte by byte: without ERMS the guest copies by words.
	# Nor may each process have its code at other addresses: QEMU 7.2 translates it for
	# each of them, keeps all that it has of a page in one list, and walks that for
	# each that goes. An emulated CPU that cleared a page which had been a library's
	# stood still for half a minute, in one instruction.
	tcg)
		accel_args=(-accel "tcg,thread=multi" -cpu "max,-erms,-fsrm")
		accel_cmdline=norandmaps
		;;
	*) die "ODP_ACCEL is kvm or tcg, not $accel" ;;
	esac
}

probe_kvm() {
	[ -w /dev/kvm ] || return 1
	say "trying whether KVM can boot this kernel"
	timeout -k 1 15 qemu-system-x86_64 -accel kvm -cpu host -m 256 -nodefaults \
		-display none -no-reboot -serial stdio \
		-kernel "$kernel_dir/boot/vmlinuz-$kernel" -initrd "$initramfs" \
		-append "console=ttyS0 panic=-1 quiet odp.probe" \
		</dev/null 2>/dev/null | grep -q odp-probe-ok
}

# A caller that boots several in a row keeps the lock between them.
take_lock() {
	[ -z "${ODP_GUEST_LOCKED:-}" ] || return 0
	exec 9>>"$lock"
	flock -n 9 && return
	say "waiting for another guest to end (only one at a time runs; lock $lock)"
	flock 9
}

# What the guest sees of the tree, taken now: later edits do not disturb it.
fill_run() {
	local module

	rm -rf "$run"
	mkdir -p "$run/jobs" "$run/module"
	cp -a "$top/tests/vm/guest" "$top/tests/vm/cases" "$top/tests/README.md" "$run/"
	for module in "$build"/kernel/rdma_odp.ko "$build"/tests/vm/{breaker/breaker,exporter/exporter,kuser/kuser}.ko; do
		[ ! -e "$module" ] || cp "$module" "$run/module/"
	done
	mkfifo "$run"/{ctl,monitor}.{in,out}
	truncate -s "$swap_size" "$run/swap.img"
}

# qemu SERIAL EXTRA_CMDLINE: becomes QEMU.
qemu() {
	local share=local,security_model=none

	exec qemu-system-x86_64 "${accel_args[@]}" -smp "$cpus" -m "$memory" \
		-nodefaults -no-user-config -display none -no-reboot \
		-kernel "$kernel_dir/boot/vmlinuz-$kernel" -initrd "$initramfs" \
		-append "console=ttyS0 loglevel=5 panic=-1 oops=panic panic_on_warn=1 net.ifnames=0 $2 $accel_cmdline $lane_cmdline $everything_cmdline ${ODP_CMDLINE-$debug_cmdline}" \
		-drive "file=$root_image,if=virtio,format=raw,readonly=on" \
		-drive "file=$run/swap.img,if=virtio,format=raw,cache=unsafe,discard=unmap" \
		-device virtio-rng-pci \
		-netdev hubport,id=port,hubid=0 -device virtio-net-pci,netdev=port,romfile= \
		-virtfs "$share,path=$run,mount_tag=run" \
		-virtfs "$share,path=$build/stage,mount_tag=stage,readonly=on" \
		-virtfs "$share,path=$kernel_dir/lib/modules,mount_tag=modules,readonly=on" \
		-serial "$1" -chardev "pipe,id=ctl,path=$run/ctl" -serial chardev:ctl \
		-chardev "pipe,id=monitor,path=$run/monitor" -mon chardev=monitor
}

# boot_guest DIR: starts a guest in DIR and waits until it takes jobs.
boot_guest() {
	local started=$SECONDS

	run=$1
	choose_accel
	take_lock
	fill_run
	# A session of its own: an interrupt at the terminal is for us to handle.
	(qemu "file:$run/console.log" "" <"/dev/null" >"$run/qemu.log" 2>&1) &
	echo $! >"$run/pid"
	exec 9>&-
	# To a file: of a line that comes in parts, a read with a time limit loses some.
	cat "$run/ctl.out" >"$run/answers" 2>/dev/null &
	echo $! >"$run/listener"
	say "booting the guest ($kernel, $accel, $cpus CPUs, $memory MiB)"
	if ! silence=$((120 * slow)) wait_answer ready $((120 * slow)); then
		tail -n 30 "$run/console.log" "$run/qemu.log" >&2
		stop_guest
		return 1
	fi
	say "the guest is up after $((SECONDS - started)) s"
}

# A zombie is dead, too: in a container nobody may collect it.
guest_alive() {
	local pid stat

	[ -s "$run/pid" ] || return 1
	read -r pid <"$run/pid"
	read -r stat 2>/dev/null <"/proc/$pid/stat" || return 1
	[[ ${stat##*) } != Z* ]]
}

# wait_answer JOB SECONDS: waits for "JOB STATUS", sets answer to STATUS. 1: the
# guest ended, did not answer in time, or gave no sign of life (a line of any
# kind) for $silence seconds.
wait_answer() {
	local job=$1 end=$((SECONDS + $2)) heard=$SECONDS known='' all

	while guest_alive && [ $SECONDS -lt $end ] && [ $((SECONDS - heard)) -le "$silence" ]; do
		all=$(echo; cat "$run/answers"; echo .)
		if [[ $all =~ $'\n'$job' '([0-9]+)$'\n' ]]; then
			answer=${BASH_REMATCH[1]}
			return 0
		fi
		[ "$all" = "$known" ] || { known=$all; heard=$SECONDS; }
		read -r -t 0.2 <> <(:) || true
	done
	return 1
}

# run_job LIMIT: runs the script on standard input in the guest, shows what it
# prints. Returns its status; 124 or 137 after LIMIT seconds; 200 when the
# guest died; 201 when it hung.
run_job() {
	local limit=$1 job out shown ctl

	job=$(($(find "$run/jobs" -name '*.sh' | wc -l) + 1))
	out=$run/jobs/$job.out
	cat >"$run/jobs/$job.sh"
	: >"$out"
	tail -n +1 -f "$out" & shown=$!
	exec {ctl}<>"$run/ctl.in"
	echo "$job $limit" >&"$ctl"
	exec {ctl}>&-
	if ! wait_answer "$job" $((limit + 20)); then
		answer=200
		! guest_alive || { answer=201; crash_guest; }
	fi
	# The output is complete; let tail show the rest of it.
	finish_showing "$out" "$shown"
	return "$answer"
}

# tail -f gives no sign that it has shown everything: compare its place in the
# file with the file's size.
finish_showing() {
	local size fd

	size=$(stat -c %s "$1")
	for fd in /proc/"$2"/fd/*; do
		[ "$(readlink "$fd")" = "$1" ] || continue
		while [ "$(awk '/^pos:/ { print $2 }' "/proc/$2/fdinfo/${fd##*/}")" -lt "$size" ]; do
			read -r -t 0.05 <> <(:) || true
		done
	done
	kill "$2" 2>/dev/null || true
	wait "$2" 2>/dev/null || true
}

# A guest that hangs shall at least say where: an NMI makes it panic, with the
# stacks of all CPUs (kernel.unknown_nmi_panic).
crash_guest() {
	monitor nmi
	wait_gone 10 || stop_guest
}

monitor() {
	local to

	exec {to}<>"$run/monitor.in"
	echo "$*" >&"$to"
	exec {to}>&-
}

wait_gone() {
	local end=$((SECONDS + $1))

	while guest_alive; do
		[ $SECONDS -lt "$end" ] || return 1
		read -r -t 0.1 <> <(:) || true
	done
}

stop_guest() {
	if guest_alive; then
		kill "$(cat "$run/pid")" 2>/dev/null || true
		wait_gone 5 || kill -9 "$(cat "$run/pid")" 2>/dev/null || true
	fi
	# It ends with the guest, unless that never came up.
	[ ! -e "$run/listener" ] || kill "$(cat "$run/listener")" 2>/dev/null || true
	rm -f "$run/listener"
}

# A prompt on the guest's console.
shell_guest() {
	run=$1
	choose_accel
	take_lock
	fill_run
	say "booting the guest ($kernel, $accel); 'exit' or Ctrl-A X ends it"
	(qemu mon:stdio odp.shell)
}
