#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_cxl.sh: a heap on CXL memory, in the virtual machine of tests/places/vm/run. CXL memory
# needs a newer qemu and kernel than Debian 12 has, so the machine runs in a fresh Debian 13.
. "${top_srcdir:-..}/tests/support/lib.sh"

packages="gcc libc6-dev make pkgconf libjemalloc-dev libjemalloc2 qemu-system-x86
	busybox-static cpio dash kmod xz-utils ndctl cxl daxctl e2fsprogs xfsprogs python3
	sqlite3"

# on_cxl: installs the packages, builds the library, and runs the section cxl.
on_cxl() {
	# shellcheck disable=SC2086 # names of packages
	if ! { inside apt-get -q update && inside apt-get -qy install \
		--no-install-recommends $packages; } >"$work/log" 2>&1; then
		skip "$what" "packages cannot be installed"
		comment "$work/log"
		return
	fi
	mkdir "$root/root/source" "$root/root/build"
	(cd "$top_srcdir" && tar -cf - --exclude=./build --exclude=./.git .) |
		tar -C "$root/root/source" -xf -
	inside_dir=/root/build
	expect "the library and its program are built" inside sh -c \
		"../source/configure --quiet --disable-debug-variant &&
		make -s && make -s tests/places/numa tests/vmmalloc"
	in_machine "$what" inside env top_builddir=/root/build ../source/tests/places/vm/run cxl
}

what="CXL memory"
if [ -z "${CI_FULL-}" ]; then
	skip "$what" "takes a quarter of an hour in an emulator: set CI_FULL=1"
elif [ "$(uname -m)" != x86_64 ]; then
	skip "$what" "the emulated machine is for x86-64"
elif ! fresh_system trixie cxl; then
	skip "$what" "$fresh_not"
else
	on_cxl
fi
plan
