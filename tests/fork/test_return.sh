#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_return.sh: with VMMALLOC_FORK=1 the heap returns to its file when no other process
# needs the file, and not before.
. "${top_srcdir:-..}/tests/support/lib.sh"

pool_size=128M
for type in tmpfs ext4 xfs btrfs; do
	if ! file_system $type 1024M; then
		skip "the return on $type" "$mounted_not"
		continue
	fi
	VMMALLOC_POOL_DIR=$mounted
	for variant in $(variants); do
		on_pool "$variant" "$programs/fork/return" >"$work/tap" 2>&1
		tap "$work/tap" "$type, $variant"
		# The shell waits for the first process, and cat for the daemon.
		on_pool "$variant" "$programs/fork/return" daemon 2>&1 |
			cat >"$work/tap"
		tap "$work/tap" "$type, $variant, daemon"
	done
	unset VMMALLOC_POOL_DIR
done
plan
