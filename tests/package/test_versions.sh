#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_versions.sh: all files that name the version of the project, or versions of
# jemalloc, name the same.
. "${top_srcdir:-..}/tests/support/lib.sh"

version=$(sed -n 's/^AC_INIT(\[libvmmalloc\], \[\([0-9.]*\)\].*/\1/p' "$top_srcdir/configure.ac")
expect "configure.ac has a version" test -n "$version"
rest=${version#*.}

# names WHAT FOUND: the version FOUND in WHAT is that of configure.ac.
names() {
	expect "$1 has the same version" test "${2:-none}" = "$version"
}
names NEWS "$(sed -n 's/^\([0-9][0-9.]*\),.*/\1/p' "$top_srcdir/NEWS" | head -n 1)"
names debian/changelog "$(sed -n '1s/^libvmmalloc (\([0-9.]*\)-.*/\1/p' \
	"$top_srcdir/debian/changelog")"
names libvmmalloc1.NEWS "$(sed -n '1s/^libvmmalloc (\([0-9.]*\)-.*/\1/p' \
	"$top_srcdir/debian/libvmmalloc1.NEWS")"
names libvmmalloc.spec "$(awk '$1 == "Version:" { print $2 }' \
	"$top_srcdir/rpm/libvmmalloc.spec")"
names "the spec's changelog" "$(sed -n 's/^\* .* - \([0-9.]*\)-.*/\1/p' \
	"$top_srcdir/rpm/libvmmalloc.spec" | head -n 1)"
names libvmmalloc.h "$(awk '/define VMMALLOC_M[AI][JN]OR_VERSION/ {
	printf "%s%s", $3, $2 ~ /MAJOR/ ? "." : "" }' "$top_srcdir/include/libvmmalloc.h").${rest#*.}"

# libtool makes the number of the library from CURRENT - AGE, AGE and REVISION.
names VMM_LDFLAGS "$(sed -n 's/.*-version-info \([0-9]*\):\([0-9]*\):\([0-9]*\) .*/\1 \2 \3/p' \
	"$top_srcdir/lib/Makefile.inc" | awk '{ print $1 - $3 "." $3 "." $2 }')"

# jemalloc: packages and documents have the versions that configure accepts.
known=$(sh "$top_srcdir/lib/jemalloc/private-jemalloc.sh" versions "$top_srcdir/lib/jemalloc/jemalloc.syms" |
	tr -d ,)
for known_version in $known; do
	expect "README.md names jemalloc $known_version" \
		grep -q "^jemalloc is .*$known_version" "$top_srcdir/README.md"
	next=$known_version
done
first=${known%% *}
next=${next%.*}.$((${next##*.} + 1))
expect "debian/control depends on libjemalloc-dev from ${first%.0}" \
	grep -q "libjemalloc-dev (>= ${first%.0})" "$top_srcdir/debian/control"
expect "debian/control depends on libjemalloc-dev before $next" \
	grep -q "libjemalloc-dev (<< $next~)" "$top_srcdir/debian/control"
packaged=$(sed -n 's/^%global jemalloc_version //p' "$top_srcdir/rpm/libvmmalloc.spec")
expect "the spec builds with one of these versions" sh -c "echo ' $known ' | grep -q ' $packaged '"
for file in README.md Makefile.am; do
	expect "$file names jemalloc $packaged, as the spec does" grep -q "jemalloc-$packaged\\.tar" "$top_srcdir/$file"
done
plan
