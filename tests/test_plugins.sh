#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_plugins.sh: libraries that are opened by dlopen(3) in a program on a pool, and
# libraries that bring the library with them into a program that is on none.
. "${top_srcdir:-..}/tests/lib.sh"
: "${CC:=cc}"

# plugin FILE FLAGS...: builds one.
plugin() {
	plugin_file=$1
	shift
	$CC -shared -fPIC -o "$plugin_file" "$top_srcdir/tests/plugin.c" "$@" \
		>"$work/out" 2>&1
}

mkdir "$work/inner"
if ! plugin "$work/plugin.so" -ldl -Wl,--enable-new-dtags,-rpath,"$work/inner" ||
	! plugin "$work/inner/inner.so" -ldl ||
	! plugin "$work/tls.so" -ldl -DTLS_BYTES=1024; then
	not_ok "plug-ins are built"
	comment "$work/out"
	plan
	exit
fi
for variant in $(variants); do
	on_pool "$variant" "$programs/plugins" "$work" >"$work/tap" 2>&1
	tap "$work/tap" "$variant"
done

# A plug-in that is linked with the library.
for variant in $(variants); do
	directory=$(dirname "$(library "$variant")")
	# The linker wants the name without a version.
	expect "$variant: a plug-in linked with the library" plugin "$work/linked.so" \
		-L"$directory" -lvmmalloc -ldl -Wl,--no-as-needed,-rpath,"$directory"
	cat >"$work/opens.c" <<-'END'
		#include <dlfcn.h>
		#include <stdio.h>
		#include <stdlib.h>
		int main(int argc, char **argv) {
			void *plugin = dlopen(argv[argc - 1], RTLD_NOW);
			void (*give)(void *);
			char *(*get)(size_t);
			if (plugin == NULL) {
				puts(dlerror());
				free(malloc(1000));
				return 3;
			}
			*(void **)&give = dlsym(plugin, "plugin_free");
			*(void **)&get = dlsym(plugin, "plugin_block");
			give(malloc(1000));
			free(get(1000));
			return 0;
		}
	END
	$CC -o "$work/opens" "$work/opens.c" -ldl || exit 99
	"$work/opens" "$work/linked.so" >"$work/out" 2>&1
	status=$?
	expect "$variant: is refused by a program that has no pool, which goes on" \
		test $status -eq 3
	expect "$variant: and says why" \
		grep -q 'libvmmalloc.so.1: cannot allocate memory in static TLS' \
		"$work/out"
	comment "$work/out"
	expect "$variant: and works in one that has" \
		on_pool "$variant" "$work/opens" "$work/linked.so"
done
plan
