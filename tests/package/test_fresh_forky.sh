#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_fresh_forky.sh: the two commands of README.md on a fresh Debian testing. Only with
# CI_FULL=1: up to 40 minutes on a busy machine.
. "${top_srcdir:-..}/tests/support/lib.sh"

suite=forky
. "$top_srcdir/tests/package/fresh.sh"
