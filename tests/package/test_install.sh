#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_install.sh: builds out of tree with gcc and clang, installs, links programs with
# pkg-config, switches them to the debug variant, and uninstalls.
. "${top_srcdir:-..}/tests/support/lib.sh"

: "${CC:=cc}" "${CXX:=c++}" "${MAKE:=make}" "${PKG_CONFIG:=pkg-config}"
: "${VERSION:=1.1.0}"

# built DIR ARGUMENT...: configures with these arguments, and builds, in $work/DIR.
built() {
	built_dir=$work/$1
	shift
	mkdir "$built_dir"
	(cd "$built_dir" && "$top_srcdir/configure" --quiet --enable-werror "$@" &&
		$MAKE -s -j "$(nproc)")
}

# usual DIR ARGUMENT...: the same with $CC and $CXX. The cache keeps the results of configure.
usual() {
	again_dir=$1
	shift
	built "$again_dir" --cache-file="$work/config.cache" CC="$CC" CXX="$CXX" "$@"
}

prefix=$work/prefix
PKG_CONFIG_PATH=$prefix/lib/pkgconfig
export PKG_CONFIG_PATH
expect "configure and make -j, out of tree" usual b --prefix="$prefix" \
	--libdir="$prefix/lib"

# Exactly these files are installed, also with DESTDIR.
lib=$prefix/lib
so=libvmmalloc.so
cat >"$work/list" <<END
bin/vmmalloc
include/libvmmalloc.h
lib/$so
lib/$so.1
lib/$so.1.1.0
lib/pkgconfig/libvmmalloc.pc
lib/pkgconfig/vmmalloc.pc
lib/vmmalloc_debug/$so
lib/vmmalloc_debug/$so.1
lib/vmmalloc_debug/$so.1.1.0
share/bash-completion/completions/vmmalloc
share/man/man1/vmmalloc.1
share/man/man7/libvmmalloc.7
END
installed() {
	(cd "$1" && find . ! -type d | sed 's/^\.\///' | sort)
}
expect "make install" $MAKE -s -C "$work/b" install
cp "$work/expect" "$work/said"
expect "make install: the message names ldconfig" grep -q "$prefix/lib\. Run ldconfig" "$work/said"
installed "$prefix" >"$work/has"
expect "exactly the expected files are installed" diff "$work/list" "$work/has"
expect "make install with DESTDIR" \
	$MAKE -s -C "$work/b" install DESTDIR="$work/dest"
cp "$work/expect" "$work/said"
expect "with DESTDIR: no message names ldconfig" sh -c "! grep ldconfig '$work/said'"
installed "$work/dest$prefix" >"$work/has"
expect "with DESTDIR: the same files" diff "$work/list" "$work/has"
expect "libvmmalloc.pc is a link to vmmalloc.pc" test \
	"$(readlink "$lib/pkgconfig/libvmmalloc.pc")" = vmmalloc.pc

# A program linked with pkg-config's flags. It calls only functions that libc has, too, and
# prints where its heap is and which variant it got.
cat >"$work/linked.c" <<'END'
#include <libvmmalloc.h>
#include <stdio.h>
#include <string.h>
int main(void)
{
	char line[512];
	FILE *maps;
	void *block = malloc(100), *aligned = NULL;
	if (block == NULL || posix_memalign(&aligned, 64, 100) != 0)
		return 1;
	maps = fopen("/proc/self/maps", "r");
	while (maps != NULL && fgets(line, sizeof(line), maps) != NULL) {
		unsigned long from, to;
		if (sscanf(line, "%lx-%lx", &from, &to) == 2 &&
			(unsigned long)block >= from && (unsigned long)block < to)
			printf("heap %s\n", strstr(line, "(deleted)") ? "pool" : "elsewhere");
		if (strstr(line, "libvmmalloc.so") && strstr(line, "r-xp"))
			printf("library %s\n", strstr(line, "vmmalloc_debug") ? "debug" : "release");
	}
	free(block);
	free(aligned);
	return 0;
}
END
for module in vmmalloc libvmmalloc; do
	expect "links with pkg-config $module" $CC -o "$work/linked" \
		"$work/linked.c" $($PKG_CONFIG --cflags --libs $module)
