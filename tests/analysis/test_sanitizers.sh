#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_sanitizers.sh: unit tests under the compiler's sanitizers, the library under
# UBSan, and programs under valgrind's memcheck, which does not replace the library's
# malloc.
. "${top_srcdir:-..}/tests/support/lib.sh"

: "${CC:=cc}"

# below SANITIZER: prints the sources below jemalloc. With ThreadSanitizer
# stop_without_helper.c replaces the files that make the helper process, and a define leaves
# out the tests of these files.
below() {
	if [ "$1" = thread ]; then
		below_jemalloc | grep -v -e /os/linux_stop -e /os/linux_task
		echo "-DSTOP_WITHOUT_HELPER $top_srcdir/tests/analysis/stop_without_helper.c"
	else
		below_jemalloc
	fi
}

# compile OUTPUT FLAGS...: compiles and links. Prints the compiler's messages if it fails.
# shellcheck disable=SC2086 # flags are words
compile() {
	compile_output=$1
	shift
	$CC -std=gnu11 -D_GNU_SOURCE -g -O1 -I"$top_builddir" -I"$top_srcdir/lib" \
		-I"$top_srcdir/include" -o "$compile_output" "$@" \
		>"$work/compile" 2>&1 || { cat "$work/compile"; return 1; }
}

has_sanitizer() {
	echo 'int main(void) { return 0; }' >"$work/empty.c"
	$CC "-fsanitize=$1" -o "$work/empty" "$work/empty.c" 2>"$work/err" &&
		"$work/empty" 2>>"$work/err"
}

# unit NAME SANITIZERS: builds and runs a program of unit tests. A finding of the
# sanitizer ends it.
# shellcheck disable=SC2016,SC2046,SC2086 # for the other shell; lists of names, flags
unit() {
	expect "$1 under $2: builds" compile "$work/$1" "-fsanitize=$2" -DVMM_SYS_LIBC \
		-fno-sanitize-recover=all $check_flags $(below "$2") \
		"$top_srcdir/tests/unit/$1"*.c \
		"$top_srcdir/tests/unit/check_main.c" $check_libs -lpthread
	[ -x "$work/$1" ] || return
	(cd "$work" && "./$1") >"$work/tap" 2>&1
	unit_status=$?
	expect "$1 under $2: no findings" test $unit_status -eq 0
	expect "$1 under $2: $(grep -c '^ok' "$work/tap") tests pass" \
		sh -c '! grep -q "^not ok" "$1" && grep -q "^ok" "$1"' sh "$work/tap"
	if [ $unit_status -ne 0 ] || grep -q "^not ok" "$work/tap"; then
		comment "$work/tap"
	fi
	rm -f "$work/$1"
}

units() {
	check_flags="-DVMMALLOC_DEBUG $(${PKG_CONFIG:-pkg-config} --cflags check \
		2>/dev/null)"
	check_libs=$(${PKG_CONFIG:-pkg-config} --libs check 2>/dev/null)
	if [ -z "$check_libs" ]; then
		skip "unit tests" "needs Check"
		return
	fi
	for sanitizers in address,undefined thread; do
		if ! has_sanitizer $sanitizers; then
			skip "$sanitizers" "needs a $CC with these sanitizers"
			continue
		fi
		for name in check_ranges check_settings check_pool; do
			unit $name $sanitizers
		done
	done
}

# The library under UBSan, with a trap for each finding: the runtime of UBSan would call
# the malloc that it checks.
# shellcheck disable=SC2046,SC2086 # lists of names
undefined() {
	if ! has_sanitizer undefined; then
		skip "the library under UBSan" "needs a $CC with UBSan"
		return
	fi
	for variant in $(variants); do
		define=
		[ "$variant" = release ] || define=-DVMMALLOC_DEBUG
		expect "$variant under UBSan: builds" compile "$work/ubsan.so" -shared \
			-fPIC -fvisibility=hidden $define -fsanitize=undefined \
			-fsanitize-undefined-trap-on-error \
			-Wl,--version-script="$top_srcdir/lib/entry/libvmmalloc.map" \
			$(below_jemalloc) $(above_pool) $(sources_in entry | grep -v dlopen) \
			"$top_builddir/lib/jemalloc_private.o" -lgcc_eh -lm -lpthread
		under_ubsan "$variant"
	done
}

under_ubsan() {
	for program in "support/churn 300000" "entry/operators" "fork/model 3" \
		"load/soak 3" "pool/exhaustion 0"; do
		# shellcheck disable=SC2086 # a program and its argument
		set -- $program
		run=$programs/$1
		shift
		VMMALLOC_FORK=2 expect "$variant under UBSan: ${run##*/}" \
			env VMMALLOC_POOL_DIR="$pool_dir" VMMALLOC_POOL_SIZE=64M \
			LD_PRELOAD="$work/ubsan.so" "$run" "$@"
	done
}

# By default valgrind replaces every malloc. With nouserintercepts it keeps the
# library's, and checks it like other code.
memcheck() {
	if ! command -v valgrind >/dev/null 2>&1; then
		skip "valgrind" "needs valgrind"
		return
	fi
	for variant in $(variants); do
		for program in true "support/churn 3000" pool/own_process fork/handlers \
			"trace/trace each"; do
			memcheck_one "$variant" "$program"
		done
	done
}

memcheck_one() {
	variant=$1
	# shellcheck disable=SC2086 # a program and its argument
	set -- $2
	run=$programs/$1
	[ "$1" != true ] || run=/bin/true
	shift
	expect "$variant under memcheck: ${run##*/}" on_pool "$variant" \
		valgrind -q --soname-synonyms=somalloc=nouserintercepts \
		--error-exitcode=66 "$run" "$@"
}

units
undefined
memcheck
plan
