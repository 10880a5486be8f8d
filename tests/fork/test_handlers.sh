#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_handlers.sh: fork(2) with handlers that allocate, in signal handlers, and children
# made by other functions than fork(2).
. "${top_srcdir:-..}/tests/support/lib.sh"

# The program counts its descriptors of unlinked files on the pool's file system, and must
# not inherit any such descriptor.
fork_dir=$pool_dir
[ -w /dev/shm ] && fork_dir=/dev/shm
pool_size=128M

message='^Error (libvmmalloc): a child made by clone(2) or _Fork needs memory'
for variant in $(variants); do
	for fork in 1 2 3; do
		VMMALLOC_POOL_DIR=$fork_dir VMMALLOC_FORK=$fork \
			on_pool "$variant" "$programs/fork/handlers" \
			>"$work/tap" 2>&1 </dev/null
		tap "$work/tap" "VMMALLOC_FORK=$fork, $variant"
	done
	# Handlers that are registered before the first allocation may allocate, too.
	on_pool "$variant" env \
		LD_PRELOAD="$(library "$variant") $programs/fork/.libs/early_handlers.so" \
		timeout -s KILL 100 "$programs/fork/handlers" handlers \
		>"$work/tap" 2>&1 </dev/null
	tap "$work/tap" "$variant, handlers registered before the first allocation"

	for call in clone _Fork; do
		on_pool "$variant" "$programs/fork/handlers" $call \
			>"$work/out" 2>"$work/err"
		expect "$variant, $call: a child that allocates ends with a message" \
			grep -q "$message" "$work/err"
		on_pool "$variant" env VMMALLOC_FORK=0 "$programs/fork/handlers" $call \
			>"$work/out" 2>"$work/err"
		status=$?
		expect "$variant, $call, VMMALLOC_FORK=0: a child may allocate" \
			test "$status $(cat "$work/err")" = "0 "
	done
done
plan
