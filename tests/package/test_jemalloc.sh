#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_jemalloc.sh: versions of jemalloc. configure accepts known ones only. A function
# with another prototype ends the build. Known versions other than that of this build
# are built from source, and run the tests of units and entry points. CI_FULL: all known
# versions, more tests, and other settings of the tcache.
. "${top_srcdir:-..}/tests/support/lib.sh"

: "${MAKE:=make}"
private="sh $top_srcdir/lib/jemalloc/private-jemalloc.sh"
syms=$top_srcdir/lib/jemalloc/jemalloc.syms
known=$($private versions "$syms" | tr -d ,)

# configured DIR ARGUMENT...: runs configure in $work/DIR. Its output is in $work/DIR.log.
configured() {
	configured_dir=$work/$1 configured_log=$work/$1.log
	shift
	mkdir -p "$configured_dir"
	(cd "$configured_dir" && "$top_srcdir/configure" --quiet --enable-werror \
		--cache-file="$work/config.cache" "$@") >"$configured_log" 2>&1
}

# refused WHAT TEXT DIR ARGUMENT...: configure fails, and prints TEXT.
refused() {
	refused_what=$1 refused_text=$2
	shift 2
	configured "$@"
	refused_status=$?
	expect "$refused_what is refused" test $refused_status -ne 0
	expect "$refused_what: the message has the reason" grep -q "$refused_text" "$configured_log"
}

# The archive of this build, and changed copies of it.
archive=$(sed -n 's/^JEMALLOC_ARCHIVE = //p' "$top_builddir/Makefile")
case $archive in /*) ;; *) archive=$top_builddir/$archive ;; esac
built_with=$(sed -n 's/^JEMALLOC_VERSION = //p' "$top_builddir/Makefile")
expect "--with-jemalloc=ARCHIVE" configured named --with-jemalloc="$archive"
cp "$archive" "$work/poor.a"
ar d "$work/poor.a" ehooks.pic.o ehooks.o 2>/dev/null
refused "an archive without the names" 'lacks.* je_extent_alloc_mmap (ehooks)' poor \
	--with-jemalloc="$work/poor.a"
refused "an archive that does not exist" "no $work/none.a" none \
	--with-jemalloc="$work/none.a"
sed 's/5\.3\.\([0-9]\)-0-g/5.4.\1-0-g/' "$archive" >"$work/unknown.a"
refused "an unknown version" "is jemalloc 5\.4\.[0-9]-0-g" unknown \
	--with-jemalloc="$work/unknown.a"
for version in $known; do
	expect "an unknown version: the message names $version" \
		grep -q "works with:.* ${version}[,.]" "$work/unknown.log"
done
expect "an unknown version: the message names --with-jemalloc-source" \
	grep -q -e '--with-jemalloc-source=DIR' "$work/unknown.log"
refused "a source that does not exist" "no $work/none/configure" nosource \
	--with-jemalloc-source="$work/none"
mkdir -p "$work/a source"
cp "$top_srcdir/configure" "$work/a source"
refused "a source with a space" "source of jemalloc must not have a space" space \
	--with-jemalloc-source="$work/a source"
refused "a prefix with a space" "a prefix must not have a space" space --prefix="$work/a b"
refused "a build directory with a space" "build in must not have a space.*/a b$" "a b"
refused "a build directory with a colon" "build in must not have a space.*/a:b$" "a:b"
refused "an empty name" "has an empty value" empty --with-jemalloc-source=
refused "an archive and a source" "exclude each other" two --with-jemalloc="$archive" \
	--with-jemalloc-source="$work"
refused "--disable-shared" "has to be shared" static --disable-shared
if command -v musl-gcc >/dev/null 2>&1; then
	mkdir "$work/musl"
	(cd "$work/musl" && "$top_srcdir/configure" --quiet CC=musl-gcc) \
		>"$work/musl.log" 2>&1
	status=$?
	expect "musl is refused" test $status -ne 0
	expect "musl: the message has the reason" grep -q 'needs glibc' "$work/musl.log"
else
	skip "musl is refused" "needs musl-gcc"
fi

# checked VERSION CONF TEST...: runs the tests in the build of this version. make compiles
# only $programs_of, or all programs if it is empty. Only on tmpfs: other file systems do
# not depend on jemalloc.
checked() {
	checked_version=$1 checked_conf=$2
	shift 2
	checked_tests=$*
	set --
	[ -z "$programs_of" ] || set -- check_PROGRAMS="$programs_of" check_LTLIBRARIES=
	TEST_CONF=$checked_conf TEST_FILE_SYSTEMS=tmpfs TEST_TIMES=no \
		CI_FULL='' $MAKE -s -C "$work/$checked_version" \
		check TESTS="$checked_tests" "$@" >"$work/checked" 2>&1
	checked_status=$?
	grep -e '^FAIL' -e '^ERROR' -e '^# [A-Z]*:' "$work/checked"
	[ $checked_status -eq 0 ]
}

