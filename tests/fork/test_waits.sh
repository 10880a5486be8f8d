#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_waits.sh: threads wait in the kernel while other threads fork and the heap returns.
# No wake-up may be lost. No system call may be interrupted, but for the exceptions that
# waits_table.c names.
. "${top_srcdir:-..}/tests/support/lib.sh"
. "$top_srcdir/tests/fork/matrix.sh"

pool_size=256M
few="sem_shared mutex_robust mutex_shared_pi owner_ends join calls calls_signals
	shared_futex"
# Where threads cannot be stopped, the library wakes those that wait on a futex. It cannot
# wake those that wait for a process-shared mutex with priority inheritance or, under a
# seccomp filter, in futex_waitv(2). Then fork fails: these two cases are left out.
few_without_stops="sem_private mutex_private mutex_pi cond_private calls calls_signals
	sem_shared mutex_shared mutex_robust mutex_shared_robust owner_ends cond_shared
	rwlock_shared barrier_shared join futex_wait"

# shellcheck disable=SC2086 # names of cases
waits() {
	for variant in $(variants); do
		cases=
		[ "$1 $variant" = "tmpfs release" ] || cases=$few
		preloaded "$1" "$variant" waits $cases
		[ "$1" = tmpfs ] || break
	done
	# The heap leaves in the same way with VMMALLOC_FORK=2: on disks CI_FULL=1 only.
	[ "$1" = tmpfs ] || [ -n "${CI_FULL-}" ] || return 0
	VMMALLOC_FORK=2
	preloaded "$1" release waits $few
	VMMALLOC_FORK=1
}

plain waits
# shellcheck disable=SC2086 # words
each_file_system waits $mapped_alike
# shellcheck disable=SC2086 # names of cases
without_stops waits $few_without_stops
plan
