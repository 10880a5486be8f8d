#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_stop_helper_killed.sh: the helper process, which stops the threads, is killed in the
# middle of its work. The threads continue, and the heap has what they wrote.
. "${top_srcdir:-..}/tests/support/lib.sh"
. "$top_srcdir/tests/fork/matrix.sh"

pool_size=256M

stop_helper_killed() {
	preloaded "$1" release stop_helper_killed
	preloaded "$1, the descriptor is closed" release stop_helper_killed closed
	[ "$1" != tmpfs ] || [ "$(variants)" = release ] ||
		preloaded "$1" debug stop_helper_killed
}

plain stop_helper_killed
each_file_system stop_helper_killed tmpfs ext4
plan
