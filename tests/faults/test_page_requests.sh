#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_page_requests.sh: a program works on if the pool refuses a request for a range, and if
# it refuses all later requests as well.
. "${top_srcdir:-..}/tests/support/lib.sh"

# faulty N [FILE]: runs the program with FAULTY=N. Its output is in $work/out.
faulty() {
	env VMMALLOC_POOL_DIR="$pool_dir" VMMALLOC_POOL_SIZE=256M FAULTY="$1" \
		FAULTY_FILE="${2-}" LD_PRELOAD="$programs/faults/.libs/page_requests_refused.so" \
		"$programs/faults/page_requests" >"$work/out" 2>&1
}

faulty 0 "$work/requests"
status=$?
requests=$(cat "$work/requests")
expect "no request is refused, $requests requests" \
	test $status -eq 0 -a "$requests" -gt 50
for lasting in "" +; do
	bad=
	n=1
	while [ "$n" -le "$requests" ]; do
		faulty "$n$lasting" || bad="$bad $n($?: $(head -n 1 "$work/out"))"
		n=$((n + 1))
	done
	expect "each of $requests requests is refused${lasting:+, and all after it}" \
		sh -c "echo '$bad'; test -z '$bad'"
done
plan
