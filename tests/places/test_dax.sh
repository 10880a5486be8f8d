#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_dax.sh: pools on emulated persistent memory, in a virtual machine.
. "${top_srcdir:-..}/tests/support/lib.sh"

what="persistent memory"
if [ -z "${CI_FULL-}" ]; then
	skip "$what" "takes up to an hour in an emulator: set CI_FULL=1"
	plan
	exit
fi
"$top_srcdir/tests/places/dax/run" >"$work/dax" 2>"$work/err"
status=$?
reason=$(sed -n 's/^1\.\.0 # SKIP //p' "$work/dax")
if [ -n "$reason" ]; then
	skip "$what" "$reason"
else
	comment "$work/err"
	(exit $status)
	tap "$work/dax" dax
fi
plan
