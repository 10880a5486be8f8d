#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_side_effects.sh: a run prints nothing, leaves nothing, and creates no thread.
. "${top_srcdir:-..}/tests/support/lib.sh"
: "${CC:=cc}"

empty=$work/empty
mkdir "$empty"
cat >"$work/has_conf.c" <<-'END'
	#include <stdlib.h>
	const char *malloc_conf = "stats_print:true,confirm_conf:true";
	int main(void) { free(malloc(1)); return 0; }
END
$CC -rdynamic -o "$work/has_conf" "$work/has_conf.c" || exit 99
for variant in $(variants); do
	for fork in 0 1; do
		VMMALLOC_POOL_DIR=$empty on_pool "$variant" \
			env VMMALLOC_FORK=$fork "$programs/support/churn" 200000 \
			>"$work/out" 2>&1
		expect "$variant, fork $fork: nothing printed" \
			test ! -s "$work/out"
		expect "$variant, fork $fork: no file left" \
			test -z "$(ls -A "$empty")"
	done

	# What is meant for another jemalloc, the program's own, is not for this one.
	VMMALLOC_POOL_DIR=$empty on_pool "$variant" \
		env MALLOC_CONF=stats_print:true,confirm_conf:true,nonsense:1 \
		"$programs/support/churn" 1000 >"$work/out" 2>&1
	expect "$variant: MALLOC_CONF is for others" test ! -s "$work/out"
	VMMALLOC_POOL_DIR=$empty on_pool "$variant" "$work/has_conf" \
		>"$work/out" 2>&1
	expect "$variant: and so is a program's malloc_conf" test ! -s "$work/out"

	# While it runs: one thread, one descriptor, close-on-exec, out of the way;
	# and the file has no name even then.
	VMMALLOC_POOL_DIR=$empty on_pool "$variant" "$programs/pool/own_process" \
		>"$work/out" 2>&1
	expect "$variant: one thread" grep -q '^threads 1$' "$work/out"
	expect "$variant: one descriptor, out of the way, close-on-exec, mode 600" \
		grep -q '^descriptors 1 high 1 cloexec 1 mode 600$' "$work/out"
	expect "$variant: the file has no name" grep -q '^names 0$' "$work/out"
	comment "$work/out"

	# Standard descriptors that are closed stay closed.
	VMMALLOC_POOL_DIR=$empty on_pool "$variant" "$programs/pool/own_process" \
		>"$work/out" 2>&1 <&-
	expect "$variant: closed stdin is not the pool" \
		grep -q '^descriptors 1 high 1 cloexec 1 mode 600$' "$work/out"

	VMMALLOC_POOL_DIR=$empty on_pool "$variant" \
		sh -c "ulimit -n 32; exec $programs/pool/own_process" >"$work/out" 2>&1
	expect "$variant: few descriptors allowed" \
		grep -q '^descriptors 1 high 1 cloexec 1 mode 600$' "$work/out"

	# Killed at once: nothing is left either.
	VMMALLOC_POOL_DIR=$empty on_pool "$variant" sh -c 'kill -9 $$' \
		>/dev/null 2>&1
	expect "$variant: no file left by a killed process" \
		test -z "$(ls -A "$empty")"
done
plan
