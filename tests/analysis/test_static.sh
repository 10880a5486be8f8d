#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_static.sh: clang-tidy and cppcheck have no findings.
. "${top_srcdir:-..}/tests/support/lib.sh"

cd "$top_srcdir" || exit 99

# C files only: there is little C++.
library="$(ls lib/*/*.c bin/*.c)"
benchmark="$(ls bench/*.c)"
tests="$(ls tests/*/*.c tests/analysis/fuzz/*.c)"

findings() {
	if [ -s "$1" ]; then
		not_ok "$2"
		comment "$1"
	else
		ok "$2"
	fi
}

# tidy WHAT FLAG CHECKS FILE...: runs the checks of .clang-tidy, as changed by CHECKS.
# shellcheck disable=SC2016 # for the other shell
tidy() {
	tidy_what="clang-tidy, $1"
	tidy_flag=$2
	tidy_checks=$3
	shift 3
	printf '%s\n' "$@" | xargs -n 6 -P "$(nproc)" sh -c 'flags=$0; checks=$1; shift
		clang-tidy --quiet --checks="$checks" "$@" -- $flags 2>&1 |
			grep -v "^[0-9]* warnings\{0,1\} generated"' \
		"$flags $tidy_flag" "$tidy_checks" >"$work/tidy"
	# Each finding has one of these words. An error of clang-tidy itself counts, too.
	grep -E 'warning:|error:' "$work/tidy" >"$work/found"
	findings "$work/found" "$tidy_what: $# files"
}

# Tests lose blocks, use the size 0, and call functions with wrong arguments. Their
# numbers are small.
in_tests=-clang-analyzer-unix.Malloc,-clang-analyzer-optin.portability.UnixAPI
in_tests=$in_tests,-clang-analyzer-unix.Vfork,-clang-analyzer-security.insecureAPI.vfork
in_tests=$in_tests,-clang-analyzer-deadcode.DeadStores
in_tests=$in_tests,-clang-analyzer-optin.performance.Padding
in_tests=$in_tests,-bugprone-implicit-widening-of-multiplication-result
in_tests=$in_tests,-bugprone-signal-handler,-cert-sig30-c,-cert-env33-c
# The analyzer does not know that values in the tables of benchmarks are not 0.
in_bench=$in_tests,-clang-analyzer-core.DivideZero
in_bench=$in_bench,-clang-analyzer-core.UndefinedBinaryOperatorResult

# shellcheck disable=SC2086 # lists of files
all_tidy() {
	tidy "the library" "" "" $library
	tidy "the library's debug variant" -DVMMALLOC_DEBUG "" $library
	tidy "benchmarks" "" "$in_bench" $benchmark
	tidy "tests" "" "$in_tests" $tests
}

# shellcheck disable=SC2086 # a list of files
all_cppcheck() {
	for define in -UVMMALLOC_DEBUG -DVMMALLOC_DEBUG; do
		cppcheck --quiet --std=c11 --language=c --max-configs=4 -j "$(nproc)" \
			--enable=warning,performance,portability --inline-suppr \
			--suppressions-list=tests/analysis/cppcheck.txt $define \
			-D_GNU_SOURCE -D__linux__ -D__GLIBC__ -I"$top_builddir" -Ilib \
			-Iinclude -Itests $library $benchmark $tests \
			>"$work/cppcheck" 2>&1
		findings "$work/cppcheck" "cppcheck, $define"
	done
}

flags="-std=gnu11 -D_GNU_SOURCE -I$top_builddir -Ilib -Iinclude -Itests
	-DVMM_LIBRARY=\"release\" -DVMM_DEBUG_LIBRARY=\"debug\"
	$(${PKG_CONFIG:-pkg-config} --cflags check 2>/dev/null)"
if ! command -v clang-tidy >/dev/null 2>&1; then
	skip "clang-tidy" "needs clang-tidy"
elif ! "${PKG_CONFIG:-pkg-config}" --exists check 2>/dev/null; then
	skip "clang-tidy" "needs Check, for the header of unit tests"
else
	all_tidy
fi
if command -v cppcheck >/dev/null 2>&1; then
	all_cppcheck
else
	skip "cppcheck" "needs cppcheck"
fi
plan
