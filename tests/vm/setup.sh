#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# Set-up shared by test.sh, demo.sh and tests/vm/run: host packages, the
# guest's kernel, its root file system and initramfs, and the build. Each step
# says what it does and does nothing when its result is there already.
#
# Nothing here installs a kernel on the host: the image is unpacked into the
# cache, and only QEMU boots it. To be sourced, after `set -euo pipefail`.

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cache=${ODP_CACHE:-$top/.cache}
# The lanes with a debug kernel (debug-kernel.sh) have builds of their own.
case ${ODP_DEBUG_KERNEL:-} in
'' | kasan | kcsan) ;;
*) printf 'error: ODP_DEBUG_KERNEL is kasan or kcsan, not %s\n' "$ODP_DEBUG_KERNEL" >&2; exit 1 ;;
esac
build=${ODP_BUILD:-$top/build${ODP_DEBUG_KERNEL:+/$ODP_DEBUG_KERNEL}}
mkdir -p "$cache"
cache=$(cd "$cache" && pwd)

# Debian's /sbin is not in the PATH of every user.
PATH=$PATH:/usr/sbin:/sbin

host_packages=(
	build-essential busybox-static cmake cpio debootstrap dpkg-dev
	e2fsprogs file kmod libcmocka-dev libibverbs-dev libjansson-dev
	libnl-3-dev libnl-route-3-dev libudev-dev ninja-build pkg-config python3
	qemu-system-x86 shellcheck util-linux
)

# Debian is the guest's user space, too: what cases and the demo run there.
guest_packages=(
	bash ethtool ibverbs-providers ibverbs-utils iproute2 iputils-ping kmod
	libjansson4
	nfs-kernel-server
	numactl perftest procps python3-minimal python3-pyverbs rdma-core
	rdmacm-utils strace tcpdump udev util-linux xxd
)

# For the guest's kernel, beside what cases or users ask for.
lane_cmdline=

say() { printf '== %s\n' "$*"; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		die "this needs root or sudo: $*"
	fi
}

check_host() {
	[ "$(uname -m)" = x86_64 ] || die "only x86-64 hosts are supported"
	command -v apt-get >/dev/null || die "this needs Debian 12 (no apt-get here)"
	# shellcheck disable=SC1091
	[ "$(. /etc/os-release && echo "${VERSION_CODENAME:-}")" = bookworm ] ||
		say "warning: this is not Debian 12 (bookworm); trying all the same"
}