# stops VERSION WHAT FILE SED: the build fails after SED has changed the header FILE.
stops() {
	cp "$source/$3" "$work/kept"
	chmod u+w "$source/$3" "$source/${3%/*}"
	sed "$4" "$work/kept" >"$source/$3"
	expect "$1: $2: the header was changed" sh -c "! cmp -s '$work/kept' '$source/$3'"
	rm -f "$work/$1/lib/jemalloc_prototypes.o"
	$MAKE -s -C "$work/$1" lib/jemalloc_prototypes.o >"$work/stops" 2>&1
	stops_status=$?
	expect "$1: $2: the build fails" test $stops_status -ne 0
	cp "$work/kept" "$source/$3"
	expect "$1: $2: the build works with the right header" \
		$MAKE -s -C "$work/$1" lib/jemalloc_prototypes.o
}

headers=include/jemalloc/internal
unit_tests=
[ ! -x "$programs/entry/check_entry" ] ||
	unit_tests="tests/unit/check_ranges tests/unit/check_settings tests/unit/check_pool"
programs_of="$unit_tests tests/entry/check_entry tests/entry/extent_hooks"
short="$unit_tests tests/entry/test_entry_points.sh"
tests=$short other_forks=
confs=none without=--disable-debug-variant
if [ -n "${CI_FULL-}" ]; then
	programs_of='' without=''
	tests="$tests tests/pool/test_capacity.sh tests/faults/test_page_requests.sh
		tests/fork/test_heap.sh tests/fork/test_handlers.sh tests/fork/test_callers.sh
		tests/fork/test_return.sh"
	confs="none tcache_nslots_small_max:8 tcache:false"
	# Other tests of fork(2) depend less on jemalloc: they run once with each version.
	other_forks=$(cd "$top_srcdir" && ls tests/fork/test_*.sh |
		grep -v -e locks -e heap -e handlers -e callers -e return)
fi
for version in $known; do
	if [ "$version$confs" = "${built_with}none" ]; then
		skip "jemalloc $version from its source" "this build has it: set CI_FULL=1"
		continue
	elif ! jemalloc_source "$version"; then
		skip "jemalloc $version from its source" \
			"needs an archive with its source"
		continue
	fi
	source=$jemalloc_source
	chmod -R a-w "$source"
	: >"$work/mark"
	# shellcheck disable=SC2086 # a word, or none
	expect "jemalloc $version: configure --with-jemalloc-source" configured \
		"$version" --with-jemalloc-source="$source" $without
	expect "jemalloc $version: make" $MAKE -s -j "$(nproc)" -C "$work/$version"
	expect "jemalloc $version: the source is not changed" test -z "$(
		find "$source" -newer "$work/mark")"
	for conf in $confs; do
		case $version-$conf in
		"$built_with-none") list=$short ;; # all tests run with its archive
		*-none) list="$tests $other_forks" ;;
		*) list=$tests ;;
		esac
		[ "$conf" != none ] || conf=
		# shellcheck disable=SC2086 # names of tests
		expect "jemalloc $version: tests${conf:+ with $conf}" \
			checked "$version" "$conf" $list
	done
	stops "$version" "a replaced function with one more argument" \
		"$headers/extent_mmap.h" 's/\*commit)/*commit, int more)/'
	stops "$version" "a called function with one more argument" \
		"$headers/arena_externs.h" \
		'0,/bool all);/s//bool all, int more);/'
	stops "$version" "a variable of another type" \
		"$headers/tcache_externs.h" 's/extern bool *opt_tcache;/extern int opt_tcache;/'
	chmod -R u+w "$source"
done

# An untested version is treated like the newest known one, and must have its names.
newest=$version
[ "$newest" = "$built_with" ] || archive=$work/$newest/jemalloc/lib/libjemalloc_pic.a
if [ -e "$archive" ]; then
	sed 's/5\.3\.\([0-9]\)-0-g/5.4.\1-0-g/' "$archive" >"$work/unknown.a"
	expect "--enable-untested-jemalloc accepts an unknown version" configured untested \
		--with-jemalloc="$work/unknown.a" --enable-untested-jemalloc
	expect "--enable-untested-jemalloc: a warning that it was not tested" \
		grep -q 'WARNING: jemalloc 5\.4\..* was not tested' "$work/untested.log"
else
	skip "--enable-untested-jemalloc" "needs an archive of jemalloc $newest"
fi
plan
