#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_jemalloc.sh: the versions of jemalloc: which configure takes, and that a function
# with another prototype ends the build; those that the build was not made with, from
# their sources, by the unit tests and the entry points. CI_FULL: all of them, by more
# tests, and with other caches.
. "${top_srcdir:-..}/tests/support/lib.sh"

: "${MAKE:=make}"
private="sh $top_srcdir/lib/jemalloc/private-jemalloc.sh"
syms=$top_srcdir/lib/jemalloc/jemalloc.syms
known=$($private versions "$syms" | tr -d ,)

# configured DIR ARGUMENT...: in $work/DIR; what it says is in $work/DIR.log.
configured() {
	configured_dir=$work/$1 configured_log=$work/$1.log
	shift
	mkdir -p "$configured_dir"
	(cd "$configured_dir" && "$top_srcdir/configure" --quiet --enable-werror \
		--cache-file="$work/config.cache" "$@") >"$configured_log" 2>&1
}

# refused WHAT TEXT DIR ARGUMENT...: configure ends, and says TEXT.
refused() {
	refused_what=$1 refused_text=$2
	shift 2
	configured "$@"
	refused_status=$?
	expect "$refused_what is refused" test $refused_status -ne 0
	expect "$refused_what: that is said" grep -q "$refused_text" "$configured_log"
}

# The archive that this build was made with, and others that are made from it.
archive=$(sed -n 's/^JEMALLOC_ARCHIVE = //p' "$top_builddir/Makefile")
case $archive in /*) ;; *) archive=$top_builddir/$archive ;; esac
built_with=$(sed -n 's/^JEMALLOC_VERSION = //p' "$top_builddir/Makefile")
expect "--with-jemalloc=ARCHIVE" configured named --with-jemalloc="$archive"
cp "$archive" "$work/poor.a"
ar d "$work/poor.a" ehooks.pic.o ehooks.o 2>/dev/null
refused "an archive without the names" 'lacks.* je_extent_alloc_mmap (ehooks)' poor \
	--with-jemalloc="$work/poor.a"
refused "an archive that is not there" "no $work/none.a" none \
	--with-jemalloc="$work/none.a"
sed 's/5\.3\.\([0-9]\)-0-g/5.4.\1-0-g/' "$archive" >"$work/unknown.a"
refused "an unknown version" "is jemalloc 5\.4\.[0-9]-0-g" unknown \
	--with-jemalloc="$work/unknown.a"
for version in $known; do
	expect "an unknown version: $version is named" \
		grep -q "works with:.* ${version}[,.]" "$work/unknown.log"
done
expect "an unknown version: the way out is named" \
	grep -q -e '--with-jemalloc-source=DIR' "$work/unknown.log"
refused "a source that is not there" "no $work/none/configure" nosource \
	--with-jemalloc-source="$work/none"
mkdir -p "$work/a source"
cp "$top_srcdir/configure" "$work/a source"
refused "a source with a space" "source of jemalloc must not have a space" space \
	--with-jemalloc-source="$work/a source"
refused "a prefix with a space" "a prefix must not have a space" space --prefix="$work/a b"
refused "a build with a space" "build in must not have a space.*/a b$" "a b"
refused "a build with a colon" "build in must not have a space.*/a:b$" "a:b"
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
	expect "musl: that is said" grep -q 'needs glibc' "$work/musl.log"
else
	skip "musl is refused" "no musl-gcc here"
fi

# checked VERSION CONF TEST...: in the build of it, of programs no more than they need; on
# tmpfs, since what is on other file systems does not depend on jemalloc.
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

# stops VERSION WHAT FILE SED: with FILE of its headers changed, the build ends.
stops() {
	cp "$source/$3" "$work/kept"
	chmod u+w "$source/$3" "$source/${3%/*}"
	sed "$4" "$work/kept" >"$source/$3"
	expect "$1: $2: the header was another" sh -c "! cmp -s '$work/kept' '$source/$3'"
	rm -f "$work/$1/lib/jemalloc_prototypes.o"
	$MAKE -s -C "$work/$1" lib/jemalloc_prototypes.o >"$work/stops" 2>&1
	stops_status=$?
	expect "$1: $2: the build ends" test $stops_status -ne 0
	cp "$work/kept" "$source/$3"
	expect "$1: and goes on with the right one" \
		$MAKE -s -C "$work/$1" lib/jemalloc_prototypes.o
}

headers=include/jemalloc/internal
unit_tests=
[ ! -x "$programs/entry/check_entry" ] ||
	unit_tests="tests/unit/check_ranges tests/unit/check_settings tests/unit/check_pool"
programs_of="$unit_tests tests/entry/check_entry tests/entry/extent_hooks"
tests="$unit_tests tests/entry/test_contract.sh"
confs=none without=--disable-debug-variant
if [ -n "${CI_FULL-}" ]; then
	programs_of='' without=''
	tests="$tests tests/pool/test_capacity.sh tests/faults/test_page_requests.sh
		$(cd "$top_srcdir" && ls tests/fork/test_*.sh | grep -v -e locks)"
	confs="none tcache_nslots_small_max:8 tcache:false"
fi
for version in $known; do
	if [ "$version$confs" = "${built_with}none" ]; then
		skip "jemalloc $version from its source" "this build has it: CI_FULL=1"
		continue
	elif ! jemalloc_source "$version"; then
		skip "jemalloc $version from its source" \
			"no archive within reach has the source"
		continue
	fi
	source=$jemalloc_source
	chmod -R a-w "$source"
	: >"$work/mark"
	# shellcheck disable=SC2086 # a word, or none
	expect "jemalloc $version: configure --with-jemalloc-source" configured \
		"$version" --with-jemalloc-source="$source" $without
	expect "jemalloc $version: make" $MAKE -s -j "$(nproc)" -C "$work/$version"
	expect "jemalloc $version: its source is left alone" test -z "$(
		find "$source" -newer "$work/mark")"
	for conf in $confs; do
		[ "$conf" != none ] || conf=
		# shellcheck disable=SC2086 # names of tests
		expect "jemalloc $version: tests${conf:+ with $conf}" \
			checked "$version" "$conf" $tests
	done
	stops "$version" "a replaced function with an argument more" \
		"$headers/extent_mmap.h" 's/\*commit)/*commit, int more)/'
	stops "$version" "a function that is called with an argument more" \
		"$headers/arena_externs.h" \
		'0,/bool all);/s//bool all, int more);/'
	stops "$version" "a variable of another type" \
		"$headers/tcache_externs.h" 's/extern bool *opt_tcache;/extern int opt_tcache;/'
	chmod -R u+w "$source"
done

# Another version is taken for the newest, and has to have its names.
newest=$version
[ "$newest" = "$built_with" ] || archive=$work/$newest/jemalloc/lib/libjemalloc_pic.a
if [ -e "$archive" ]; then
	sed 's/5\.3\.\([0-9]\)-0-g/5.4.\1-0-g/' "$archive" >"$work/unknown.a"
	expect "--enable-untested-jemalloc takes an unknown version" configured untested \
		--with-jemalloc="$work/unknown.a" --enable-untested-jemalloc
	expect "and says that nobody tested it" \
		grep -q 'WARNING: jemalloc 5\.4\..* was not tested' "$work/untested.log"
else
	skip "--enable-untested-jemalloc" "no archive of jemalloc $newest here"
fi
plan