need_packages() {
	local missing

	mapfile -t missing < <(printf '%s\n' "$@" | grep -vxFf <(
		dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null |
			sed -n 's/^installed //p'))
	[ ${#missing[@]} = 0 ] && return
	say "installing packages: ${missing[*]}"
	update_index
	as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y \
		--no-install-recommends "${missing[@]}" >"$cache/apt.log" 2>&1 || {
		tail -n 20 "$cache/apt.log" >&2
		die "apt-get install failed (see $cache/apt.log)"
	}
}

# Once per run at most.
update_index() {
	[ -z "${index_updated:-}" ] || return 0
	as_root apt-get update -qq >"$cache/apt-update.log" 2>&1 || {
		cat "$cache/apt-update.log" >&2
		say "warning: apt-get update failed; trying with the package lists there are"
	}
	index_updated=1
}

# The release behind the metapackage linux-image-amd64, e.g. 6.1.0-56-amd64.
newest_kernel() {
	apt-cache depends linux-image-amd64 2>/dev/null |
		sed -nE 's/.*Depends: linux-image-([0-9][^ ]*-amd64).*/\1/p' | head -n 1
}

# Sets kernel (release), kernel_dir (unpacked image) and kernel_headers. The
# choice is kept: a newer kernel in the archive is taken only with an empty cache.
setup_kernel() {
	kernel=$(cat "$cache/kernel/release" 2>/dev/null || true)
	if [ -z "$kernel" ]; then
		kernel=$(newest_kernel)
		[ -n "$kernel" ] || { update_index; kernel=$(newest_kernel); }
		[ -n "$kernel" ] || die "apt knows no linux-image-amd64"
	fi
	need_packages "linux-headers-$kernel"
	kernel_headers=/usr/src/linux-headers-$kernel
	kernel_dir=$cache/kernel/$kernel
	[ -e "$kernel_dir/lib/modules/$kernel/modules.dep" ] || unpack_kernel
	echo "$kernel" >"$cache/kernel/release"
}

unpack_kernel() {
	local part=$kernel_dir.part

	say "fetching Debian's kernel $kernel (unpacked, not installed)"
	rm -rf "$part" "$kernel_dir"
	mkdir -p "$part/deb"
	(cd "$part/deb" && download_deb "linux-image-$kernel")
	dpkg -x "$part"/deb/*.deb "$part"
	rm -r "$part/deb"
	depmod -b "$part" "$kernel"
	mv "$part" "$kernel_dir"
}

download_deb() {
	apt-get download -qq -o APT::Sandbox::User="$(id -un)" "$1" && return
	update_index
	apt-get download -qq -o APT::Sandbox::User="$(id -un)" "$1" ||
		die "cannot download $1"
}

# The guest's root: a read-only ext4 image (the guest puts a tmpfs over it).
# It is made again when the list of packages changes.
setup_root() {
	local key

	key=$(printf '%s\n' "${guest_packages[@]}" | sha256sum | cut -c 1-12)
	root_image=$cache/root-$key.img
	[ -e "$root_image" ] || make_root
}

make_root() {
	local dir=$cache/root.dir log=$cache/debootstrap.log include mirror

	say "making the guest's root file system (Debian bookworm, about a minute)"
	include=$(IFS=,; echo "${guest_packages[*]}")
	mirror=$("$top/cmake/debian-mirror")
	as_root rm -rf "$dir"
	as_root debootstrap --variant=minbase --include="$include" bookworm \
		"$dir" "$mirror" \
		>"$log" 2>&1 || {
		tail -n 20 "$log" >&2
		die "debootstrap failed (see $log)"
	}
	as_root rm -rf "$dir"/var/cache/apt/* "$dir"/var/lib/apt/lists/*
	as_root mkdir -p "$dir/odp" "$dir/lib/modules"
	rm -f "$cache"/root-*.img
	as_root mke2fs -q -t ext4 -d "$dir" -O ^has_journal -m 0 -L odp-root \
		"$root_image.part" 2G
	as_root chown "$(id -u):$(id -g)" "$root_image.part"
	as_root rm -rf "$dir"
	mv "$root_image.part" "$root_image"
}

# The initramfs holds the modules that reach the root, and their order.
setup_initramfs() {
	local init=$top/tests/vm/guest/initramfs-init key
	local modules=(virtio_pci virtio_blk virtio_rng ext4 overlay 9pnet_virtio 9p)

	key=$(cat "$init" <(echo "${modules[*]} $kernel") | sha256sum | cut -c 1-12)
	initramfs=$kernel_dir/initramfs-$key.cpio
	[ -e "$initramfs" ] || make_initramfs "$init" "${modules[@]}"
}

make_initramfs() {
	local init=$1 dir list module
	shift

	say "making the guest's initramfs"
	rm -f "$kernel_dir"/initramfs-*
	dir=$(mktemp -d "$cache/initramfs.XXXXXX")
	mkdir -p "$dir"/{bin,dev,proc,sys,modules,root,tmp}
	cp "$(command -v busybox)" "$dir/bin/busybox"
	install -m 755 "$init" "$dir/init"
	# crc32c is asked for by name, so no dependency shows it.
	list=$(modprobe -d "$kernel_dir" -S "$kernel" --show-depends -a \
		crc32c_generic "$@" | awk '$1 == "insmod" && !seen[$2]++ { print $2 }')
	for module in $list; do
		cp "$module" "$dir/modules/"
		basename "$module" >>"$dir/modules/order"
	done
	(cd "$dir" && find . | cpio --quiet -o -H newc -R 0:0) >"$initramfs.part"
	mv "$initramfs.part" "$initramfs"
	rm -rf "$dir"
}

# Builds everything and installs it into $stage, which the guest copies over
# its root. One build at a time: others may be at work in the same tree.
setup_build() {
	local log=$build/build.log

	stage=$build/stage
	mkdir -p "$build"
	exec 8>"$build/.lock"
	flock -n 8 || { say "waiting for another build in $build"; flock 8; }
	say "building the module, the provider and the tools"
	{
		cmake -S "$top" -B "$build" -G Ninja \
			-DODP_KERNEL_HEADERS="$kernel_headers" \
			-DODP_DEBUG_KERNEL="${ODP_DEBUG_KERNEL:-}" -DODP_SLOW="${ODP_SLOW:-1}" \
			-DODP_EVERYTHING="${ODP_EVERYTHING:-0}" &&
			cmake --build "$build" &&
			rm -rf "$stage" && mkdir "$stage" &&
			DESTDIR=$stage cmake --install "$build"
	} >"$log" 2>&1 || {
		tail -n 60 "$log" >&2
		die "the build failed (all of its output: $log)"
	}
	exec 8>&-
}

# One set-up at a time in a cache: others may be at work in the same tree. Those
# who do not need a debug kernel do not wait for one.
setup_guest() {
	check_host
	lock_cache .lock
	need_packages "${host_packages[@]}"
	if [ -n "${ODP_DEBUG_KERNEL:-}" ]; then
		need_packages "${debug_kernel_packages[@]}"
	else
		setup_kernel
		setup_initramfs
	fi
	setup_root
	if [ -n "${ODP_DEBUG_KERNEL:-}" ]; then
		lock_cache ".lock-$ODP_DEBUG_KERNEL"
		setup_debug_kernel
		setup_initramfs
	fi
	exec 7>&-
}

# In place of the lock that is held.
lock_cache() {
	exec 7>"$cache/$1"
	flock -n 7 && return
	say "waiting for another set-up in $cache"
	flock 7
}

if [ -n "${ODP_DEBUG_KERNEL:-}" ]; then
	# shellcheck source=tests/vm/debug-kernel.sh
	. "$top/tests/vm/debug-kernel.sh"
fi