done
expect "pkg-config gives the version" \
	test "$($PKG_CONFIG --modversion vmmalloc)" = "$VERSION"

# linked_prints LD_LIBRARY_PATH TEXT: the sorted lines of the linked program are TEXT.
linked_prints() {
	env LD_LIBRARY_PATH="$1" VMMALLOC_POOL_DIR="$pool_dir" \
		VMMALLOC_POOL_SIZE=64M "$work/linked" >"$work/prints" 2>&1
	sort "$work/prints" | tr '\n' ' ' | tee "$work/prints2"
	test "$(cat "$work/prints2")" = "$2"
}
expect "a linked program is on a pool" \
	linked_prints "$lib" "heap pool library release "
expect "LD_LIBRARY_PATH switches it to the debug variant" \
	linked_prints "$lib/vmmalloc_debug" "heap pool library debug "
env LD_LIBRARY_PATH="$lib" "$work/linked" >"$work/prints" 2>&1
status=$?
expect "a linked program without a pool ends with status 1" test $status -eq 1
cat >"$work/plain.c" <<'END'
int main(void) { return 0; }
END
expect "a program that never allocates is linked with the library, too" sh -c "
	$CC -o '$work/plain' '$work/plain.c' $($PKG_CONFIG --libs vmmalloc) &&
	readelf -d '$work/plain' | grep libvmmalloc.so.1"
# The same for a preloaded program.
preloaded_debug() {
	env LD_LIBRARY_PATH="$lib/vmmalloc_debug" LD_PRELOAD=libvmmalloc.so.1 \
		VMMALLOC_POOL_DIR="$pool_dir" VMMALLOC_POOL_SIZE=64M \
		grep libvmmalloc /proc/self/maps | grep vmmalloc_debug
}
expect "LD_LIBRARY_PATH switches a preloaded program" preloaded_debug

# The header compiles in C and C++ without a warning, before and after headers of libc and
# of jemalloc.
header="#include <libvmmalloc.h>"
libc="#include <stdlib.h>
#include <malloc.h>"
body='int main(void) { void *p = malloc(VMMALLOC_MIN_POOL / VMMALLOC_MIN_POOL);
	free(p); return VMMALLOC_MAJOR_VERSION != 1 || VMMALLOC_MINOR_VERSION != 1; }'
printf '%s\n' "$header" "$libc" "$body" >"$work/before.c"
printf '%s\n' "$libc" "$header" "$body" >"$work/after.c"
printf '%s\n' "#include <jemalloc/jemalloc.h>" "$header" "$body" >"$work/je.c"
printf '%s\n' "$header" "#include <jemalloc/jemalloc.h>" "$body" >"$work/before_je.c"
# compiles COMPILER STANDARD FILE: skipped if the compiler does not know the standard.
compiles() {
	if ! echo | "$1" -std="$2" -x "$compiles_language" -fsyntax-only - 2>/dev/null; then
		skip "header, $1, $2, ${3##*/}" "$1 does not know $2"
		return
	fi
	# The header of jemalloc 5.3.1 does not compile in every standard.
	if grep -q jemalloc/ "$3" && ! echo '#include <jemalloc/jemalloc.h>' |
		"$1" -std="$2" -x "$compiles_language" -fsyntax-only - 2>/dev/null; then
		skip "header, $1, $2, ${3##*/}" "needs a header of jemalloc that compiles in $2"
		return
	fi
	expect "header, $1, $2, ${3##*/}" "$1" -std="$2" -Wall -Wextra -Werror \
		-pedantic -fsyntax-only -I"$prefix/include" "$3"
}
for order in before after je before_je; do
	cp "$work/$order.c" "$work/$order.cc"
	for compiler in $CC clang; do
		command -v "$compiler" >/dev/null || continue
		compiles_language=c
		for std in c89 c11 c2x; do
			compiles "$compiler" $std "$work/$order.c"
		done
	done
	for compiler in $CXX clang++; do
		command -v "$compiler" >/dev/null || continue
		compiles_language=c++
		for std in c++98 c++11 c++17 c++23; do
			compiles "$compiler" $std "$work/$order.cc"
		done
	done
