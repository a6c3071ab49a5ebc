#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
set -euo pipefail

usage() {
	cat <<-'END'
	usage: ./demo.sh

	Sets up what it needs (Debian 12, root or sudo), builds the tree, boots Debian's
	stock kernel in QEMU with two hosts in it, and shows in one table what RDMA with
	on-demand memory does there: bandwidth, pinned memory, time to register, and a
	memory region of twice the guest's memory. It takes some five minutes.

	Environment: as for ./test.sh.
	END
}

case ${1:-} in
'') ;;
-h | --help) usage; exit ;;
*) usage >&2; exit 2 ;;
esac

cd "$(dirname "$0")"
# shellcheck source=tests/vm/setup.sh
. tests/vm/setup.sh
# shellcheck source=tests/vm/guest.sh
. tests/vm/guest.sh

# part NAME MEMORY: runs that part of tests/vm/guest/demo in a guest of its own.
part() {
	local name=$1 status=0

	memory=$2
	boot_guest "$dir/$name"
	[ ! -e "$dir/figures" ] || cp "$dir/figures" "$run/"
	run_job 1500 <<<"exec /odp/run/guest/demo $name" || status=$?
	stop_guest
	if [ $status != 0 ]; then
		echo "the demo failed (status $status); the guest's console, $run/console.log, ends:" >&2
		tail -n 40 "$run/console.log" >&2
		exit 1
	fi
	[ ! -e "$run/figures" ] || cp "$run/figures" "$dir/"
}

setup_guest
setup_build
take_lock
export ODP_GUEST_LOCKED=1
dir=$(mktemp -d "$cache/run.XXXXXX")
run=$dir
trap stop_guest EXIT
# Memory enough to pin 1 GiB; then so little that twice of it passes through
# swap in a few minutes.
part large "${ODP_MEMORY:-2048}"
part small "${ODP_SMALL_MEMORY:-768}"
rm -rf "$dir"
