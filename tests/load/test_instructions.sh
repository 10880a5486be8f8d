#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_instructions.sh: instructions for an operation, compared with jemalloc's shared
# library and with glibc. callgrind's counts do not vary from run to run.
. "${top_srcdir:-..}/tests/support/lib.sh"

jemalloc=$(ldconfig -p 2>/dev/null |
	sed -n 's/.*libjemalloc\.so\.2 .*=> //p' | head -n 1)
bench=$top_builddir/bench

# total LIBRARY COMMAND...: prints the instructions of a whole run, its start included.
total() {
	total_library=$1
	shift
	env VMMALLOC_POOL_DIR="$pool_dir" VMMALLOC_POOL_SIZE=256M \
		LD_PRELOAD="$total_library" valgrind --tool=callgrind \
		--callgrind-out-file=/dev/null "$@" 2>&1 |
		sed -n 's/.*Collected : \([0-9]*\).*/\1/p'
}

# each LIBRARY WORKLOAD: prints the instructions for one operation, from the difference
# between a run and one with twice as many operations.
each() {
	case $2 in
	c++)
		each_count=15
		each_less=$(total "$1" "$bench/cxx" 15)
		each_more=$(total "$1" "$bench/cxx" 30)
		;;
	*)
		each_count=300000
		each_less=$(total "$1" "$bench/bench" -n 300000 "$2")
		each_more=$(total "$1" "$bench/bench" -n 600000 "$2")
		;;
	esac
	awk "BEGIN { printf \"%.2f\", (${each_more:-0} - ${each_less:-0}) / $each_count }"
}

# at_most LIMIT OURS THEIRS WHAT: OURS is at most LIMIT times THEIRS.
at_most() {
	expect "$4: $2 instructions, at most $1 times $3" awk "BEGIN {
		exit !($2 > 0 && $3 > 0 && $2 <= $1 * $3) }"
}

if ! command -v valgrind >/dev/null 2>&1; then
	skip "instructions" "needs valgrind"
	plan
	exit
elif [ -z "$jemalloc" ]; then
	skip "instructions" "needs libjemalloc.so.2"
	plan
	exit
fi
while read -r workload limit; do
	ours=$(each "$(library release)" "$workload")
	at_most "$limit" "$ours" "$(each "$jemalloc" "$workload")" \
		"$workload, compared with jemalloc"
	at_most 1.00 "$ours" "$(each "" "$workload")" "$workload, compared with glibc"
done <<END
churn 1.03
mixed 0.899
c++ 1.00
END
plan
