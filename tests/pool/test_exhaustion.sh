#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_exhaustion.sh: eight threads fill a pool for a time. Then a program can allocate 98 % of
# what a new process can.
. "${top_srcdir:-..}/tests/support/lib.sh"

seconds=10
[ -z "${CI_FULL-}" ] || seconds=60
pool_size=32M
for variant in $(variants); do
	# In the debug variant blocks of 32 bytes come from slabs of three pages. New slabs
	# use the cached free pages of arenas first, and leave single pages that fit nothing.
	# So only 89 to 100 % are available, unless malloc_trim purges the arenas first.
	trim=
	[ "$variant" = release ] || trim=trim
	on_pool "$variant" "$programs/pool/exhaustion" 0 >"$work/capacity" 2>&1
	expect "$variant: the capacity of a new process" \
		test "$(grep -c '^[1-9][0-9]*$' "$work/capacity")" -eq 4
	# The time limit makes a deadlock a failure.
	on_pool_by="timeout -s ABRT $((seconds + 300))"
	# shellcheck disable=SC2046 # one number a line
	on_pool "$variant" "$programs/pool/exhaustion" $seconds 98 \
		$(cat "$work/capacity") $trim >"$work/tap" 2>&1
	tap "$work/tap" "$variant, $seconds s"
	on_pool_by=
done
plan
