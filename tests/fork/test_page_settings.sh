#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_page_settings.sh: what a program has set on pages of its heap stays through fork(2)
# and through the return to the file; core dumps have the heap in them.
. "${top_srcdir:-..}/tests/support/lib.sh"
. "$top_srcdir/tests/fork/matrix.sh"

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
			preloaded "$1" "$variant" page_settings $cases
		done
		[ "$1" = tmpfs ] || break
	done
	VMMALLOC_FORK=1
}

# A stop needs a processor for each thread, for an instant: beside four times as many
# processes as there are processors.
busy() {
	busy_processes=
	for _ in $(seq $(($(nproc) * 4))); do
		timeout 120 sh -c 'while :; do :; done' &
		busy_processes="$busy_processes $!"
	done
	preloaded "$pool_dir, a busy machine" release page_settings guards_beside
	# shellcheck disable=SC2086 # words
	kill $busy_processes
	wait
}

plain page_settings
each_place pages tmpfs ext4 xfs
# shellcheck disable=SC2086 # names of cases
hindered page_settings $few closed
VMMALLOC_FORK=1 busy
plan
