#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_bench.sh: the benchmark, in short form: that it measures, says what it could
# not, and leaves nothing behind.
. "${top_srcdir:-..}/tests/support/lib.sh"
if ! measures "benchmarks"; then
	plan
	exit
fi

if ! command -v python3 >/dev/null 2>&1; then
	skip "the benchmark" "no python3 here"
	plan
	exit
fi

run() {
	"$top_srcdir/bench/run" --build "$top_builddir" --output "$work/results" "$@" \
		>"$work/out" 2>"$work/err"
}

left() {
	ls /dev/shm "$TMPDIR" 2>/dev/null | grep -c vmmalloc-bench
}
TMPDIR=$work
export TMPDIR

before=$(left)
# All heaps with CI_FULL=1: there are some seven.
heaps=$([ -n "${CI_FULL-}" ] || echo "--heaps tmpfs")
expect "make bench" env BENCH_FLAGS="--quick --rounds 1 $heaps --output $work/results" \
	sh -c "\$MAKE -s -C '$top_builddir' bench BENCH_FLAGS=\"\$BENCH_FLAGS\""
cp "$work/expect" "$work/out"
for workload in churn mixed trace aligned grow c++ large access larson producers born \
	start fork python3; do
	expect "$workload: on each heap" awk -v workload="$workload" '
		index($0, workload) == 1 { here = 1 }
		/^$/ { here = 0 }
		here && $1 ~ /^(glibc|jemalloc)$/ && $2 > 0 { heaps++ }
		here && $1 == "vmmalloc," && $3 > 0 { heaps++ }
		END { exit !(heaps >= 2) }' "$work/out"
done
expect "a mean of all" grep -q 'of 1[0-9] workloads' "$work/out"
expect "the same in a file" sh -c "
	grep -q '^churn' '$work/results/results.txt'"
expect "JSON" python3 -c '
import json, sys
results = json.load(open(sys.argv[1]))
assert results["machine"]["libc"]
for workload, heaps in results["samples"].items():
    for heap, samples in heaps.items():
        assert isinstance(samples, str) or all(s > 0 for s, _ in samples), heap
' "$work/results/results.json"
if command -v gnuplot >/dev/null 2>&1; then
	expect "charts" test -s "$work/results/chart.svg" \
		-a -s "$work/results/chart.png"
else
	skip "charts" "no gnuplot here"
fi
if command -v valgrind >/dev/null 2>&1; then
	expect "instructions" python3 -c '
import json, sys
counts = json.load(open(sys.argv[1]))["instructions"]
assert 50 < counts["churn"]["vmmalloc, tmpfs"] < 400
' "$work/results/results.json"
else
	skip "instructions" "no valgrind here"
fi

# What cannot be had is said; what ends badly is not a figure.
expect "a place that is not there" run --quick --rounds 1 --only churn /nowhere
expect "failed there" grep -q 'vmmalloc, /nowhere *failed: status 1' "$work/out"
expect "and the others did not" grep -q 'vmmalloc, tmpfs .*[0-9]' "$work/out"
expect "own settings" run --quick --rounds 1 --only churn --conf narenas:1
expect "are a heap of their own" grep -q 'vmmalloc, narenas:1 .*[0-9]' "$work/out"
run --no-such-option
status=$?
expect "nonsense is refused" test $status -eq 2

# Ended in the middle, it cleans up.
"$top_srcdir/bench/run" --build "$top_builddir" --output "$work/results" --quick \
	--only access --rounds 50 >"$work/out" 2>"$work/err" &
bench=$!
until grep -q 'round 1' "$work/err" || ! kill -0 $bench 2>/dev/null; do
	sleep 0.1
done
kill $bench
wait $bench
status=$?
expect "ends when it is told to" test $status -eq 143
expect "nothing is left" test "$(left)" = "$before"
plan
