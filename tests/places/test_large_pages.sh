#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_large_pages.sh: VMMALLOC_LARGE_PAGES: on tmpfs the library makes large pages of the
# chunks of a heap that has grown.
. "${top_srcdir:-..}/tests/support/lib.sh"

# figures VARIANT COMMAND...: sets $memory (the file's blocks), $large and $rss to what
# places/large_pages prints, in MiB.
figures() {
	on_pool "$@" >"$work/out" 2>"$work/err"
	figures_status=$?
	read -r memory large rss <"$work/out" || memory=0 large=0 rss=0
	memory=$((memory / 1024)) large=$((large / 1024)) rss=$((rss / 1024))
	comment "$work/out" "$work/err"
	return $figures_status
}

# has_large WHAT MIB COMMAND...: the heap keeps its content, and at least MIB MiB of it are in
# large pages, in one of five runs: if other work delays the kernel, the library pauses.
has_large() {
	has_what=$1 has_least=$2
	shift 2
	for run in 1 2 3 4 5; do
		figures "$@"
		has_status=$?
		[ $has_status -eq 0 ] && [ "$large" -lt "$has_least" ] || break
	done
	expect "$has_what: the heap keeps its content" test $has_status -eq 0
	expect "$has_what: $has_least MiB in large pages" test "$large" -ge "$has_least"
}

# has_none WHAT COMMAND...: the same, without large pages.
has_none() {
	none_what=$1
	shift
	figures "$@"
	none_status=$?
	expect "$none_what: the heap keeps its content" test $none_status -eq 0
	expect "$none_what: no large pages" test "$large" -eq 0
}

program=$programs/places/large_pages
pool_size=512M
# On a busy machine (TEST_TIMES=no) making large pages can be so slow that the library pauses.
if ! "$programs/vmmalloc" check "$pool_dir" | grep -q '^huge pages:  *made by the library'; then
	skip "large pages on tmpfs" "the kernel makes none here ($("$programs/vmmalloc" check \
		"$pool_dir" | grep '^huge pages:'))"
elif measures "large pages on tmpfs"; then
	for variant in $(variants); do
		has_large "$variant" 150 "$variant" "$program" grow 200
	done
	has_large "one block" 150 release "$program" one 200
	has_large "freed and allocated again" 150 release "$program" again 200
	has_large "returned after a fork" 150 release "$program" returned 200
	VMMALLOC_FORK=2 has_large "a child's file" 150 release "$program" child 200
	VMMALLOC_RESERVE=full has_large "VMMALLOC_RESERVE=full" 150 \
		release "$program" grow 200
	PS=$programs/vmmalloc "$programs/vmmalloc" -d "$pool_dir" -s 256M python3 -c '
import os, subprocess
data = bytearray(100 << 20)
subprocess.run([os.environ["PS"], "ps"], env={})' >"$work/out" 2>&1
	expect "ps shows large pages" grep -q "python3  *256M  *[0-9.]*M  *[0-9.]*M  *0B  *[1-9][0-9.]*M" \
		"$work/out"
	comment "$work/out"
fi
case $("$programs/vmmalloc" check "$pool_dir") in
*"huge pages:     made by the library"* | *"huge pages:     never"*)
	has_none "a small heap" release "$program" grow 24
	VMMALLOC_LARGE_PAGES=never
	export VMMALLOC_LARGE_PAGES
	has_none "VMMALLOC_LARGE_PAGES=never" release "$program" grow 200
	unset VMMALLOC_LARGE_PAGES
	;;
*) skip "no large pages" "the pool is not on a tmpfs without huge=" ;;
esac

# Memory: at most 2 MiB and 5 % more than with small pages.
for mib in 4 12 30 34 40 200; do
	VMMALLOC_LARGE_PAGES=never
	export VMMALLOC_LARGE_PAGES
	figures release "$program" grow $mib
	small=$memory
	VMMALLOC_LARGE_PAGES=auto
	figures release "$program" grow $mib
	unset VMMALLOC_LARGE_PAGES
	expect "a heap of $mib MiB takes at most 2 MiB and 5 % more: $memory, $small" \
		test "$memory" -le $((small + 2 + small / 20))
	expect "a heap of $mib MiB has no more memory mapped than it takes: $rss" \
		test "$rss" -le $((memory + 1))
done
plan
