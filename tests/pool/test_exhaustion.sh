#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_exhaustion.sh: eight threads at the limit of a pool, and all of it afterwards.
. "${top_srcdir:-..}/tests/support/lib.sh"

seconds=10
[ -z "${CI_FULL-}" ] || seconds=60
pool_size=32M
for variant in $(variants); do
	# In the debug variant blocks of 32 bytes come from slabs of three pages. These first
	# go where arenas keep free pages, and leave one or two beside them that nothing
	# fits: 89 to 100 % of what there was before, unless arenas begin anew.
	trim=
	[ "$variant" = release ] || trim=trim
	on_pool "$variant" "$programs/pool/exhaustion" 0 >"$work/capacity" 2>&1
	expect "$variant: what a new process can have" \
		test "$(grep -c '^[1-9][0-9]*$' "$work/capacity")" -eq 4
	# A deadlock is a failure, too.
	on_pool_by="timeout -s ABRT $((seconds + 300))"
	# shellcheck disable=SC2046 # one number a line
	on_pool "$variant" "$programs/pool/exhaustion" $seconds 98 \
		$(cat "$work/capacity") $trim >"$work/tap" 2>&1
	tap "$work/tap" "$variant, $seconds s"
	on_pool_by=
done
plan
