#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_failures.sh: fork(2) when the child cannot get the file or the memory that it needs.
# The debug variant runs on tmpfs only; with CI_FULL=1 everywhere.
. "${top_srcdir:-..}/tests/support/lib.sh"

# settle DIR: waits until the file system has freed the blocks of processes that have ended.
settle() {
	settle_tries=0
	while [ "$(free_kb "$1")" -lt $((400 * 1024)) ] &&
		[ $settle_tries -lt 1000 ]; do
		sync -f "$1"
		settle_tries=$((settle_tries + 1))
	done
	[ $settle_tries -lt 1000 ] || echo "# $1: only $(free_kb "$1") KiB are free"
}

pool_size=128M
for type in tmpfs ext4 xfs btrfs; do
	if ! file_system $type 512M; then
		skip "failing forks on $type" "$mounted_not"
		continue
	fi
	mkdir "$mounted/pools"
	VMMALLOC_POOL_DIR=$mounted/pools
	for variant in $(variants); do
		[ "$variant" = release ] || [ $type = tmpfs ] || [ -n "${CI_FULL-}" ] ||
			continue
		for fork in 1 2 3; do
			settle "$mounted"
			VMMALLOC_FORK=$fork full_on $type "$variant" \
				"$programs/fork/failures" "$mounted"
			tap "$work/tap" "$type, VMMALLOC_FORK=$fork, $variant"
		done
	done
	unset VMMALLOC_POOL_DIR
done
plan
