#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_entry_points.sh: tests of each entry point, with each variant.
. "${top_srcdir:-..}/tests/support/lib.sh"

for variant in $(variants); do
	expect "$variant: blocks from a program's own extent hooks work" \
		on_pool "$variant" "$programs/entry/extent_hooks"
done

if [ ! -x "$programs/entry/check_entry" ]; then
	skip "the tests that use Check" "configure has not found Check"
	plan
	exit
fi
pool_size=256M
# mktemp(1) could make this name. It looks like that of a library.
VMMALLOC_POOL_DIR=$pool_dir/vmmalloc.soABCD
mkdir "$VMMALLOC_POOL_DIR"
for variant in $(variants); do
	# With CK_FORK=yes Check runs each test in a child process, with CK_FORK=no all in one.
	for fork in yes no; do
		CK_FORK=$fork on_pool "$variant" "$programs/entry/check_entry" \
			>"$work/tap" 2>&1
		tap "$work/tap" "$variant, CK_FORK=$fork"
	done
done
plan
