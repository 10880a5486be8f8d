#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# coverage.sh: line coverage of lib/ by the tests, for `make coverage`.
#
#   coverage.sh SOURCE DIR [TEST...]
#
# Builds in DIR with gcov's counters in the library, and runs the tests there. Prints
# for each file, and for all, the share of lines that ran in the release or the debug
# variant. Status 1 if less than 90 % ran in all. A test that fails because of the
# counters is reported; the lines that it ran count.
set -eu
source=$1 dir=$2
shift 2
: "${MAKE:=make}" "${GCOV:=gcov}" "${CC:=cc}"

mkdir -p "$dir"
cd "$dir"
# Only the library has counters. LDFLAGS is for the programs that contain the library.
flags="-g -O0 --coverage -fprofile-update=atomic"
[ -e Makefile ] || "$source/configure" --quiet CC="$CC" CFLAGS="-g -O0" \
	LDFLAGS=--coverage
$MAKE -s CFLAGS="$flags" lib/libvmmalloc.la lib/debug/libvmmalloc.la
$MAKE -s check TESTS=
find . -name '*.gcda' -exec rm -f {} +
if [ $# -eq 0 ]; then
	# Left out: tests whose figures the counters change, and the longest of those that build
	# the library again.
	set -- $($MAKE -s print-tests | tr ' ' '\n' | grep -v -e bench -e instructions \
		-e install -e fresh -e profile -e start)
fi
$MAKE -k check TESTS="$*" >check.out 2>&1 || :
grep '^FAIL\|^ERROR' check.out || :
grep '^# \(TOTAL\|PASS\|SKIP\|FAIL\)' check.out || :

# gcov prints COUNT:LINE:TEXT. COUNT is ##### or ===== for a line that did not run, and -
# for one without code.
find lib -name '*.gcda' | while read -r counts; do
	$GCOV -t "$counts" 2>/dev/null
done | awk '
	BEGIN { FS = ":" }
	$2 ~ /^ *0$/ && $3 == "Source" {
		file = $4
		sub(/.*\/lib\//, "", file)
		is_ours = $4 ~ /\/lib\/[a-z_]*\/[a-z_]*\.[ch]$/
		next
	}
	!is_ours || $1 ~ /-$/ { next }
	{
		line = file ":" $2 + 0
		has[line] = file
		if ($1 !~ /[#=]/)
			was_run[line] = 1
	}
	END {
		for (line in has) {
			lines[has[line]]++
			all++
			if (line in was_run) {
				run[has[line]]++
				all_run++
			} else
				print line >"not-run"
		}
		by_name = "sort -k 5"
		for (file in lines)
			printf("%6.1f %%  %4d lines  %s\n",
				100 * run[file] / lines[file], lines[file],
				file) | by_name
		close(by_name)
		if (all == 0)
			exit 1
		printf "%6.1f %%  %4d lines  lib/\n", 100 * all_run / all, all
		exit all_run < 0.9 * all
	}'
