#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_metadata.sh: beside the pool a process needs memory only for jemalloc's bookkeeping.
. "${top_srcdir:-..}/tests/support/lib.sh"

for variant in $(variants); do
	if [ "$(free_kb "$pool_dir")" -lt 1048576 ]; then
		skip "$variant: bookkeeping" "needs 1 GiB of free space for the pool"
		continue
	fi
	pool_size=1G
	share=$(on_pool "$variant" "$programs/pool/metadata")
	what="$variant: bookkeeping is $share % of a heap of 64-byte blocks, at most 4 %"
	expect "$what" awk "BEGIN { exit !($share > 0 && $share <= 4) }"
done
plan
