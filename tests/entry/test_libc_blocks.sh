#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_libc_blocks.sh: blocks of libc's own malloc that reach the library's free, realloc
# and malloc_usable_size.
. "${top_srcdir:-..}/tests/support/lib.sh"

for variant in $(variants); do
	what="$variant: the library passes libc's own blocks back to libc"
	on_pool "$variant" "$programs/entry/libc_blocks" >"$work/out" 2>&1
	case $? in
	0) ok "$what" ;;
	77) skip "$what" "$(cat "$work/out")" ;;
	*) not_ok "$what"; comment "$work/out" ;;
	esac
done
plan
