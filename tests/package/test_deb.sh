#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_deb.sh: Debian packages, made only from the tarball. With CI_FULL=1 also in fresh
# Debian systems, where they are installed, tested and purged: about 4 minutes for each
# system.
. "${top_srcdir:-..}/tests/support/lib.sh"

: "${MAKE:=make}"

# made DIR: configures in $work/DIR and makes the packages there, without running tests
# again.
made() {
	mkdir -p "$work/$1"
	(cd "$work/$1" && "$top_srcdir/configure" --quiet &&
		DEB_BUILD_OPTIONS=nocheck $MAKE -s deb)
}

if ! command -v dpkg-buildpackage >/dev/null 2>&1 ||
	! command -v dh >/dev/null 2>&1; then
	skip "make deb" "needs dpkg-buildpackage and debhelper"
	plan
	exit
fi
expect "make deb" made a
packages=$work/a/deb

# Names and files.
ls "$packages" | sed -n 's/_.*\.deb$//p' | grep -v dbgsym | sort | tr '\n' ' ' \
	>"$work/names"
expect "four packages" test "$(cat "$work/names")" = \
	"libvmmalloc-dev libvmmalloc1 libvmmalloc1-debug vmmalloc "
# has PACKAGE PATTERN...: the package has a file for each pattern.
has() {
	package=$1
	shift
	dpkg-deb -c "$packages/$package"_*.deb | awk '{ print $6 }' >"$work/files"
	for pattern in "$@"; do
		expect "$package: $pattern" grep -q "$pattern\$" "$work/files"
	done
}
has libvmmalloc1 'lib/[^/]*/libvmmalloc\.so\.1' 'man7/libvmmalloc\.7\.gz' \
	'doc/libvmmalloc1/NEWS.*' 'doc/libvmmalloc1/README.*'
for package in libvmmalloc1 libvmmalloc1-debug; do
	dpkg-deb --fsys-tarfile "$packages/$package"_*.deb | tar -xO --wildcards \
		'*/copyright.jemalloc' >"$work/jemalloc"
	expect "$package: jemalloc's licence" \
		cmp "$work/jemalloc" /usr/share/doc/libjemalloc-dev/copyright
	build_id=$(dpkg-deb --fsys-tarfile "$packages/$package"_*.deb |
		tar -xO --wildcards '*/libvmmalloc.so.*.*' >"$work/library" &&
		readelf -n "$work/library" | sed -n 's/.*Build ID: //p')
	expect "$package: debug symbols" sh -c "
		dpkg-deb -c '$packages/$package'-dbgsym_*.deb | grep -q \
			'${build_id#??}\.debug'"
done
has libvmmalloc1-debug 'lib/[^/]*/vmmalloc_debug/libvmmalloc\.so\.1' \
	'lib/[^/]*/vmmalloc_debug/libvmmalloc\.so'
has libvmmalloc-dev 'include/libvmmalloc\.h' 'lib/[^/]*/libvmmalloc\.so' \
	'pkgconfig/vmmalloc\.pc' 'pkgconfig/libvmmalloc\.pc'
has vmmalloc 'bin/vmmalloc' 'man1/vmmalloc\.1\.gz' 'completions/vmmalloc'
expect "Static-Built-Using names jemalloc" sh -c "
	dpkg-deb -f '$packages'/libvmmalloc1_*.deb Static-Built-Using |
		grep '^jemalloc (= '"

# The symbols file has the same names as the map.
letter=m
[ "$(getconf LONG_BIT)" = 64 ] || letter=j
dpkg-deb -R "$packages"/libvmmalloc1_*.deb "$work/unpacked"
sed -n 's/^ \(.*\)@Base.*/\1/p' "$work/unpacked/DEBIAN/symbols" | sort >"$work/has"
sed -n -e 's/#.*//' -e '/^local:/q' -e 's/^[[:space:]]*\([A-Za-z_].*\);$/\1/p' \
	"$top_srcdir/lib/entry/libvmmalloc.map" | sed "s/\[jm\]/$letter/" |
	sort >"$work/map"
expect "symbols: every exported function" diff "$work/map" "$work/has"

