#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
set -euo pipefail

usage() {
	cat <<-'END'
	usage: ./test.sh [NAME...]     run all tests, or those named
	       ./test.sh --debug-kernel [NAME...]
	                               the same on a kernel with KASAN, lockdep, kmemleak
	       ./test.sh --debug-kernel=kcsan [NAME...]
	                               and on one with KCSAN
	       ./test.sh --list        name them
	       ./test.sh --shell       a prompt in the guest, with everything installed
	       ./test.sh --help

	Sets up what it needs (Debian 12, root or sudo), builds the tree, boots Debian's
	stock kernel in QEMU and runs the tests there. The last line counts them. Files:
	build/vm/results has each test's output and, where one failed, the console.
	With --debug-kernel, which builds its kernel first (10 minutes, once), that is
	build/kasan/vm/results (build/kcsan/...), and all limits of time are ODP_SLOW (5)
	times as long.

	Environment: ODP_CACHE, ODP_BUILD (directories), ODP_MEMORY (MiB), ODP_SWAP,
	ODP_CPUS, ODP_ACCEL (kvm or tcg), ODP_CMDLINE (for the kernel), ODP_EVERYTHING
	(seconds that the test "everything" goes on; without, 20, and none on a debug
	kernel).
	END
}

cd "$(dirname "$0")"
case ${1:-} in
--debug-kernel) export ODP_DEBUG_KERNEL=kasan; shift ;;
--debug-kernel=*) export ODP_DEBUG_KERNEL=${1#*=}; shift ;;
esac
# shellcheck source=tests/vm/setup.sh
. tests/vm/setup.sh
# shellcheck source=tests/vm/guest.sh
. tests/vm/guest.sh

list() {
	local case

	for case in tests/vm/cases/*; do
		[ -f "$case" ] || continue
		printf '%-12s %s\n' "${case##*/}" "$(sed -n 's/^# desc: *//p' "$case")"
	done
	[ ! -e "$build/CTestTestfile.cmake" ] || ctest --test-dir "$build" -N -E '^guest\.' |
		sed -n 's/^ *Test *#[0-9]*: *//p' | grep -vxFf <(ls tests/vm/cases) || true
}

shell() {
	setup_guest
	setup_build
	dir=$(mktemp -d "$cache/run.XXXXXX")
	trap 'rm -rf "$dir"' EXIT
	shell_guest "$dir"
}

# Counts in ctest's report, and says why tests were skipped. The fixtures count only when they fail. A test that
# a failed fixture kept from running has failed.
count() {
	awk '
		/<testcase / {
			match($0, /name="[^"]*"/); name = substr($0, RSTART + 6, RLENGTH - 7)
			match($0, /status="[^"]*"/); status = substr($0, RSTART + 8, RLENGTH - 9)
			fixture = name ~ /^guest\./
			skipped = 0
		}
		/<skipped message="SKIP_/ { skipped = 1 }
		skipped && sub(/.*SKIP: /, "") { printf "skipped %s: %s\n", name, $0 }
		/<\/testcase>/ {
			if (skipped) skips++
			else if (status == "run") passes += !fixture
			else fails++
		}
		END { printf "%d passed, %d failed, %d skipped\n", passes, fails, skips }
	' "$1"
}

run_tests() {
	local report=$build/vm/report.xml only=() status=0

	[ $# = 0 ] || only=(-R "^($(IFS='|'; echo "$*"))\$")
	mkdir -p "$build/vm"
	rm -f "$report"
	ctest --test-dir "$build" --output-on-failure --no-tests=error \
		--output-junit "$report" "${only[@]}" || status=$?
	[ -e "$report" ] || die "ctest gave no report"
	count "$report"
	return $status
}

case ${1:-} in
-h | --help) usage; exit ;;
--list) list; exit ;;
--shell) shell; exit ;;
-*) usage >&2; exit 2 ;;
esac

setup_guest
setup_build
names=$(list)
for name in "$@"; do
	grep -q "^$name\b" <<<"$names" || die "no test $name (./test.sh --list names them)"
done
take_lock
export ODP_GUEST_LOCKED=1
run=$build/vm/guest
trap stop_guest EXIT
run_tests "$@"
