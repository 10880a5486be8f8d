#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_child_file.sh: in which file each process has its heap after fork(2).
. "${top_srcdir:-..}/tests/support/lib.sh"

pool_size=32M
for type in tmpfs ext4 hugetlbfs; do
	if ! file_system $type 512M; then
		skip "files of children on $type" "$mounted_not"
		continue
	fi
	VMMALLOC_POOL_DIR=$mounted
	for variant in $(variants); do
		for fork in 1 2 3; do
			VMMALLOC_FORK=$fork on_pool "$variant" "$programs/fork/child_file" \
				$fork >"$work/tap" 2>&1
			tap "$work/tap" "$type, VMMALLOC_FORK=$fork, $variant"
		done
	done
	unset VMMALLOC_POOL_DIR
done
plan
