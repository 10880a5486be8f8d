#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_first_allocation.sh: a first allocation at unusual moments.
. "${top_srcdir:-..}/tests/support/lib.sh"

for variant in $(variants); do
	expect "$variant: a program allocates before all constructors" \
		on_pool "$variant" "$programs/entry/early"
	expect "$variant: the environment has only the settings" \
		on_pool "$variant" env -i PATH="$PATH" \
		VMMALLOC_POOL_DIR="$pool_dir" VMMALLOC_POOL_SIZE=64M \
		LD_PRELOAD="$(library "$variant")" env -u PATH "$programs/support/churn" 1000
done
plan
