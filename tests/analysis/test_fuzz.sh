#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_fuzz.sh: libFuzzer on the settings, the page ranges, the path of the log file and the
# entry points, each for FUZZ_SECONDS, from the corpus in tests/analysis/fuzz. FUZZ_KEEP=1:
# writes a minimised corpus back.
. "${top_srcdir:-..}/tests/support/lib.sh"

seconds=10
[ -z "${CI-}" ] || seconds=15
[ -z "${CI_FULL-}" ] || seconds=60
seconds=${FUZZ_SECONDS:-$seconds}
from=$top_srcdir/tests/analysis/fuzz
: "${CLANG:=clang}"
flags="-std=gnu11 -D_GNU_SOURCE -g -O1 -DVMMALLOC_DEBUG -fno-omit-frame-pointer
	-fno-sanitize-recover=all -I$top_builddir -I$top_srcdir/lib
	-I$top_srcdir/include -I$top_srcdir/tests"
sanitizers=address,undefined

# compiled DIR FLAGS SOURCE...: compiles to $work/DIR. Names of objects contain the
# path, since several folders have files of the same name.
# shellcheck disable=SC2016 # for the other shell
compiled() {
	mkdir -p "$work/$1"
	compiled_flags="$flags -fsanitize=fuzzer-no-link,$sanitizers $2"
	compiled_in=$work/$1
	shift 2
	printf '%s\n' "$@" | xargs -n 1 -P "$(nproc)" sh -c '
		exec $0 -c -o "$1/$(echo "$2" | tr / _).o" "$2"' \
		"$CLANG $compiled_flags" "$compiled_in"
}

linked() {
	linked_name=$1
	shift
	$CLANG -fsanitize=fuzzer,$sanitizers -o "$work/fuzz_$linked_name" "$@" -lpthread
}

# shellcheck disable=SC2046,SC2086 # lists of names
build() {
	compiled low "" $(below_jemalloc) || return 1
	for name in settings ranges paths; do
		compiled $name "" "$from/$name.c" &&
			linked $name "$work/$name"/*.o "$work"/low/*.o || return 1
	done
	build_calls calls_debug || return 1
	flags="$flags -UVMMALLOC_DEBUG"
	compiled low "" $(below_jemalloc) && build_calls calls
}

# The library without operator new, under other names: the fuzzer has a heap of its own.
# -fno-sanitize: impossible alignments are part of the input, and no finding.
# shellcheck disable=SC2046,SC2086 # lists of names
build_calls() {
	compiled "$1" "" $(above_pool) "$top_srcdir/lib/entry/profile.c" "$top_srcdir/tests/support/in_pool.c" &&
		compiled "$1" "-include $from/renamed.h -DSHADOW_LINKED \
-Wno-unknown-attributes -fno-sanitize=alignment" \
			"$top_srcdir/lib/entry/standard.c" "$top_srcdir/lib/entry/extended.c" \
			"$top_srcdir/lib/entry/fork.c" "$top_srcdir/lib/entry/start.c" \
			"$top_srcdir/lib/entry/glibc.c" "$from/calls.c" \
			"$top_srcdir"/tests/support/shadow*.c &&
		linked "$1" "$work/$1"/*.o "$work"/low/*.o \
			"$top_builddir/lib/jemalloc_private.o" -lgcc_eh -lm
}

# The corpus has a file for each fuzzer, and a line for each input: a format for
# printf(1), with octal numbers for most bytes.
unpack() {
	unpack_count=0
	mkdir -p "$2"
	while IFS= read -r line; do
		unpack_count=$((unpack_count + 1))
		# shellcheck disable=SC2059 # it is a format
		printf "$line" >"$2/$unpack_count"
	done <"$1"
}

pack() {
	for input in "$1"/*; do
		od -An -v -tu1 "$input" | awk '
			{
				for (i = 1; i <= NF; i++) {
					c = sprintf("%c", $i + 0)
					if ($i < 128 && c ~ /[A-Za-z0-9\/.,:_-]/)
						printf "%s", c
					else
						printf "\\%03o", $i
				}
			}
			END { print "" }'
	done | sort >"$2"
}

# begin PROGRAM CORPUS FLAGS...: starts a fuzzer in the background, in its own directory.
begin() {
	run=$work/run_$1
	program=$work/fuzz_$1
	mkdir -p "$run/corpus"
	[ ! -e "$from/corpus/$2" ] || unpack "$from/corpus/$2" "$run/corpus"
	shift 2
	echo "$*" >"$run/flags"
	(
		cd "$run" || exit
		$fuzz_env "$program" -max_total_time="$seconds" -print_final_stats=1 \
			-timeout=60 -rss_limit_mb=4096 -verbosity=1 "$@" corpus \
			>fuzz.out 2>&1
		echo $? >status
	) &
}

# end PROGRAM CORPUS: reports the result of a fuzzer.
end() {
	run=$work/run_$1
	fuzz_what="$2$([ "$1" = "$2" ] || echo " in the debug variant"): $(sed -n \
		's/^stat::number_of_executed_units: *//p' "$run/fuzz.out") inputs,\
 $seconds s"
	if [ "$(cat "$run/status")" = 0 ]; then
		ok "$fuzz_what"
		grep -E 'DONE|INITED' "$run/fuzz.out" | comment
		# shellcheck disable=SC2046 # words
		keep "$work/fuzz_$1" "$2" $(cat "$run/flags")
	else
		not_ok "$fuzz_what"
		grep -v -E '^#[0-9]|^INFO' "$run/fuzz.out" | comment
		for input in "$run"/crash-* "$run"/timeout-* "$run"/oom-*; do
			[ ! -e "$input" ] || od -An -v -tx1 "$input" | comment
		done
	fi
}

