#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_soak.sh: threads, forks and every entry point for a minute in all, or for
# SOAK_SECONDS under each VMMALLOC_FORK.
. "${top_srcdir:-..}/tests/support/lib.sh"

# soaks WHERE VARIANT FORK
soaks() {
	# It goes on for two minutes where others have the processors.
	on_pool_by="timeout -s ABRT $((seconds + 420))"
	VMMALLOC_FORK=$3 expect "$1, fork $3, $2: $seconds s, no fault" \
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
# A file system on which parent and child share blocks.
if ! file_system xfs 2048M; then
	skip "a soak on xfs" "$mounted_not"
else
	VMMALLOC_POOL_DIR=$mounted
	soaks xfs release 2
	soaks xfs release 3
	unset VMMALLOC_POOL_DIR
fi
plan
