#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_soak.sh: random work with threads, forks and every entry point; each byte is checked.
# Each run takes 2 seconds; with CI=1 all take about a minute together. SOAK_SECONDS sets
# another time for each run.
. "${top_srcdir:-..}/tests/support/lib.sh"

# soaks WHERE VARIANT FORK: one run. WHERE is for the name of the result.
soaks() {
	# On a busy machine soak goes on for up to 120 seconds, until all has been done once.
	on_pool_by="timeout -s ABRT $((seconds + 420))"
	VMMALLOC_FORK=$3 expect "$1, VMMALLOC_FORK=$3, $2: $seconds s without a fault" \
		on_pool "$2" "$programs/load/soak" "$seconds"
	on_pool_by=
	tail -n 2 "$work/expect" | comment
}

pool_on=$(stat -f -c %T "$pool_dir")
# shellcheck disable=SC2046 # words
set -- $(variants)
seconds=2
[ -z "${CI-}" ] || seconds=$((60 / (4 * $# + 2)))
seconds=${SOAK_SECONDS:-$seconds}
for variant; do
	for fork in 0 1 2 3; do
		soaks "$pool_on" "$variant" $fork
	done
done
# xfs: the pool files of parent and child share file blocks.
if ! file_system xfs 2048M; then
	skip "a soak on xfs" "$mounted_not"
else
	VMMALLOC_POOL_DIR=$mounted
	soaks xfs release 2
	soaks xfs release 3
	unset VMMALLOC_POOL_DIR
fi
plan
