#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_capacity.sh: how much of a pool a program can allocate, and what works on a full pool.
. "${top_srcdir:-..}/tests/support/lib.sh"

for variant in $(variants); do
	# The debug variant's blocks have a guard of 16 bytes.
	guard=
	[ "$variant" = release ] || guard=16
	for pool_size in 268435456 14680064; do
		on_pool "$variant" "$programs/pool/capacity" $pool_size $guard \
			>"$work/tap" 2>&1
		tap "$work/tap" "$variant, a pool of $pool_size bytes"
	done
	pool_size=64M
	expect "$variant: malloc_trim releases pages to the system" \
		on_pool "$variant" "$programs/pool/trim"
done
plan
