#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_misuse.sh: the debug variant reports programs that misuse their heaps.
. "${top_srcdir:-..}/tests/support/lib.sh"

# misuse LEVEL MISTAKE: runs the program. Sets $status and $address; its messages are in
# $work/err.
misuse() {
	on_pool debug env VMMALLOC_LOG_LEVEL="$1" "$programs/entry/misuse" "$2" \
		>"$work/out" 2>"$work/err"
	status=$?
	address=$(cat "$work/out")
}

# aborts MISTAKE CALL REASON: the program aborts. The message contains CALL and REASON, and at
# level 1 is in the trace as well.
aborts() {
	for level in 0 1; do
		misuse "$level" "$1"
		expect "$1, level $level: the program aborts" test "$status" -eq 134
		message="$2 of $address: $3"
		expect "$1, level $level: the message names the mistake" grep -q \
			"^Error (libvmmalloc): $message" "$work/err"
		if [ "$level" = 1 ]; then
			expect "$1: the trace names the mistake" grep -q \
				"^<libvmmalloc>: <1> \[[a-z]*\.c:[0-9]* [a-z_]*\] $message" \
				"$work/err"
		else
			expect "$1: at level 0 there is no trace" \
				sh -c "! grep '^<libvmmalloc>' '$work/err'"
		fi
	done
}

# reports MISTAKE LINE: at level 1 the trace has the line. The program goes on.
reports() {
	misuse 1 "$1"
	expect "$1: the program goes on" test "$status" -eq 0
	expect "$1: the trace names the mistake" grep -q \
		"^<libvmmalloc>: <1> \[[a-z]*\.c:[0-9]* [a-z_]*\] $2" "$work/err"
	misuse 0 "$1"
	expect "$1: at level 0 there is no message" test "$status" -eq 0 -a ! -s "$work/err"
}

if [ -e "$(library debug)" ]; then
	# The many aborts must not leave cores.
	ulimit -c 0
	aborts double-free free "freed before"
	aborts double-free-later free "freed before"
	aborts realloc-freed realloc "freed before"
	aborts free-inside free \
		"never given out, it lies 32 bytes into the block of size 100 at 0x"
	aborts free-unaligned free \
		"never given out, it lies 3 bytes into the block of size 100 at 0x"
	aborts free-unallocated free "never given out"
	aborts overrun-by-one free "written to behind its end"
	aborts free-unmapped free "there is no memory at that address"
	aborts free-invalid free "there is no memory at that address"
	aborts realloc-unmapped realloc "there is no memory at that address"
	aborts free-static free "not of the pool, and libc has given no block"
	aborts free-fake-block free "not of the pool, and libc has given no block"
	aborts overrun-by-zero-byte free "written to behind its end"
	aborts overrun-far realloc "written to behind its end"
	aborts overrun-empty free "written to behind its end"
	aborts dallocx-twice dallocx "freed before"
	aborts sallocx-freed "sallocx or xallocx" "freed before"
	reports wrong-size "free with a size of 0x[0-9a-f]*: said to have size 64, has 100"
	reports usable-size-freed "malloc_usable_size of 0x[0-9a-f]*: freed before"
	misuse 1 nothing
	expect "no misuse: there is no message" test "$status" -eq 0 -a ! -s "$work/err"
else
	skip "misuse" "the debug variant was not built"
fi
plan
