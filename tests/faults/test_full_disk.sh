#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_full_disk.sh: the pool's file system is full: malloc fails, and no store raises SIGBUS.
# What the pool releases can be used again.
. "${top_srcdir:-..}/tests/support/lib.sh"

pool_size=200M
for type in tmpfs "tmpfs huge=always" ext4 xfs btrfs; do
	if [ "$type" = btrfs ] && [ "$pool_dir" = "$work" ]; then
		skip "$type is full" "needs 2 GiB free in /dev/shm for the image: \
a full btrfs writes out each page, which takes too long on a disk"
		continue
	fi
	# shellcheck disable=SC2086 # a type and an option
	set -- $type
	if ! file_system "$1" 512M ${2+"$2"}; then
		skip "$type is full" "$mounted_not"
		continue
	fi
	VMMALLOC_POOL_DIR=$mounted
	for variant in $(variants); do
		full_on "$1" "$variant" "$programs/faults/full_disk" "$mounted"
		tap "$work/tap" "$type is full, $variant"
		full_on "$1" "$variant" "$programs/faults/release_pages" "$mounted"
		tap "$work/tap" "$type, space is released, $variant"
		# Both variants only on tmpfs: elsewhere space runs out in the same way.
		[ "$type" = tmpfs ] || break
	done
	unset VMMALLOC_POOL_DIR
	expect "$type: nothing is left behind" test -z "$(ls -A "$mounted" |
		grep -v lost+found)"
done
plan
