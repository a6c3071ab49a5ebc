#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# What every case uses: two hosts, and ways to run things on them.
#
#        namespace h0                              namespace h1
#   +--------------------+                    +--------------------+
#   |  odp0              |                    |              odp1  |
#   |   |                |                    |                |   |
#   |  veth0 ------------------- the wire ------------------ veth1 |
#   |  10.0.0.1/24       |                    |       10.0.0.2/24  |
#   |  fd00::1/64        |                    |       fd00::2/64   |
#   +--------------------+                    +--------------------+
#
# RDMA devices are in the shared mode: each is seen from every namespace, and
# the namespace of its interface is the one that its packets use. IPv6
# addresses skip duplicate detection, so they are there at once.
#
# With DRIVER=rxe in the environment, the stock rdma_rxe takes the place of
# rdma_odp, to try a case out. On 6.1 it works in the first namespace only, so
# both hosts are one there: "on" is a plain command, and odp0 talks to itself.
#
# A host in stock has the stock rdma_rxe, as stock0 or stock1, and is the first
# namespace.

driver=${DRIVER:-odp}
stock=()
tmp=$(mktemp -d /tmp/case.XXXXXX)
pids=()
client_out=
# Who talks to whom (server, client), and the TCP port by which they meet.
hosts=(h0 h1)
port=18515

say() { printf -- '-- %s\n' "$*"; }
fail() { printf 'FAIL: %s\n' "$*"; exit 1; }
skip() { printf 'SKIP: %s\n' "$*"; exit 77; }

# --- The two hosts -----------------------------------------------------------

has_stock() { [[ " ${stock[*]} " == *" $1 "* ]]; }
# Is it the first namespace?
is_first() { [ "$driver" = rxe ] || [ -z "$1" ] || has_stock "$1"; }

# on HOST COMMAND...: a command, not a function, on that host; with an empty
# HOST in the first namespace.
on() {
	local host=$1
	shift

	if is_first "$host"; then
		"$@"
	else
		ip netns exec "$host" "$@"
	fi
}

# start OUTPUT HOST COMMAND...: the same in the background, as one process, so
# that it can be killed. Sets started.
start() {
	local output=$1 host=$2 command=()
	shift 2

	is_first "$host" || command=(ip netns exec "$host")
	command+=("$@")
	"${command[@]}" >"$output" 2>&1 &
	started=$!
	pids+=("$started")
}

# number HOST: 0 or 1.
number() { if [ "$driver" = rxe ]; then echo 0; else echo "${1#h}"; fi; }
device_of() { if has_stock "$1"; then echo "stock${1#h}"; else echo "odp$(number "$1")"; fi; }
driver_of() { if has_stock "$1"; then echo rxe; else echo "$driver"; fi; }
netdev_of() { echo "veth$(number "$1")"; }
ipv4_of() { echo "10.0.0.$(($(number "$1") + 1))"; }
ipv6_of() { echo "fd00::$(($(number "$1") + 1))"; }