keep() {
	[ -n "${FUZZ_KEEP-}" ] || return 0
	keep_program=$1
	keep_name=$2
	shift 2
	rm -rf "$work/merged"
	mkdir "$work/merged"
	(cd "$work" && $fuzz_env "$keep_program" -merge=1 "$@" merged "$run/corpus") \
		>"$work/merge.out" 2>&1 || comment "$work/merge.out"
	# Keep only the smallest inputs, so that the corpus stays small.
	mkdir -p "$from/corpus" "$work/few"
	rm -rf "$work/few" && mkdir "$work/few"
	find "$work/merged" -type f -printf '%s %p\n' | sort -n |
		head -n "${FUZZ_KEEP_MOST:-60}" | while read -r _ input; do
		mv "$input" "$work/few/"
	done
	pack "$work/few" "$from/corpus/$keep_name"
}

fuzz_env=
echo 'int LLVMFuzzerTestOneInput(const char *d, long n) { return d == 0 && n; }' \
	>"$work/empty.c"
if ! $CLANG -fsanitize=fuzzer,$sanitizers -o "$work/empty" "$work/empty.c" \
	2>"$work/err" || ! "$work/empty" -runs=1 2>>"$work/err"; then
	skip "fuzzing" "needs clang with libFuzzer and sanitizers"
	plan
	exit 0
fi
expect "builds" build
# No reports of failed large allocations or of leaks: LeakSanitizer does not know the
# pool.
ASAN_OPTIONS=allocator_may_return_null=1:detect_leaks=0:handle_abort=1
export ASAN_OPTIONS
# Two at a time: each uses a whole processor.
begin settings settings -max_len=700 -len_control=10
begin ranges ranges -max_len=600 -len_control=0
wait
end settings settings
end ranges ranges
if [ "$(id -u)" -eq 0 ]; then
	begin paths paths -max_len=200
	wait
	end paths paths
else
	skip "paths" "needs root for chroot(2)"
fi
fuzz_env="env VMMALLOC_POOL_DIR=$pool_dir VMMALLOC_POOL_SIZE=16M"
begin calls calls -max_len=640 -len_control=0
begin calls_debug calls -max_len=640 -len_control=0
wait
end calls calls
end calls_debug calls
plan
