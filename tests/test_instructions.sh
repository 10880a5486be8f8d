#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_instructions.sh: instructions of an allocation-heavy run, against jemalloc's
# own shared library; callgrind counts the same each time.
. "${top_srcdir:-..}/tests/lib.sh"

what="instructions of bench/churn, at most 1.05 of jemalloc's"
jemalloc=$(ldconfig -p 2>/dev/null |
	sed -n 's/.*libjemalloc\.so\.2 .*=> //p' | head -n 1)

# instructions LIBRARY: of the whole run, start included.
instructions() {
	env VMMALLOC_POOL_DIR="$pool_dir" VMMALLOC_POOL_SIZE=64M \
		LD_PRELOAD="$1" valgrind --tool=callgrind \
		--callgrind-out-file=/dev/null "$programs/churn" 1200000 2>&1 |
		sed -n 's/.*Collected : \([0-9]*\).*/\1/p'
}

if ! command -v valgrind >/dev/null 2>&1; then
	skip "$what" "no valgrind here"
elif [ -z "$jemalloc" ]; then
	skip "$what" "no libjemalloc.so.2 here"
else
	ours=$(instructions "$(library release)")
	theirs=$(instructions "$jemalloc")
	echo "# ours $ours, jemalloc's $theirs"
	expect "$what" awk "BEGIN { if (!($theirs > 0)) exit 1
		printf \"ratio %.4f\n\", $ours / $theirs
		exit !($ours > 0 && $ours <= 1.05 * $theirs) }"
	sed 's/^/# /' "$work/expect"
fi
plan
