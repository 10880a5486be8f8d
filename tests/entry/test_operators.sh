#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_operators.sh: operator new and delete of C++, in every form, and exceptions. If a
# program replaces some of them, the others call the same operators as without the library.
. "${top_srcdir:-..}/tests/support/lib.sh"

if [ ! -x "$programs/entry/operators" ]; then
	skip "C++ operators" "needs a C++17 compiler"
	plan
	exit
fi
for variant in $(variants); do
	expect "$variant: C++ operators and exceptions" \
		on_pool "$variant" "$programs/entry/operators"
done

# replaces OPERATOR...: compares the output of a program that replaces these operators.
replaces() {
	# shellcheck disable=SC2046,SC2086 # a compiler and flags; a word for each operator
	if ! $CXX -std=gnu++17 -fno-builtin -w $(printf ' -D%s' "$@") -o "$work/replaced" \
		"$top_srcdir/tests/entry/operators_replaced.cc" 2>"$work/err" ||
		! "$work/replaced" >"$work/expected"; then
		not_ok "$*: the program runs without the library"
		comment "$work/err"
		return
	fi
	for variant in $(variants); do
		on_pool "$variant" "$work/replaced" >"$work/out" 2>&1
		expect "$variant: a program replaces $*" diff "$work/expected" "$work/out"
	done
}

for array in "" _ARRAY; do
	for aligned in "" _ALIGNED; do
		new=NEW$array$aligned
		delete=DELETE$array$aligned
		for operator in "$new" "${new}_NOTHROW" "$delete" "${delete}_SIZED" \
			"${delete}_NOTHROW" "$new $delete"; do
			# shellcheck disable=SC2086 # words
			replaces $operator
		done
	done
done
replaces NEW DELETE NEW_ARRAY DELETE_ARRAY
replaces NEW DELETE NEW_ARRAY DELETE_ARRAY NEW_ALIGNED DELETE_ALIGNED \
	NEW_ARRAY_ALIGNED DELETE_ARRAY_ALIGNED
plan
