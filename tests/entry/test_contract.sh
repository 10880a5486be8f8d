#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_contract.sh: the contract of each entry point, under each variant.
. "${top_srcdir:-..}/tests/support/lib.sh"

for variant in $(variants); do
	expect "$variant: blocks of arenas with the program's own extent hooks" \
		on_pool "$variant" "$programs/entry/extent_hooks"
done

if [ ! -x "$programs/entry/check_entry" ]; then
	skip "unit tests and entry points" "Check was not found by configure"
	plan
	exit
fi
pool_size=256M
# A name that mktemp(1) could have made, and that looks like a library's.
VMMALLOC_POOL_DIR=$pool_dir/vmmalloc.soABCD
mkdir "$VMMALLOC_POOL_DIR"
for variant in $(variants); do
	# Check forks for each test: the first runs in a child, the second here.
	for fork in yes no; do
		CK_FORK=$fork on_pool "$variant" "$programs/entry/check_entry" \
			>"$work/tap" 2>&1
		tap "$work/tap" "$variant, fork $fork"
	done
done
plan
