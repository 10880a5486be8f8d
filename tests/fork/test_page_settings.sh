#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_page_settings.sh: settings that a program has made on pages of its heap stay through
# fork(2) and the return to the file, and core dumps contain the heap.
. "${top_srcdir:-..}/tests/support/lib.sh"
. "$top_srcdir/tests/fork/matrix.sh"

pool_size=512M
few="returns mlock guard own_shared together"

# shellcheck disable=SC2086 # names of cases
page_settings() {
	for variant in $(variants); do
		cases=
		[ "$1 $variant" != "tmpfs debug" ] || cases=$few
		[ "$1" != xfs ] || cases="$few mlockall core_parent"
		for VMMALLOC_FORK in 1 2; do
			preloaded "$1" "$variant" page_settings $cases
		done
		[ "$1" = tmpfs ] || break
	done
	VMMALLOC_FORK=1
}

# To stop, each thread needs a processor for an instant. Here four times as many processes
# as there are processors compete for them.
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
each_file_system page_settings tmpfs ext4 xfs
# shellcheck disable=SC2086 # names of cases
without_stops page_settings $few descriptors_closed
VMMALLOC_FORK=1 busy
# It is chance whether the thread changes a protection while the library copies the heap.
for _ in $(seq 30); do
	preloaded "$pool_dir, again" release page_settings toggled_closed
done
plan
