#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_exports.sh: the symbols that the library exports, and how it is linked.
. "${top_srcdir:-..}/tests/support/lib.sh"

# In mangled names of C++, the letter m stands for size_t if pointers have 64 bits, otherwise j.
letter=m
[ "$(getconf LONG_BIT)" = 64 ] || letter=j
sed -n -e 's/#.*//' -e '/^local:/q' -e 's/^[[:space:]]*\([A-Za-z_].*\);$/\1/p' \
	"$top_srcdir/lib/entry/libvmmalloc.map" |
	sed "s/\[jm\]/$letter/" | sort >"$work/map"

for variant in $(variants); do
	file=$(library "$variant")
	nm -D --defined-only "$file" | awk '{ print $NF }' | sort >"$work/has"
	expect "$variant: the library exports the names of libvmmalloc.map and no others" \
		diff "$work/map" "$work/has"
	readelf -dW "$file" >"$work/dynamic"
	expect "$variant: the SONAME is libvmmalloc.so.1" \
		grep -q 'SONAME.*\[libvmmalloc\.so\.1\]' "$work/dynamic"
	expect "$variant: the library stays loaded (nodelete)" grep -q NODELETE "$work/dynamic"
	expect "$variant: symbols are bound at the start" grep -q 'BIND_NOW\|NOW' "$work/dynamic"
	expect "$variant: no text relocations" \
		sh -c "! grep -q TEXTREL '$work/dynamic'"
	expect "$variant: the library needs only libc and libm" test -z "$(
		sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' "$work/dynamic" |
			grep -v -e '^libc\.so' -e '^libm\.so' -e '^ld-linux' \
			-e '^libpthread\.so' -e '^libdl\.so')"
	readelf -lW "$file" >"$work/segments"
	expect "$variant: no executable stack" \
		grep -q 'GNU_STACK.* RW ' "$work/segments"
	expect "$variant: RELRO" grep -q GNU_RELRO "$work/segments"
done

# The header declares every exported C function, except those that call libc's function of
# the same name and do something before or after it.
expect "the header declares every function" sh -c "
	grep -v -e '^_Z' -e '^fork$' -e '^dlopen$' \
		-e '^__register_atfork$' '$work/map' | while read -r name; do
		grep -q \"[ *]\$name(\" '$top_srcdir/include/libvmmalloc.h' ||
			{ echo \"\$name is not in libvmmalloc.h\"; exit 1; }
	done"
plan
