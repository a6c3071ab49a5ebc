#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# The kernels of "./test.sh --debug-kernel": small, with fault injection, built
# from Debian's package of the source by debug-kernel.config. setup.sh takes this
# in when ODP_DEBUG_KERNEL is set, and that says which:
#
#   kasan   KASAN, lockdep, kmemleak, DEBUG_OBJECTS and more. Of the kernel's own
#           code KASAN checks what is handed the module's memory (see
#           instrument_callees); all of it would be twice as slow.
#   kcsan   KCSAN, which cannot be had with KASAN: what debug-kernel-kcsan.config
#           changes. Only the module is instrumented, not the kernel, so that one
#           side at least of every race that is reported is the module's. (What
#           the kernel's own code writes meanwhile shows as a value that has
#           changed: a race of unknown origin.)
# shellcheck disable=SC2154,SC2034 # the variables of setup.sh, and variables for it
#
# The cache keeps, for one version of source and configuration, the image, its
# modules and what an external module's build wants: 70 MiB. The tree that it
# was built in takes 2 GiB meanwhile.

debug_kernel_packages=(bc bison flex libelf-dev linux-source-6.1 xz-utils)

# KASAN in an emulated CPU: everything takes that many times as long.
: "${ODP_SLOW:=5}" "${ODP_MEMORY:=3072}" "${ODP_SILENCE:=180}"
export ODP_SLOW ODP_MEMORY ODP_SILENCE

# With ACPI's interrupt links, each takes 25 s of the boot under emulation; and a busy
# host makes the kernel think that its timer does not work.
lane_cmdline="acpi=noirq no_timer_check odp.slow=$ODP_SLOW"

setup_debug_kernel() {
	local key

	key=$({
		dpkg-query -W linux-source-6.1
		debug_kernel_options
		declare -f unpack_source mend_source configure_kernel build_kernel instrument_callees keep_kernel \
			external_build_files
	} | sha256sum | cut -c 1-12)
	kernel_dir=$cache/debug-kernel-$ODP_DEBUG_KERNEL/$key
	[ -e "$kernel_dir/release" ] || make_debug_kernel
	kernel=$(cat "$kernel_dir/release")
	kernel_headers=$kernel_dir/build
	# Line numbers for traces, and checks of undefined behaviour: kbuild takes
	# both from the environment. For modules only, so not before the kernel is built.
	export KCFLAGS=-g
	# Its check of a bool is a plain read for KCSAN, also where it is of a READ_ONCE().
	[ "$ODP_DEBUG_KERNEL" = kcsan ] || export UBSAN_SANITIZE=y
}

# The options of this kernel; what the second file says of one is what counts.
debug_kernel_options() {
	local files=("$top/tests/vm/debug-kernel.config")

	[ "$ODP_DEBUG_KERNEL" = kasan ] || files+=("$top/tests/vm/debug-kernel-$ODP_DEBUG_KERNEL.config")
	awk '/^(# )?CONFIG_/ { split($0, word, /[ =]/); name = word[1] == "#" ? word[2] : word[1]; option[name] = $0 }
		END { for (name in option) print option[name] }' "${files[@]}" | sort
}

make_debug_kernel() {
	local part=$kernel_dir.part log=$cache/debug-kernel-$ODP_DEBUG_KERNEL.log
	local tree=$part/tree

	say "building the debug kernel, $ODP_DEBUG_KERNEL (once; about 10 minutes on two CPUs; output in $log)"
	rm -rf "${kernel_dir%/*}"
	mkdir -p "$tree"
	{
		unpack_source "$tree" && mend_source "$tree" && configure_kernel "$tree" &&
			build_kernel "$tree" && keep_kernel "$tree" "$part"
	} >"$log" 2>&1 || {
		tail -n 30 "$log" >&2
		die "the debug kernel's build failed (all of its output: $log)"
	}
	rm -rf "$tree"
	mv "$part" "$kernel_dir"
}

# Configuring wants every Kconfig, building few of the drivers.
unpack_source() {
	local area exclude=(--exclude='linux-source-6.1/Documentation/*/*')

	for area in drivers/{gpu/drm/{amd,i915,nouveau,radeon},media,net/{ethernet,wireless},scsi,staging} \
		sound tools/testing \
		arch/{alpha,arc,arm,arm64,csky,hexagon,ia64,loongarch,m68k,microblaze,mips,nios2} \
		arch/{openrisc,parisc,powerpc,riscv,s390,sh,sparc,xtensa}; do
		exclude+=(--exclude="linux-source-6.1/$area/*."{[chS],dts,dtsi})
	done
	tar -xf /usr/src/linux-source-6.1.tar.xz -C "$1" --strip-components=1 \
		--wildcards "${exclude[@]}"
}