load_module() {
	local module=/odp/run/module/rdma_odp.ko dependency

	[ ${#stock[@]} = 0 ] || modprobe rdma_rxe
	if [ "$driver" = rxe ]; then modprobe rdma_rxe; return; fi
	[ ! -d /sys/module/rdma_odp ] || return 0
	[ -e $module ] || fail "there is no rdma_odp.ko: the tree has not built one"
	for dependency in $(modinfo -F depends $module | tr , ' '); do
		modprobe "$dependency"
	done
	insmod $module
}

# Both hosts, both devices, from nothing.
topology() {
	topology_down
	hosts_up
	load_module
	add_device h0
	[ "$driver" = rxe ] || { add_device h1; acquaint h0 h1; }
}

# VLAN 5 on top of the interface of a device has addresses, and so the device has.
vlan_up() {
	local netdev address

	netdev=$(netdev_of "$1").5
	on "$1" ip link add link "$(netdev_of "$1")" name "$netdev" type vlan id 5
	on "$1" ip addr add "$(vlan_ipv4_of "$1")/24" dev "$netdev"
	on "$1" ip addr add "$(vlan_ipv6_of "$1")/64" dev "$netdev" nodad
	on "$1" ip link set "$netdev" up
	for address in "$(vlan_ipv4_of "$1")" "$(vlan_ipv6_of "$1")"; do
		wait_for 10 "$1 has a GID for $address" gid_index "$(device_of "$1")" "$address"
	done
}

vlan_ipv4_of() { echo "10.0.5.$(($(number "$1") + 1))"; }
vlan_ipv6_of() { echo "fd05::$(($(number "$1") + 1))"; }

# The RDMA core gives a neighbour a second to answer, which may be too little for
# a guest with all hands full. Who is known stays known.
acquaint() {
	wait_for 20 "$2 answers $1" on "$1" ping -q -c 1 -W 5 "$(ipv4_of "$2")"
	wait_for 20 "$2 answers $1 by IPv6" on "$1" ping -q -c 1 -W 5 "$(ipv6_of "$2")"
	remember_neighbours "$1"
	remember_neighbours "$2"
}

remember_neighbours() {
	local address dev mac

	while read -r address _ dev _ mac _; do
		on "$1" ip neigh replace "$address" lladdr "$mac" dev "$dev" nud permanent
	done < <(on "$1" ip neigh show | grep -w lladdr)
}

hosts_up() {
	local host

	ip link add veth0 type veth peer name veth1
	if [ "$driver" = rxe ]; then
		ip link set veth1 up
		host_up h0
		return
	fi
	for host in h0 h1; do
		is_first "$host" || {
			ip netns add "$host"
			ip link set "$(netdev_of "$host")" netns "$host"
		}
		host_up "$host"
	done
}

host_up() {
	local host=$1 netdev

	netdev=$(netdev_of "$host")
	# Of one of two hosts the link-local GID looks a bit like that of an IPv4 address.
	on "$host" ip link set "$netdev" address "$(printf 02:00:%02x:00:00:%02x \
		$((0xff * ($(number "$host") % 2))) "$(number "$host")")"
	on "$host" ip link set lo up
	on "$host" ip addr add "$(ipv4_of "$host")/24" dev "$netdev"
	on "$host" ip addr add "$(ipv6_of "$host")/64" dev "$netdev" nodad
	on "$host" ip link set "$netdev" up
}

# in_order: what is sent on several CPUs comes as it was sent. Else each CPU has a queue
# of its own for it, and a sender that goes from one to another overtakes itself, which
# to unreliable connections is a loss.
in_order() {
	local host netdev

	for host in h0 h1; do
		for netdev in lo "$(netdev_of $host)"; do
			on $host tee "/sys/class/net/$netdev/queues/rx-0/rps_cpus" <<<1 >/dev/null
		done
	done
}

add_device() {
	local host=$1 device

	device=$(device_of "$host")
	on "$host" rdma link add "$device" type "$(driver_of "$host")" \
		netdev "$(netdev_of "$host")"
	wait_for 10 "$device is active" port_state "$device" ACTIVE
	wait_for 10 "$device has its IPv4 GID" gid_index "$device" "$(ipv4_of "$host")"
	wait_for 10 "$device has its IPv6 GID" gid_index "$device" "$(ipv6_of "$host")"
}

# Takes down whatever a case has left. Deleting a namespace ends its veth pair
# some time later, so wait for the names to be free again.
topology_down() {
	local name

	for name in /sys/class/infiniband/*; do
		[ ! -e "$name" ] || rdma link delete "${name##*/}" || true
	done
	for name in $(ip netns list | awk '{ print $1 }'); do
		ip netns pids "$name" | xargs -r kill -9
		delete_devices_of "$name"
		ip netns del "$name"
	done
	ip link del veth0 2>/dev/null || true
	wait_for 30 "the devices are gone" no_devices
	# It has UDP port 4791 of the first namespace.
	[ "$driver" = rxe ] || [ ! -d /sys/module/rdma_rxe ] || rmmod rdma_rxe
	# As long as there are other namespaces that cannot change.
	wait_for 30 "devices are for all namespaces" rdma system set netns shared
}

# Those that only the namespace sees.
delete_devices_of() {
	local device

	for device in $(ip netns exec "$1" rdma dev show | awk '{ print $2 }'); do
		ip netns exec "$1" rdma link delete "${device%:}" || true
	done
}

no_devices() { [ -z "$(ls /sys/class/infiniband)" ]; }

# --- Waiting -----------------------------------------------------------------

# A pause in a loop that looks at a condition; without a process of its own.
pause() { read -r -t 0.05 <> <(:) || true; }

# wait_for SECONDS WHAT COMMAND...: until COMMAND succeeds; longer in a slow guest,
# and beside everything else (UNDER_LOAD=1).
wait_for() {
	local end=$((SECONDS + $1 * ${ODP_SLOW:-1} * (1 + 5 * ${UNDER_LOAD:-0}))) what=$2
	shift 2

	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || fail "waited in vain until $what"
		pause
	done
}

# --- Looking at devices ------------------------------------------------------

port_attr() { echo "$(</sys/class/infiniband/"$1"/ports/1/"$2")"; }
active_mtu_is() { ibv_devinfo -d "$1" | grep -q "active_mtu:[[:space:]]*$2 "; }
port_state() { [[ $(port_attr "$1" state) == *": $2" ]]; }

# The address as a GID, in sysfs's notation. Of IPv6, x::y is enough here.
address_to_gid() {
	local a b c d

	case $1 in
	*::*)
		printf '%04x:0000:0000:0000:0000:0000:0000:%04x\n' "0x${1%%::*}" "0x${1##*::}"
		;;
	*)
		IFS=. read -r a b c d <<<"$1"
		printf '0000:0000:0000:0000:0000:ffff:%02x%02x:%02x%02x\n' "$a" "$b" "$c" "$d"
		;;
	esac
}

