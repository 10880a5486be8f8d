#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_stop_threads.sh: threads write all over the heap while the process forks and its heap
# returns. No write is lost, and little memory stays private.
. "${top_srcdir:-..}/tests/support/lib.sh"
. "$top_srcdir/tests/fork/matrix.sh"

pool_size=512M

# returned WHAT: checks that the last run of stop_threads has seen the heap returned.
returned() {
	expect "$1: the heap was seen returned while threads wrote to it" \
		grep -q '^# .* seen returned [1-9]' "$work/tap"
}

# stop_threads TYPE: all runs on one type of file system.
stop_threads() {
	for variant in $(variants); do
		preloaded "$1" "$variant" stop_threads 4 300000
		returned "$1, VMMALLOC_FORK=1, $variant"
		[ "$1" = tmpfs ] || break
	done
	VMMALLOC_FORK=2
	preloaded "$1" release stop_threads 4 300000
	if ! measures "$1, private memory and stops"; then
		VMMALLOC_FORK=1
		return
	fi
	[ "$1" != tmpfs ] ||
		preloaded "$1, private memory" release stop_threads rss
	VMMALLOC_FORK=1
	preloaded "$1, private memory" release stop_threads rss
	[ "$1" != tmpfs ] || preloaded "$1, stops" release stop_threads stop
}

plain stop_threads 4 300000
if measures "private memory and stops, without the library"; then
	plain stop_threads rss
	plain stop_threads stop
fi
each_file_system stop_threads tmpfs ext4 xfs
without_stops stop_threads 4 300000
plan