done

expect "make uninstall" $MAKE -s -C "$work/b" uninstall
expect "make uninstall: no file and no directory is left" test ! -e "$prefix"
mkdir -p "$prefix/bin"
$MAKE -s -C "$work/b" install >/dev/null 2>&1
$MAKE -s -C "$work/b" uninstall >"$work/said" 2>&1
expect "make uninstall: keeps directories that existed before" test "$(find "$prefix" | tr '\n' ' ')" = \
	"$prefix $prefix/bin "

# Other arguments of configure.
expect "--disable-debug-variant" usual nodebug --disable-debug-variant \
	--prefix="$work/nodebug-prefix"
$MAKE -s -C "$work/nodebug" install >/dev/null 2>&1
expect "--disable-debug-variant: the debug variant is not installed" \
	sh -c "! find '$work/nodebug-prefix' | grep debug/"
archive=$(sed -n 's/^JEMALLOC_ARCHIVE = //p' "$work/b/Makefile")
expect "--with-jemalloc=ARCHIVE" usual named --with-jemalloc="$archive" \
	--disable-debug-variant
if command -v clang >/dev/null 2>&1 && command -v clang++ >/dev/null 2>&1; then
	expect "builds with clang without a warning" built clang CC=clang CXX=clang++
	expect "a program runs on the library that clang built" env LD_PRELOAD="$work/clang/lib/.libs/libvmmalloc.so.1" \
		VMMALLOC_POOL_DIR="$pool_dir" VMMALLOC_POOL_SIZE=64M \
		"$programs/support/churn" 100000
	"$programs/entry/operators_replaced" >"$work/expected"
	env LD_PRELOAD="$work/clang/lib/.libs/libvmmalloc.so.1" \
		VMMALLOC_POOL_DIR="$pool_dir" VMMALLOC_POOL_SIZE=64M \
		"$programs/entry/operators_replaced" >"$work/said" 2>&1
	expect "a program replaces C++ operators of the library that clang built" \
		diff "$work/expected" "$work/said"
else
	skip "builds with clang without a warning" "needs clang"
fi

# The tarball has the files of the repository, and those that autotools make.
if [ -e "$top_srcdir/.git" ]; then
	$MAKE -s -C "$work/b" dist >"$work/log" 2>&1
	tar -tf "$work/b/libvmmalloc-$VERSION.tar.xz" | sed -e 's|^[^/]*/||' |
		grep -v -e '/$' -e '^$' -e '^build-aux/' -e '^m4/l' \
			-e '^aclocal\.m4$' -e '^config\.h\.in$' -e '^configure$' \
			-e '^Makefile\.in$' | sort >"$work/tar"
	git -C "$top_srcdir" ls-files | grep -v -e '^\.ci/' -e '^\.gitignore$' | sort >"$work/git"
	expect "the tarball has the files of the repository" diff "$work/git" "$work/tar"
else
	skip "the tarball has the files of the repository" "needs a git clone"
fi

# The tarball builds, runs a few short tests, installs and uninstalls.
tests=
[ ! -x "$programs/entry/check_entry" ] || tests="tests/unit/check_ranges tests/unit/check_settings"
# Without CI_FULL=1 only some programs of tests are compiled.
set -- check_PROGRAMS="$tests tests/fork/heap tests/pool/own_process" \
	check_LTLIBRARIES="tests/places/sysconf_1m.la tests/support/heap_probe.la"
[ -z "${CI_FULL-}" ] || set --
expect "make distcheck" $MAKE -s -C "$work/b" distcheck \
	TESTS="$tests tests/environment/test_settings.sh" "$@" \
	AM_DISTCHECK_CONFIGURE_FLAGS=--enable-werror
plan
