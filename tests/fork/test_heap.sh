#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_heap.sh: parent and child have separate heaps after fork(2) on tmpfs, ext4, xfs and
# hugetlbfs. On tmpfs also with the debug variant, with a program that reuses the number of
# the pool's descriptor, and with deeper trees of processes. CI_FULL=1 runs these everywhere,
# and adds btrfs, which shares blocks as xfs does.
. "${top_srcdir:-..}/tests/support/lib.sh"

# heap TYPE VARIANT: runs fork/heap on pools in $VMMALLOC_POOL_DIR. VMMALLOC_FORK=3 does
# the same as VMMALLOC_FORK=2 here, and is left out. On hugetlbfs the kernel cannot copy
# on write, so the heap always leaves by being copied: only the mode kept runs. On btrfs
# VMMALLOC_FORK=2 is slow: only the release variant runs, in the mode plain.
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
			tap "$work/tap" "$1, VMMALLOC_FORK=$fork, $2, descriptor $mode"
		done
	done
}

# model TYPE VARIANT: runs fork/model: threads allocate in a tree of processes.
model() {
	depth=4
	[ "$1 $2" = "tmpfs release" ] || [ -n "${CI_FULL-}" ] || depth=3
	for fork in 1 2 3; do
		# VMMALLOC_FORK=3 does the same as VMMALLOC_FORK=2 here.
		[ "$fork$2${CI_FULL-}" != 3debug ] || continue
		VMMALLOC_FORK=$fork expect \
			"$1, VMMALLOC_FORK=$fork, $2: processes of 5 threads, $depth deep" \
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
		# On hugetlbfs a child's file needs as many pages as its parent's, and up
		# to 31 processes have one at the same time.
		[ $type != hugetlbfs ] || pool_size=48M
		heap $type "$variant"
		pool_size=32M
		model $type "$variant"
	done
	expect "$type: no file is left" test -z "$(ls -A "$mounted" |
		grep -v lost+found)"
	unset VMMALLOC_POOL_DIR
done
plan
