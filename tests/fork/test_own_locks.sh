#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_own_locks.sh: the library's own locks under ThreadSanitizer, through fork(2).
. "${top_srcdir:-..}/tests/support/lib.sh"

: "${CC:=cc}"

# ThreadSanitizer does not know the helper process, which shares memory without being a
# thread. own_locks.c replaces the functions that make the helper.
files=$(below_jemalloc | grep -v -e /os/linux_stop -e /os/linux_task)
# shellcheck disable=SC2086 # files and flags are words
build() {
	$CC -std=gnu11 -D_GNU_SOURCE -g -O1 -fsanitize=thread -DVMM_SYS_LIBC -I"$top_builddir" \
		-I"$top_srcdir/lib" -I"$top_srcdir/include" "$@" -o "$work/own_locks" \
		$files "$top_srcdir/tests/fork/own_locks.c" -lpthread
}

echo 'int main(void) { return 0; }' >"$work/empty.c"
if ! $CC -fsanitize=thread -o "$work/empty" "$work/empty.c" 2>"$work/err" ||
	! "$work/empty" 2>>"$work/err"; then
	skip "locks" "$CC has no ThreadSanitizer that works here"
	plan
	exit 0
fi
# Two functions race by design. copy_pages copies memory that other threads are writing, and
# copies it again when the threads are stopped, if it has changed. keep_in_core writes
# back the value that it has read, so that a core dump has the page.
printf 'race:^copy_pages$\nrace:^keep_in_core$\n' >"$work/suppressions"
TSAN_OPTIONS="exitcode=66 suppressions=$work/suppressions"
export TSAN_OPTIONS
for variant in $(variants); do
	define=
	[ "$variant" = release ] || define=-DVMMALLOC_DEBUG
	expect "$variant: builds with ThreadSanitizer" build $define
	for fork in 1 2 3; do
		expect "$variant, VMMALLOC_FORK=$fork: no data race, no wrong order of locks" \
			"$work/own_locks" "$pool_dir" $fork
	done
done
plan
