#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_kernel.sh: data that the kernel writes to the heap asynchronously is not lost at a
# fork or when the heap returns, and a fork that the kernel refuses leaves the process as
# it was.
. "${top_srcdir:-..}/tests/support/lib.sh"
. "$top_srcdir/tests/fork/matrix.sh"

pool_size=512M
# On the file system of the build directory, whatever that is.
file=$work/direct
few="aio_thread uring aio_at_fork uring_at_fork_closed registered_with_child limit_data"

# shellcheck disable=SC2086 # names of cases
kernel() {
	cases=
	[ "$1" != xfs ] || cases="$few mappings"
	if [ "$1" = hugetlbfs ]; then
		pool_size=64M preloaded "$1" release kernel "$file" aio_at_fork uring_at_fork
		return
	fi
	preloaded "$1" release kernel "$file" $cases
	[ "$1" != tmpfs ] || [ "$(variants)" = release ] ||
		preloaded "$1" debug kernel "$file" $few
	VMMALLOC_FORK=2
	preloaded "$1" release kernel "$file" $few
	VMMALLOC_FORK=1
}

plain kernel "$file"
# shellcheck disable=SC2086 # words
each_file_system kernel $mapped_alike hugetlbfs
# In a directory in which a user without privileges can make files.
file=/tmp/vmmalloc.direct.$$
also_remove="$file $file.new"
without_stops kernel "$file" aio_thread uring limit_data
plan
