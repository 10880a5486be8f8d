#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_bench.sh: a short run of the benchmark: it measures, reports what it could not
# measure, and leaves nothing behind.
. "${top_srcdir:-..}/tests/support/lib.sh"
if ! measures "benchmarks"; then
	plan
	exit
fi

if ! command -v python3 >/dev/null 2>&1; then
	skip "the benchmark" "needs python3"
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
# --quick has only glibc, jemalloc and the library on tmpfs.
expect "make bench" env BENCH_FLAGS="--quick --rounds 1 --output $work/results" \
	sh -c "\$MAKE -s -C '$top_builddir' bench BENCH_FLAGS=\"\$BENCH_FLAGS\""
cp "$work/expect" "$work/out"
for workload in churn mixed trace aligned grow c++ large access larson producers born \
	start fork python3; do
	expect "$workload: a time for each heap" awk -v workload="$workload" '
		index($0, workload) == 1 { here = 1 }
		/^$/ { here = 0 }
		here && $1 ~ /^(glibc|jemalloc)$/ && $2 > 0 { heaps++ }
		here && $1 == "vmmalloc," && $3 > 0 { heaps++ }
		END { exit !(heaps >= 2) }' "$work/out"
done
expect "the mean of all workloads" grep -q 'of 1[0-9] workloads' "$work/out"
expect "the table is in a file, too" sh -c "
	grep -q '^churn' '$work/results/results.txt'"
expect "results.json has all samples" python3 -c '
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
	skip "charts" "needs gnuplot"
fi
if command -v valgrind >/dev/null 2>&1; then
	expect "instructions are counted" python3 -c '
import json, sys
counts = json.load(open(sys.argv[1]))["instructions"]
assert 50 < counts["churn"]["vmmalloc, tmpfs"] < 400
' "$work/results/results.json"
else
	skip "instructions are counted" "needs valgrind"
fi

# A run that fails is reported, and gives no figure.
expect "a directory that does not exist: the run ends well" run --quick --rounds 1 --only churn /nowhere
expect "the failure is reported" grep -q 'vmmalloc, /nowhere *failed: status 1' "$work/out"
expect "other heaps have figures" grep -q 'vmmalloc, tmpfs .*[0-9]' "$work/out"
expect "--conf: the run ends well" run --quick --rounds 1 --only churn --conf narenas:1
expect "--conf: the settings are a heap of their own" grep -q 'vmmalloc, narenas:1 .*[0-9]' "$work/out"
run --no-such-option
status=$?
expect "an unknown option is refused" test $status -eq 2

# A run that is ended by SIGTERM cleans up.
"$top_srcdir/bench/run" --build "$top_builddir" --output "$work/results" --quick \
	--only access --rounds 50 >"$work/out" 2>"$work/err" &
bench=$!
until grep -q 'round 1' "$work/err" || ! kill -0 $bench 2>/dev/null; do
	sleep 0.1
done
kill $bench
wait $bench
status=$?
expect "SIGTERM: status 143" test $status -eq 143
expect "SIGTERM: nothing is left behind" test "$(left)" = "$before"
plan
