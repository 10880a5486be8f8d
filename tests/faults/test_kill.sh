#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_kill.sh: programs that are killed at random moments leave no file, no mapping and no
# block. 500 moments on each type of file system, a fifth or more in fork. CI_FULL: more types.
. "${top_srcdir:-..}/tests/support/lib.sh"

# With the same VMM_TEST_SEED the moments are the same.
: "${VMM_TEST_SEED:=$(date +%s)}"
libraries=
for variant in $(variants); do
	libraries="$libraries $(library "$variant")"
done

types="tmpfs ext4"
moments=500
[ -z "${CI_FULL-}" ] || types="tmpfs ext4 xfs btrfs"
pool_size=48M
for type in $types; do
	if ! file_system $type 512M; then
		skip "$type: killed programs leave nothing" "$mounted_not"
		continue
	fi
	# No other process uses this directory, or this file system.
	mkdir "$mounted/pools"
	# shellcheck disable=SC2086 # files
	VMMALLOC_POOL_DIR=$mounted/pools VMMALLOC_POOL_SIZE=$pool_size \
		"$programs/faults/kill" $moments "$VMM_TEST_SEED" $libraries \
		>"$work/tap" 2>&1
	tap "$work/tap" "$type"
	# A file that is still open or mapped would keep the file system busy.
	expect "$type: no process has a file or mapping of it" unmount_last
done
plan
