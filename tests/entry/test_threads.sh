#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_threads.sh: threads that are interrupted or cancelled, and ends of threads.
. "${top_srcdir:-..}/tests/support/lib.sh"

for variant in $(variants); do
	# The time limit makes a deadlock a failure.
	on_pool_by="timeout -s ABRT 300"
	on_pool "$variant" "$programs/entry/threads" >"$work/tap" 2>&1
	tap "$work/tap" "$variant"
	on_pool_by=
done
plan
