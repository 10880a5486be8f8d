#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# coverage.sh: how much of lib/ the tests run, line by line: `make coverage`.
#
#   coverage.sh SOURCE DIR [TEST...]
#
# Builds in DIR with gcov's counters in the library, runs the tests there, and prints
# for each file, and for all, what share of the lines was run by the release or the
# debug variant. Status 1 if that is less than 90 % in all. A test that fails for the
# counters' sake is said and does not matter: what it ran, it ran.
set -eu
source=$1 dir=$2
shift 2
: "${MAKE:=make}" "${GCOV:=gcov}" "${CC:=cc}"

mkdir -p "$dir"
cd "$dir"
# The counters are in the library alone; whatever has it in it needs their code.
flags="-g -O0 --coverage -fprofile-update=atomic"
[ -e Makefile ] || "$source/configure" --quiet CC="$CC" CFLAGS="-g -O0" \
	LDFLAGS=--coverage
$MAKE -s CFLAGS="$flags" lib/libvmmalloc.la lib/debug/libvmmalloc.la
$MAKE -s check TESTS=
find . -name '*.gcda' -exec rm -f {} +
if [ $# -eq 0 ]; then
	# Without those that measure, or build the library anew.
	set -- $($MAKE -s print-tests | tr ' ' '\n' | grep -v -e bench -e instructions \
		-e install -e fresh -e profile -e start)
fi
$MAKE -k check TESTS="$*" >check.out 2>&1 || :
grep '^FAIL\|^ERROR' check.out || :
grep '^# \(TOTAL\|PASS\|SKIP\|FAIL\)' check.out || :

# gcov's listings: COUNT:LINE:TEXT; ##### and ===== stand for none, - for no code.
find lib -name '*.gcda' | while read -r counts; do
	$GCOV -t "$counts" 2>/dev/null
done | awk '
	BEGIN { FS = ":" }
	$2 ~ /^ *0$/ && $3 == "Source" {
		file = $4
		sub(/.*\/lib\//, "", file)
		is_ours = $4 ~ /\/lib\/[a-z_]*\.[ch]$/
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
