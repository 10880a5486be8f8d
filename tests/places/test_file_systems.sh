#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_file_systems.sh: pools on different file systems. faults/test_full_disk.sh fills them.
. "${top_srcdir:-..}/tests/support/lib.sh"

# place NAME: all tests on the file system at $mounted.
place() {
	VMMALLOC_POOL_DIR=$mounted
	for reserve in grow full; do
		expect "$1, VMMALLOC_RESERVE=$reserve: a program runs" on_pool release \
			env VMMALLOC_RESERVE=$reserve "$programs/support/churn" 200000
	done
	on_pool release "$programs/pool/own_process" >"$work/out" 2>&1
	expect "$1: one descriptor, high, close-on-exec; the file has no name" \
		grep -q '^descriptors 1 high 1 cloexec 1 mode 600$' "$work/out"
	if [ "$1" != hugetlbfs ]; then
		expect "$1: little is reserved at the start" \
			grep -q '^a little reserved$' "$work/out"
		on_pool release env VMMALLOC_RESERVE=full "$programs/pool/own_process" \
			>"$work/out" 2>&1
		expect "$1: VMMALLOC_RESERVE=full reserves the whole pool" \
			grep -q '^all reserved$' "$work/out"
	fi
	comment "$work/out"
	pool_size=64M
	expect "$1: a process writes its heap" on_pool release "$programs/places/stale_data" write
	expect "$1: the next process reads nothing of it" \
		on_pool release "$programs/places/stale_data" look
	on_pool release "$programs/pool/capacity" 67108864 >"$work/tap" 2>&1
	tap "$work/tap" "$1"
	if [ "$1" = hugetlbfs ]; then
		# As on a device, a private heap is memory without a file.
		on_pool release "$programs/places/on_dax" fresh >"$work/tap" 2>&1
		tap "$work/tap" "$1"
	fi
	VMMALLOC_POOL_SIZE=100T on_pool release env true 2>"$work/err"
	if [ "$1" = hugetlbfs ]; then
		expect "$1: a pool that is too large is refused" \
			grep -q 'nr_hugepages' "$work/err"
	else
		expect "$1: a pool that is too large is refused" \
			grep -q '109951162777600 bytes needed, [0-9]* free' "$work/err"
	fi
	unset VMMALLOC_POOL_DIR
	expect "$1: nothing is left behind" test -z "$(ls -A "$mounted" |
		grep -v lost+found)"
}

for type in tmpfs "tmpfs huge=always" ext4 xfs btrfs hugetlbfs; do
	# shellcheck disable=SC2086 # a type and an option
	set -- $type
	if ! file_system "$1" 512M ${2+"$2"}; then
		skip "$type" "$mounted_not"
		continue
	fi
	place "$type"
done
plan
