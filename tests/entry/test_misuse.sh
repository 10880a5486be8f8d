#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_misuse.sh: what the debug variant says to a program that misuses its heap.
. "${top_srcdir:-..}/tests/support/lib.sh"

# misuse LEVEL WHAT: runs it; its status, address and messages are left behind.
misuse() {
	on_pool debug env VMMALLOC_LOG_LEVEL="$1" "$programs/entry/misuse" "$2" \
		>"$work/out" 2>"$work/err"
	status=$?
	address=$(cat "$work/out")
}

# aborts WHAT CALL REASON: with SIGABRT, after a message that has all of them, which at
# level 1 is in the trace as well.
aborts() {
	for level in 0 1; do
		misuse "$level" "$1"
		expect "$1, level $level: aborts" test "$status" -eq 134
		message="$2 of $address: $3"
		expect "$1, level $level: the message" grep -q \
			"^Error (libvmmalloc): $message" "$work/err"
		if [ "$level" = 1 ]; then
			expect "$1: the line" grep -q \
				"^<libvmmalloc>: <1> \[[a-z]*\.c:[0-9]* [a-z_]*\] $message" \
				"$work/err"
		else
			expect "$1: no line without a level" \
				sh -c "! grep '^<libvmmalloc>' '$work/err'"
		fi
	done
}

# says WHAT LINE: it is said at level 1, and the program goes on.
says() {
	misuse 1 "$1"
	expect "$1: goes on" test "$status" -eq 0
	expect "$1: the line" grep -q \
		"^<libvmmalloc>: <1> \[[a-z]*\.c:[0-9]* [a-z_]*\] $2" "$work/err"
	misuse 0 "$1"
	expect "$1: nothing without a level" test "$status" -eq 0 -a ! -s "$work/err"
}

if [ -e "$(library debug)" ]; then
	# A core for each would be of no use to anybody.
	ulimit -c 0
	aborts double-free free "freed before"
	aborts double-free-later free "freed before"
	aborts realloc-dead realloc "freed before"
	aborts free-inside free \
		"never given out, it lies 32 bytes into the block of size 100 at 0x"
	aborts free-odd free \
		"never given out, it lies 3 bytes into the block of size 100 at 0x"
	aborts free-never free "never given out"
	aborts overrun-by-one free "written to behind its end"
	aborts free-nowhere free "there is no memory at that address"
	aborts free-bits free "there is no memory at that address"
	aborts realloc-nowhere realloc "there is no memory at that address"
	aborts free-foreign free "not of the pool, and libc has given no block"
	aborts free-chunk free "not of the pool, and libc has given no block"
	aborts overrun-zero free "written to behind its end"
	aborts overrun-far realloc "written to behind its end"
	aborts overrun-empty free "written to behind its end"
	aborts dallocx-twice dallocx "freed before"
	aborts sallocx-dead "sallocx or xallocx" "freed before"
	says wrong-size "free with a size of 0x[0-9a-f]*: said to have size 64, has 100"
	says usable-dead "malloc_usable_size of 0x[0-9a-f]*: freed before"
	misuse 1 nothing
	expect "no misuse: nothing is said" test "$status" -eq 0 -a ! -s "$work/err"
else
	skip "misuse" "the debug variant was not built"
fi
plan
