#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_fork.sh: fork(2) under VMMALLOC_FORK=1.
. "${top_srcdir:-..}/tests/lib.sh"

pool_size=256M

# trial WHERE: fork_private on pools in $VMMALLOC_POOL_DIR. On hugetlbfs a process
# cannot go private: its children get copies, and it goes on writing the file.
trial() {
	for variant in $(variants); do
		modes="plain closed reused"
		[ "$1" != hugetlbfs ] || modes="kept"
		for mode in $modes; do
			on_pool "$variant" "$programs/fork_private" $mode \
				>"$work/tap" 2>&1
			tap "$work/tap" "$1, $variant, descriptor $mode"
		done
	done
}

for type in tmpfs ext4 xfs btrfs hugetlbfs; do
	if ! file_system $type 1024M; then
		skip "fork on $type" "$mounted_not"
		continue
	fi
	VMMALLOC_POOL_DIR=$mounted
	trial $type
	# What processes had is gone with them.
	expect "$type: nothing left" test -z "$(ls -A "$mounted" |
		grep -v lost+found)"
done
plan
