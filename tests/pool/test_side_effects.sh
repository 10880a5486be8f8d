#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_side_effects.sh: the library prints nothing, leaves no file, and creates no thread.
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
		expect "$variant, VMMALLOC_FORK=$fork: the library prints nothing" \
			test ! -s "$work/out"
		expect "$variant, VMMALLOC_FORK=$fork: no file is left" \
			test -z "$(ls -A "$empty")"
	done

	# A program may have a jemalloc of its own. Its settings are not for the library.
	VMMALLOC_POOL_DIR=$empty on_pool "$variant" \
		env MALLOC_CONF=stats_print:true,confirm_conf:true,nonsense:1 \
		"$programs/support/churn" 1000 >"$work/out" 2>&1
	expect "$variant: the library ignores MALLOC_CONF" test ! -s "$work/out"
	VMMALLOC_POOL_DIR=$empty on_pool "$variant" "$work/has_conf" \
		>"$work/out" 2>&1
	expect "$variant: the library ignores the program's malloc_conf" test ! -s "$work/out"

	# While the program runs, the library has no thread, and one descriptor with a high
	# number and close-on-exec. The pool file has no name.
	VMMALLOC_POOL_DIR=$empty on_pool "$variant" "$programs/pool/own_process" \
		>"$work/out" 2>&1
	expect "$variant: the process has one thread" grep -q '^threads 1$' "$work/out"
	expect "$variant: one descriptor, high, close-on-exec, mode 600" \
		grep -q '^descriptors 1 high 1 cloexec 1 mode 600$' "$work/out"
	expect "$variant: the pool file has no name" grep -q '^names 0$' "$work/out"
	comment "$work/out"

	# The pool file must not become standard input.
	VMMALLOC_POOL_DIR=$empty on_pool "$variant" "$programs/pool/own_process" \
		>"$work/out" 2>&1 <&-
	expect "$variant: with stdin closed the pool has a high descriptor" \
		grep -q '^descriptors 1 high 1 cloexec 1 mode 600$' "$work/out"

	VMMALLOC_POOL_DIR=$empty on_pool "$variant" \
		sh -c "ulimit -n 32; exec $programs/pool/own_process" >"$work/out" 2>&1
	expect "$variant: with few descriptors allowed the pool has a high one" \
		grep -q '^descriptors 1 high 1 cloexec 1 mode 600$' "$work/out"

	# A killed process leaves no file.
	VMMALLOC_POOL_DIR=$empty on_pool "$variant" sh -c 'kill -9 $$' \
		>/dev/null 2>&1
	expect "$variant: a killed process leaves no file" \
		test -z "$(ls -A "$empty")"
done
plan
