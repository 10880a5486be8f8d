#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_handlers.sh: fork(2) at odd moments and in odd ways.
. "${top_srcdir:-..}/tests/support/lib.sh"

# The test counts descriptors on the pool's file system: let it have none there.
fork_dir=$pool_dir
[ -w /dev/shm ] && fork_dir=/dev/shm
pool_size=128M

stopped='^Error (libvmmalloc): a child made by clone(2) or _Fork needs memory'
for variant in $(variants); do
	for fork in 1 2 3; do
		VMMALLOC_POOL_DIR=$fork_dir VMMALLOC_FORK=$fork \
			on_pool "$variant" "$programs/fork/handlers" \
			>"$work/tap" 2>&1 </dev/null
		tap "$work/tap" "fork $fork, $variant"
	done
	# Registered before the process has allocated anything: still in order.
	on_pool "$variant" env \
		LD_PRELOAD="$(library "$variant") $programs/fork/.libs/early_handlers.so" \
		timeout -s KILL 100 "$programs/fork/handlers" handlers \
		>"$work/tap" 2>&1 </dev/null
	tap "$work/tap" "$variant, handlers from before the first allocation"

	for way in clone _Fork; do
		on_pool "$variant" "$programs/fork/handlers" $way \
			>"$work/out" 2>"$work/err"
		expect "$variant, $way: a child that nobody prepared says why it ends" \
			grep -q "$stopped" "$work/err"
		# Under 0 it is the program's affair.
		on_pool "$variant" env VMMALLOC_FORK=0 "$programs/fork/handlers" $way \
			>"$work/out" 2>"$work/err"
		status=$?
		expect "$variant, $way: not where fork is not handled" \
			test "$status $(cat "$work/err")" = "0 "
	done
done
plan
