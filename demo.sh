#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
set -euo pipefail

usage() {
	cat <<-'END'
	usage: ./demo.sh

	Sets up what it needs (Debian 12, root or sudo), builds the tree, boots Debian's
	stock kernel in QEMU with two hosts in it, and shows in one table what RDMA with
	on-demand memory does there: bandwidth, pinned memory, time to register, and a
	memory region of twice the guest's memory.

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

# Enough to pin 1 GiB, and no more: twice as much goes through swap.
memory=${ODP_MEMORY:-1280}

setup_guest
setup_build
dir=$(mktemp -d "$cache/run.XXXXXX")
trap stop_guest EXIT
boot_guest "$dir"
status=0
run_job 900 <<<"exec /odp/run/guest/demo" || status=$?
stop_guest
if [ $status != 0 ]; then
	echo "the demo failed (status $status); the guest's console, $run/console.log, ends:" >&2
	tail -n 40 "$run/console.log" >&2
	exit 1
fi
rm -rf "$run"