# The ELF files are hardened.
dpkg-deb -x "$packages"/libvmmalloc1-debug_*.deb "$work/unpacked"
dpkg-deb -x "$packages"/vmmalloc_*.deb "$work/unpacked"
for file in $(find "$work/unpacked" -type f -name 'libvmmalloc.so.*') \
	"$work/unpacked/usr/bin/vmmalloc"; do
	name=${file#"$work/unpacked/"}
	readelf -ldW "$file" >"$work/elf"
	expect "$name: RELRO" grep -q GNU_RELRO "$work/elf"
	expect "$name: symbols are bound at the start" grep -q 'BIND_NOW\|FLAGS.*NOW' "$work/elf"
	expect "$name: no executable stack" grep -q 'GNU_STACK.* RW ' "$work/elf"
	expect "$name: no text relocations" sh -c "! grep -q TEXTREL '$work/elf'"
	expect "$name: stripped" sh -c "! readelf -SW '$file' | grep -q '\.symtab'"
	if command -v hardening-check >/dev/null 2>&1; then
		# Debian 12 does not require control flow protection.
		expect "$name: hardening-check" hardening-check --nocfprotection \
			"$file"
	fi
done

# Tags of lintian that may appear. Only the publisher of releases can add an address and
# signatures, and upstream's tarball itself contains debian/.
unpublished="-e no-homepage-field -e upstream-metadata-file-is-missing
	-e no-debian-changes -e debian-watch-does-not-check-openpgp-signature"
if command -v lintian >/dev/null 2>&1; then
	# An older lintian does not know these parts of the policy. Debian 13's runs
	# below.
	TMPDIR=$work lintian --allow-root --pedantic -EviIL +pedantic \
		"$packages"/*.changes 2>"$work/err" | grep '^[EWIP]:' |
		grep -v -e 'unknown-field Static-Built-Using' \
			-e 'newer-standards-version' -e 'unknown-architecture loong64' \
			$unpublished >"$work/lintian"
	expect "lintian" test ! -s "$work/lintian"
	comment "$work/lintian"
else
	skip "lintian" "needs lintian"
fi

# The pattern in debian/watch matches a tarball of `make dist`. A local server stands for the
# address, which is a placeholder.
if command -v uscan >/dev/null 2>&1 && command -v python3 >/dev/null 2>&1; then
	mkdir -p "$work/published" "$work/watching/debian"
	: >"$work/published/libvmmalloc-1.0.tar.xz"
	: >"$work/published/libvmmalloc-99.0.tar.xz"
	mkfifo "$work/port"
	python3 -c '
import functools, http.server, sys
handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=sys.argv[1])
server = http.server.HTTPServer(("127.0.0.1", 0), handler)
open(sys.argv[2], "w").write("%d\n" % server.server_port)
server.serve_forever()' "$work/published" "$work/port" 2>/dev/null &
	server=$!
	read -r port <"$work/port"
	cp "$top_srcdir/debian/changelog" "$work/watching/debian"
	sed "s|https://example.org/libvmmalloc/|http://127.0.0.1:$port/|" \
		"$top_srcdir/debian/watch" >"$work/watching/debian/watch"
	(cd "$work/watching" && uscan --no-download --report) >"$work/uscan" 2>&1
	expect "uscan finds a release" grep -q 'libvmmalloc-99\.0\.tar\.xz' \
		"$work/uscan"
	kill $server
	wait $server 2>/dev/null
else
	skip "uscan finds a release" "needs uscan and python3"
fi

# The same packages from another directory, byte by byte.
expect "make deb, in another directory" made another/one/below
for file in "$packages"/*.deb; do
	expect "reproducible: ${file##*/}" cmp "$file" \
		"$work/another/one/below/deb/${file##*/}"
done

# The commands of README.md in a fresh system.
# packages_for WORD: prints the line of README.md that installs the package WORD.
packages_for() {
	sed -n "s/^    apt install \(.*$1.*\)/apt-get -qy install \1/p" "$top_srcdir/README.md"
}
if [ "${CI_FULL-}" != 1 ]; then
	skip "the commands of README.md for Debian" "takes long: set CI_FULL=1"
elif ! fresh_system trixie readme; then
	skip "the commands of README.md for Debian" "$fresh_not"
else
	(cd "$top_srcdir" && git ls-files | tar -T - -c) | tar -C "$root/root" -x
	expect "README.md: installs packages for a build" inside sh -c "
		apt-get -q update && $(packages_for libtool)"
	expect "README.md: builds and installs" inside sh -c "
		autoreconf -fi && mkdir build && cd build && ../configure && make &&
			make install && ldconfig"
	expect "README.md: the library is found by its name" inside env \
		LD_PRELOAD=libvmmalloc.so.1 VMMALLOC_POOL_DIR=/dev/shm \
		VMMALLOC_POOL_SIZE=64M sh -c "grep libvmmalloc /proc/self/maps"
	expect "README.md: installs packages for making packages" inside sh -c "$(packages_for debhelper)"
	expect "README.md: makes packages" inside sh -c "
		cd build && DEB_BUILD_OPTIONS=nocheck make deb"
	expect "README.md: installs these packages" inside sh -c "
		cd build && apt-get -qy install ./deb/libvmmalloc1_*.deb ./deb/vmmalloc_*.deb"
fi

# In fresh systems: build with only the declared dependencies, install from a
# repository, run the tests there, and purge.
version=$(dpkg-deb -f "$packages"/vmmalloc_*.deb Version)
source=libvmmalloc-${version%%-*}
for suite in bookworm trixie forky; do
	if [ "${CI_FULL-}" != 1 ]; then
		skip "$suite: packages" "takes long: set CI_FULL=1"
		continue
	elif ! fresh_system $suite "build-$suite"; then
		skip "$suite: packages" "$fresh_not"
		continue
	fi
	mkdir "$root/root/deb"
	cp "$packages"/*.orig.tar.xz "$root/root/deb"
	inside_dir=/root/deb
	expect "$suite: installs only the declared build dependencies" inside sh -c "
		apt-get -q update && apt-get -qy install build-essential &&
			tar xf *.orig.tar.xz && apt-get -qy build-dep ./$source"
	inside_dir=/root/deb/$source
	expect "$suite: builds, and passes its tests" inside dpkg-buildpackage -us -uc
	inside_dir=/root/deb
	# Only Debian 13: other versions of lintian check another policy.
	if [ $suite = trixie ]; then
		expect "$suite: lintian" inside sh -c "
			apt-get -qy install --no-install-recommends lintian &&
			lintian --allow-root --pedantic -EviIL +pedantic \
				*.changes | grep '^[EWIP]:' |
				grep -v $(echo $unpublished) >tags; test ! -s tags"
		comment "$root/root/deb/tags"
	fi
	expect "$suite: a repository" inside sh -c "dpkg-scanpackages . >Packages"
	built=$root/root/deb
	fresh_system $suite "install-$suite" || continue
	mkdir "$root/repository" "$root/tests"
	cp "$built"/*.deb "$built"/Packages "$root/repository"
	cp -r "$built/$source/debian/tests" "$root/tests/debian"
	echo "deb [trusted=yes] file:/repository ./" \
		>"$root/etc/apt/sources.list.d/local.list"
	inside_dir=/tmp
	expect "$suite: apt-get install" inside sh -c "
		apt-get -q update &&
			apt-get -qy install libvmmalloc1 libvmmalloc1-debug vmmalloc"
	# Like autopkgtest, for tests that need only their dependencies.
	sed -n 's/^Tests: //p' "$root/tests/debian/control" >"$work/names"
	while read -r name; do
		depends=$(sed -n "/^Tests: $name\$/,/^\$/s/^Depends: //p" \
			"$root/tests/debian/control" | tr -d ,)
		# shellcheck disable=SC2086 # names of packages
		expect "$suite: installs the dependencies of the test $name" inside \
			apt-get -qy install $depends
		mkdir "$root/tmp/$name"
		expect "$suite: the test $name" inside env \
			AUTOPKGTEST_TMP="/tmp/$name" "/tests/debian/$name"
	done <"$work/names"
	expect "$suite: purges" inside apt-get -qy purge libvmmalloc1 \
		libvmmalloc1-debug libvmmalloc-dev vmmalloc
	rm -rf "$root/repository" "$root/tests" "$root"/tmp/*
	expect "$suite: nothing is left behind" test -z "$(find "$root" -xdev \
		-path "$root/var/lib/apt" -prune -o -path "$root/var/log" -prune -o \
		-path "$root/var/cache" -prune -o -name '*vmmalloc*' -print)"
done
plan
