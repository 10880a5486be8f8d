#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_locks.sh: the library's own locks under ThreadSanitizer, through fork(2).
. "${top_srcdir:-..}/tests/support/lib.sh"

: "${CC:=cc}"

# A helper that shares memory without being a thread is nothing that ThreadSanitizer knows:
# fork_locks.c has functions in place of those that make one.
files=$(below_jemalloc | grep -v -e /os/linux_stop -e /os/linux_task)
# shellcheck disable=SC2086 # files and flags are words
build() {
	$CC -std=gnu11 -D_GNU_SOURCE -g -O1 -fsanitize=thread -DVMM_SYS_LIBC -I"$top_builddir" \
		-I"$top_srcdir/lib" -I"$top_srcdir/include" "$@" -o "$work/locks" \
		$files "$top_srcdir/tests/fork/locks.c" -lpthread
}

echo 'int main(void) { return 0; }' >"$work/empty.c"
if ! $CC -fsanitize=thread -o "$work/empty" "$work/empty.c" 2>"$work/err" ||
	! "$work/empty" 2>>"$work/err"; then
	skip "locks" "$CC has no ThreadSanitizer that works here"
	plan
	exit 0
fi
# The library copies what other threads are writing, and copies again what has changed
# when they stand still (put); it stores what is there already, so that a core dump has it
# (keep_in_core).
printf 'race:^put$\nrace:^keep_in_core$\n' >"$work/suppressions"
TSAN_OPTIONS="exitcode=66 suppressions=$work/suppressions"
export TSAN_OPTIONS
for variant in $(variants); do
	define=
	[ "$variant" = release ] || define=-DVMMALLOC_DEBUG
	expect "$variant: builds" build $define
	for fork in 1 2 3; do
		expect "$variant, fork $fork: no data race, no wrong order" \
			"$work/locks" "$pool_dir" $fork
	done
done
plan