# gid_index DEVICE ADDRESS: the index of the RoCEv2 GID of ADDRESS; fails if
# there is none.
gid_index() {
	local port=/sys/class/infiniband/$1/ports/1 wanted index=0 gid type

	wanted=$(address_to_gid "$2")
	while read -r gid <"$port/gids/$index"; do
		if [ "$gid" = "$wanted" ] && read -r type <"$port/gid_attrs/types/$index" &&
			[ "$type" = "RoCE v2" ]; then
			echo "$index"
			return
		fi
		index=$((index + 1))
	done 2>/dev/null
	return 1
}

# --- Servers and clients -----------------------------------------------------

# start_server HOST PORT COMMAND...: in the background, until it listens on the
# TCP port. Sets server (pid) and server_out.
start_server() {
	local host=$1 port=$2
	shift 2

	server_out=$tmp/server.$port.out
	start "$server_out" "$host" "$@"
	server=$started
	wait_for 20 "'$*' listens on $host" listening_or_dead "$host" "$port" "$server"
	kill -0 "$server" 2>/dev/null || { cat "$server_out"; fail "the server '$*' ended at once"; }
}

listening_or_dead() {
	! kill -0 "$3" 2>/dev/null || [ -n "$(on "$1" ss -Htln "sport = :$2")" ]
}

# start_cm_server HOST COMMAND...: the same, until it listens by rdma_cm.
start_cm_server() {
	local host=$1
	shift

	server_out=$tmp/server.out
	start "$server_out" "$host" "$@"
	server=$started
	wait_for 20 "'$*' listens on $host" cm_listening_or_dead "$server"
}

cm_listening_or_dead() {
	! kill -0 "$1" 2>/dev/null ||
		rdma resource show cm_id | grep 'state LISTEN' | grep -q "pid $1 "
}

# end_server: waits for the last server started, which must succeed.
end_server() {
	local status=0

	wait "$server" || status=$?
	[ $status = 0 ] || { cat "$server_out"; fail "the server ended with status $status"; }
}