# What this lane would report of the kernel itself.
mend_source() {
	# 6.1 rules out the filter by stack on x86-64, where stacks were no good
	# once; later kernels have it.
	sed -i '/^config FAULT_INJECTION_STACKTRACE_FILTER/,/^config ARCH/ { /depends on !X86_64/d }' \
		"$1/lib/Kconfig.debug" &&
		# In 6.1.192 a mapping of huge pages is split before the lock is
		# taken that hugetlb_split() asserts. Mainline does it behind.
		sed -i '/^int __vma_adjust(/,/^}/ {
			/^\tif (is_vm_hugetlb_page(orig_vma)) {$/,/^\t}$/d
			s/^\t\ti_mmap_lock_write(mapping);$/&\
				if (is_vm_hugetlb_page(orig_vma)) {\
					hugetlb_split(orig_vma, start);\
					hugetlb_split(orig_vma, end);\
				}/
		}' "$1/mm/mmap.c"
}

configure_kernel() {
	local fragment=$1/odp.config

	debug_kernel_options >"$fragment"
	make -C "$1" tinyconfig &&
		(cd "$1" && scripts/kconfig/merge_config.sh -m .config "$fragment") &&
		make -C "$1" olddefconfig &&
		configured "$1/.config" "$fragment"
}

# An option with an unmet dependency vanishes without a word.
configured() {
	local refused

	refused=$(grep -E '^(# )?CONFIG_' "$2" | while read -r option; do
		case $option in
		*' is not set')
			option=${option#\# }
			! grep -q "^${option%% *}=" "$1" || echo "${option}"
			;;
		*) grep -qxF -- "$option" "$1" || echo "$option" ;;
		esac
	done)
	[ -z "$refused" ] && return
	printf 'the configuration does not take:\n%s\n' "$refused"
	return 1
}

# Without instrumentation, but for what instrument_callees says: see above.
build_kernel() {
	instrument_callees "$1" &&
		KASAN_SANITIZE=n KCSAN_SANITIZE=n make -C "$1" -j"$(nproc)" bzImage modules
}

# Lists, trees, locks, timers, work, packets, pages, the RDMA core: what finds
# memory that the module has freed too early. Not what debugs all the time itself.
instrument_callees() {
	local dir

	for dir in mm lib kernel kernel/{locking,time} net/{core,ipv4,ipv6} drivers/infiniband/core; do
		echo 'KASAN_SANITIZE := y' >>"$1/$dir/Makefile"
	done
	echo 'KASAN_SANITIZE_kmemleak.o := n' >>"$1/mm/Makefile"
	echo 'KASAN_SANITIZE_debugobjects.o := n' >>"$1/lib/Makefile"
	echo 'KASAN_SANITIZE_lockdep.o := n' >>"$1/kernel/locking/Makefile"
}

# keep_kernel TREE TO: as a package would be, with the build directory of
# external modules in TO/build.
keep_kernel() {
	local tree=$1 to=$2 release

	release=$(make -s -C "$tree" kernelrelease) &&
		mkdir -p "$to"/{boot,build} &&
		make -C "$tree" modules_install INSTALL_MOD_PATH="$to" DEPMOD=true &&
		rm -f "$to/lib/modules/$release"/{build,source} &&
		depmod -b "$to" "$release" &&
		cp "$tree/arch/x86/boot/bzImage" "$to/boot/vmlinuz-$release" &&
		(cd "$tree" && external_build_files | tar -cf - -T -) | tar -xf - -C "$to/build" &&
		echo "$release" >"$to/release"
}

# The same list as in scripts/package/builddeb.
external_build_files() {
	{
		find . arch/x86 -maxdepth 1 -name 'Makefile*'
		find include scripts -type f -o -type l
		find arch/x86 \( -name Kbuild.platforms -o -name Platform \) -type f
		find arch/x86 -type f \( -path '*/include/*' -o -path '*/scripts/*' \)
		printf '%s\n' .config Module.symvers tools/objtool/objtool
	} | grep -v '\.o$' | sort -u
}
