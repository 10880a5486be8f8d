#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_operators.sh: operator new and delete of C++, in every form, and exceptions.
. "${top_srcdir:-..}/tests/support/lib.sh"

for variant in $(variants); do
	if [ ! -x "$programs/entry/operators" ]; then
		skip "$variant: C++ operators" "needs a C++17 compiler"
		continue
	fi
	expect "$variant: C++ operators and exceptions" \
		on_pool "$variant" "$programs/entry/operators"
	expect "$variant: C++ operators that a program replaces" \
		on_pool "$variant" "$programs/entry/operators_replaced"
done
plan