# arguments HOST TOOL: the device and GID options of perftest and the pingpongs.
# IPv6 GIDs with family=6; the programs meet by TCP over IPv4 all the same.
arguments() {
	local host=$1 gid=-x address

	[[ $2 != ibv_* ]] || gid=-g
	address=$("ipv${family:-4}_of" "$host")
	echo "-d $(device_of "$host") $gid $(gid_index "$(device_of "$host")" "$address")"
}

# pair TOOL ARGUMENT...: a verbs program of the distribution's, server on one of
# the hosts and client on the other; both must succeed. Sets client_out.
pair() {
	local tool=$1 server_args client_args
	shift

	read -ra server_args <<<"$(arguments "${hosts[0]}" "$tool")"
	read -ra client_args <<<"$(arguments "${hosts[1]}" "$tool")"
	start_server "${hosts[0]}" "$port" "$tool" "${server_args[@]}" -p "$port" "$@"
	client "${hosts[1]}" "$tool" "${client_args[@]}" -p "$port" "$@" "$(ipv4_of "${hosts[0]}")"
}

# odp_perf_pair SUBCOMMAND ARGUMENT...: the same for odp_perf.
odp_perf_pair() {
	local subcommand=$1
	shift

	start_server "${hosts[0]}" "$port" odp_perf "$subcommand" -d "$(device_of "${hosts[0]}")" \
		-p "$port"
	client "${hosts[1]}" odp_perf "$subcommand" -d "$(device_of "${hosts[1]}")" -p "$port" "$@" \
		"$(ipv4_of "${hosts[0]}")"
}

# client HOST COMMAND...: the other end of the server started last.
client() {
	run_client "$@"
	client_ended "$@"
}

# Sets client_out and client_status.
run_client() {
	client_status=0
	client_out=$tmp/client.out
	on "$@" >"$client_out" 2>&1 || client_status=$?
}

client_ended() {
	if [ "$client_status" != 0 ]; then
		cat "$client_out"
		echo "--- the server:"
		cat "$server_out"
		show_counters
		fail "the client '$*' ended with status $client_status"
	fi
	end_server
}

# cm_client HOST COMMAND...: the same for perftest -R. Its client may ask for the second
# connection before the server listens for it: that is refused, and the client, which
# would ask again, crashes. Return: false if it did; the server is gone, too.
cm_client() {
	# Then the kernel's log does not say so.
	echo 0 >/proc/sys/debug/exception-trace
	run_client "$@"
	echo 1 >/proc/sys/debug/exception-trace
	if [ "$client_status" = 139 ] && grep -q 'RDMA_CM_EVENT_REJECTED; error: 8' "$client_out"; then
		say "'$*' was too early"
		kill -9 "$server"
		wait "$server" || return 1
	fi
	client_ended "$@"
}

# --- A bad network ------------------------------------------------------------------

# lose_packets HOST: 2 % of what it sends. netem holds packets back for a while,
# except a few that overtake. (No jitter: it would put almost every packet out of order.)
lose_packets() {
	on "$1" tc qdisc add dev "$(netdev_of "$1")" root netem \
		loss 2% delay 500us reorder 2% limit 20000
}

# --- Huge pages -----------------------------------------------------------------

# huge_pages N MIN: N pages of 2 MiB; MIN will do.
huge_pages() {
	echo "$1" >/proc/sys/vm/nr_hugepages
	[ "$(</proc/sys/vm/nr_hugepages)" -ge "$2" ] || skip "there is no room for $2 huge pages"
}

# --- Swap in memory, which is taken before all other swap -----------------------

zram_on() {
	modprobe zram num_devices=1 || skip "this kernel has no zram"
	echo 256M >/sys/block/zram0/disksize
	mkswap -q /dev/zram0
	swapon -p 100 /dev/zram0
}

zram_off() {
	! grep -q ^/dev/zram0 /proc/swaps || swapoff /dev/zram0
	[ ! -b /dev/zram0 ] || echo 1 >/sys/block/zram0/reset
}

# --- Files -------------------------------------------------------------------------

# make_files DIR: a large one and many small ones, of any sizes.
make_files() {
	local i

	mkdir "$1"
	head -c 16M /dev/urandom >"$1/large"
	for i in {1..100}; do
		head -c $((RANDOM * 3)) "$1/large" | tail -c "$RANDOM" >"$1/$i"
	done
}

