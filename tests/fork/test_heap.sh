#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_heap.sh: fork(2) in every variant, on every file system. The debug
# variant and reused descriptors are tried on tmpfs only, and trees of processes are
# deeper there; CI_FULL: everywhere, and on btrfs, which shares blocks as xfs does.
. "${top_srcdir:-..}/tests/support/lib.sh"

# heap TYPE VARIANT: fork_heap on pools in $VMMALLOC_POOL_DIR. On hugetlbfs a process
# cannot go private: its children get copies, and it goes on writing the file. 3 is
# not tried where 2 works. On btrfs 2 is slow: once is enough.
heap() {
	for fork in 1 2; do
		modes="plain closed reused"
		[ "$1" = tmpfs ] || [ -n "${CI_FULL-}" ] || modes="plain closed"
		[ "$1" != hugetlbfs ] || modes="kept"
		[ "$1 $fork" != "btrfs 2" ] || modes="plain"
		[ "$1 $2 $fork" != "btrfs debug 2" ] || continue
		for mode in $modes; do
			VMMALLOC_FORK=$fork on_pool "$2" "$programs/fork/heap" \
				$mode >"$work/tap" 2>&1
			tap "$work/tap" "$1, fork $fork, $2, descriptor $mode"
		done
	done
}

# model TYPE VARIANT: threads that allocate, in processes that fork to a depth of four.
model() {
	depth=4
	[ "$1 $2" = "tmpfs release" ] || [ -n "${CI_FULL-}" ] || depth=3
	for fork in 1 2 3; do
		# It does the same as 2 here.
		[ "$fork$2${CI_FULL-}" != 3debug ] || continue
		VMMALLOC_FORK=$fork expect \
			"$1, fork $fork, $2: processes of 5 threads, $depth deep" \
			on_pool "$2" "$programs/fork/model" $depth
	done
}

for type in tmpfs ext4 xfs ${CI_FULL:+btrfs} hugetlbfs; do
	size=1536M
	[ $type != btrfs ] || size=3072M
	if ! file_system $type $size; then
		skip "fork on $type" "$mounted_not"
		continue
	fi
	VMMALLOC_POOL_DIR=$mounted
	for variant in $(variants); do
		[ "$variant" = release ] || [ $type = tmpfs ] ||
			[ -n "${CI_FULL-}" ] || continue
		pool_size=256M
		# A child's file on hugetlbfs takes as many pages as its parent's, and
		# there are 31 at a time.
		[ $type != hugetlbfs ] || pool_size=48M
		heap $type "$variant"
		pool_size=32M
		model $type "$variant"
	done
	# What processes had is gone with them.
	expect "$type: nothing left" test -z "$(ls -A "$mounted" |
		grep -v lost+found)"
	unset VMMALLOC_POOL_DIR
done
plan
