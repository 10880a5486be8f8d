#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_vm.sh: pools on emulated persistent memory, and on two memory nodes, in a virtual
# machine.
. "${top_srcdir:-..}/tests/support/lib.sh"

what="persistent memory, memory nodes"
if [ -z "${CI_FULL-}" ]; then
	skip "$what" "takes up to an hour in an emulator: set CI_FULL=1"
	plan
	exit
fi
in_machine "$what" "$top_srcdir/tests/places/vm/run"
plan
