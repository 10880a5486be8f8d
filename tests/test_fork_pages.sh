#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_fork_pages.sh: what a program has set on pages of its heap stays through fork(2)
# and through the return to the file; core dumps have the heap in them.
. "${top_srcdir:-..}/tests/lib.sh"
. "$top_srcdir/tests/fork_matrix.sh"

pool_size=512M
few="returns mlock guard own_shared together"

# shellcheck disable=SC2086 # names of cases
pages() {
	for variant in $(variants); do
		cases=
		[ "$1 $variant" != "tmpfs debug" ] || cases=$few
		[ "$1 $variant" != "ext4 debug" ] || cases=$few
		[ "$1" != xfs ] || cases="$few mlockall core_parent"
		for VMMALLOC_FORK in 1 2; do
			preloaded "$1" "$variant" fork_pages $cases
		done
		[ "$1" = tmpfs ] || break
	done
	VMMALLOC_FORK=1
}

plain fork_pages
each_place pages tmpfs ext4 xfs
# shellcheck disable=SC2086 # names of cases
hindered fork_pages $few closed
plan