# What is read after this comes from where it is stored.
forget_files() {
	sync
	echo 3 >/proc/sys/vm/drop_caches
}

same_files() { diff -rq "$1" "$2" || fail "$1 and $2 differ"; }

# --- Memory cgroups -----------------------------------------------------------

# memory_cgroup NAME: a new one; prints its path. (On a host, /sys shows less:
# a mount of its own shows all.)
memory_cgroup() {
	local root=/run/cgroup

	mkdir -p $root
	mountpoint -q $root || mount -t cgroup2 cgroup2 $root
	echo +memory >$root/cgroup.subtree_control
	[ ! -d "$root/$1" ] || rmdir "$root/$1"
	mkdir "$root/$1"
	echo "$root/$1"
}

# What the devices have counted, all but zeros: a line each.
show_counters() {
	local device counter value line

	for device in /sys/class/infiniband/*; do
		line=
		for counter in "$device"/ports/1/hw_counters/*; do
			# The device may go meanwhile.
			read -r value 2>/dev/null <"$counter" || continue
			[ "$value" = 0 ] || line+=" ${counter##*/} $value"
		done
		echo "--- ${device##*/}:$line"
	done
}

# --- Counts that must come back to where they were ---------------------------

# What there is of the driver and of RDMA objects, a line each. (The guest
# boots with slab_nomerge, so every cache of the driver's has its own line.)
object_counts() {
	awk '/odp/ { print "slab cache", $1, $2 }' /proc/slabinfo
	rdma resource show
	rdma link show
	grep -o '^[a-z0-9_]*odp[a-z0-9_]*' /proc/modules || true
}

# --- Allocations that fail (a debug kernel's) ----------------------------------

failures=/sys/kernel/debug

# Makes allocations of any kind eligible to fail, without a word in the log.
failures_possible() {
	[ -d $failures/failslab ] || skip "this kernel cannot let allocations fail (./test.sh --debug-kernel has one)"
	set_failures verbose 0
	set_failures ignore-gfp-wait N
	echo N >$failures/fail_page_alloc/ignore-gfp-highmem
	echo 0 >$failures/fail_page_alloc/min-order
}

set_failures() {
	local kind

	for kind in failslab fail_page_alloc; do
		echo "$2" >$failures/$kind/"$1"
	done
}

# failures_in_module N: one in 100 N of the allocations that rdma_odp asks for,
# itself or by what it calls, until no_failures.
failures_in_module() {
	local size start

	read -r _ size _ _ _ start _ < <(grep '^rdma_odp ' /proc/modules)
	set_failures require-start "$start"
	set_failures require-end "$(printf '0x%x' $((start + size)))"
	set_failures times 1000000
	set_failures interval "$1"
	set_failures probability 1
}

no_failures() { [ ! -d $failures/failslab ] || set_failures probability 0; }

# How many there were since failures_in_module.
failures_seen() {
	echo $((2000000 - $(<$failures/failslab/times) - $(<$failures/fail_page_alloc/times)))
}

# --- Leaks -----------------------------------------------------------------------

# What kmemleak finds, on a kernel that has it. It leaves alone what is younger
# than 5 s, and believes a second scan only.
no_leaks() {
	local leaks=/sys/kernel/debug/kmemleak scan

	[ -e $leaks ] || return 0
	sleep 6
	for scan in 1 2; do
		echo scan >$leaks || fail "kmemleak has switched itself off (scan $scan)"
	done
	cat $leaks >"$tmp/leaks"
	[ ! -s "$tmp/leaks" ] || { cat "$tmp/leaks"; fail "memory that nothing points to is left"; }
}

kill_started() {
	[ ${#pids[@]} = 0 ] || kill -9 "${pids[@]}" 2>/dev/null || true
	pids=()
}

cleanup() {
	local status=$?

	trap - EXIT
	kill_started
	wait
	rm -rf "$tmp"
	exit $status
}
trap cleanup EXIT
