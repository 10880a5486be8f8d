#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_kill.sh: killed at 1,000 random moments, half of them in fork: no file, no
# mapping and no block is left. CI_FULL: at 1,000 on each file system.
. "${top_srcdir:-..}/tests/support/lib.sh"

# The same moments can be had again.
: "${VMM_TEST_SEED:=$(date +%s)}"
libraries=
for variant in $(variants); do
	libraries="$libraries $(library "$variant")"
done

types="tmpfs ext4"
moments=500
if [ -n "${CI_FULL-}" ]; then
	types="tmpfs ext4 xfs btrfs"
	moments=1000
fi
pool_size=48M
for type in $types; do
	if ! file_system $type 512M; then
		skip "killed on $type" "$mounted_not"
		continue
	fi
	# What it has for itself alone: no other process's files come and go.
	mkdir "$mounted/pools"
	# shellcheck disable=SC2086 # files
	VMMALLOC_POOL_DIR=$mounted/pools VMMALLOC_POOL_SIZE=$pool_size \
		"$programs/faults/kill" $moments "$VMM_TEST_SEED" $libraries \
		>"$work/tap" 2>&1
	tap "$work/tap" "$type"
	# A file that is still open or mapped somewhere keeps it busy.
	expect "$type: nobody has anything of it" take_down
done
plan
