#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_exports.sh: what the library exports, and how it is linked.
. "${top_srcdir:-..}/tests/support/lib.sh"

# The map's names; size_t is m in the names of C++ where a pointer has 64 bits.
letter=m
[ "$(getconf LONG_BIT)" = 64 ] || letter=j
sed -n -e 's/#.*//' -e '/^local:/q' -e 's/^[[:space:]]*\([A-Za-z_].*\);$/\1/p' \
	"$top_srcdir/lib/entry/libvmmalloc.map" |
	sed "s/\[jm\]/$letter/" | sort >"$work/map"

for variant in $(variants); do
	file=$(library "$variant")
	nm -D --defined-only "$file" | awk '{ print $NF }' | sort >"$work/has"
	expect "$variant exports the names of libvmmalloc.map and no others" \
		diff "$work/map" "$work/has"
	readelf -dW "$file" >"$work/dynamic"
	expect "$variant: SONAME" \
		grep -q 'SONAME.*\[libvmmalloc\.so\.1\]' "$work/dynamic"
	expect "$variant: stays loaded (nodelete)" grep -q NODELETE "$work/dynamic"
	expect "$variant: bound at start" grep -q 'BIND_NOW\|NOW' "$work/dynamic"
	expect "$variant: no text relocations" \
		sh -c "! grep -q TEXTREL '$work/dynamic'"
	expect "$variant: needs libc and libm alone" test -z "$(
		sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' "$work/dynamic" |
			grep -v -e '^libc\.so' -e '^libm\.so' -e '^ld-linux' \
			-e '^libpthread\.so' -e '^libdl\.so')"
	readelf -lW "$file" >"$work/segments"
	expect "$variant: no executable stack" \
		grep -q 'GNU_STACK.* RW ' "$work/segments"
	expect "$variant: RELRO" grep -q GNU_RELRO "$work/segments"
done

# Every exported C function is in the header, and can be called by what it says; but
# for those that stand before libc's own to be no more than what they are there.
expect "the header has every function" sh -c "
	grep -v -e '^_Z' -e '^fork$' -e '^dlopen$' \
		-e '^__register_atfork$' '$work/map' | while read -r name; do
		grep -q \"[ *]\$name(\" '$top_srcdir/include/libvmmalloc.h' ||
			{ echo \"\$name is not in libvmmalloc.h\"; exit 1; }
	done"
plan
