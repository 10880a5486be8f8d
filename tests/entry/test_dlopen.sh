#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_dlopen.sh: programs on a pool open libraries with dlopen(3), and other programs open
# libraries that are linked with this library.
. "${top_srcdir:-..}/tests/support/lib.sh"
: "${CC:=cc}"

# plugin FILE FLAGS...: compiles plugin.c.
plugin() {
	plugin_file=$1
	shift
	$CC -shared -fPIC -o "$plugin_file" "$top_srcdir/tests/entry/plugin.c" "$@" \
		>"$work/out" 2>&1
}

mkdir "$work/inner"
if ! plugin "$work/plugin.so" -ldl -Wl,--enable-new-dtags,-rpath,"$work/inner" ||
	! plugin "$work/inner/inner.so" -ldl ||
	! plugin "$work/tls.so" -ldl -DTLS_BYTES=1024; then
	not_ok "the plug-ins compile"
	comment "$work/out"
	plan
	exit
fi
for variant in $(variants); do
	on_pool "$variant" "$programs/entry/dlopen" "$work" >"$work/tap" 2>&1
	tap "$work/tap" "$variant"
done

# A plug-in may be linked with the library.
for variant in $(variants); do
	directory=$(dirname "$(library "$variant")")
	# This directory also has libvmmalloc.so, the name that -lvmmalloc looks for.
	expect "$variant: a plug-in is linked with the library" plugin "$work/linked.so" \
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
	expect "$variant: without a pool dlopen of the plug-in fails, and the program goes on" \
		test $status -eq 3
	expect "$variant: dlerror names the reason" \
		grep -q 'libvmmalloc.so.1: cannot allocate memory in static TLS' \
		"$work/out"
	comment "$work/out"
	expect "$variant: with a pool the plug-in works" \
		on_pool "$variant" "$work/opens" "$work/linked.so"

	# The program is linked with the plug-in, and only the plug-in is linked with the
	# library. So the dynamic linker finds libc's functions first.
	cat >"$work/behind.c" <<-'END'
		#include <stdlib.h>
		#include <sys/wait.h>
		#include <unistd.h>
		void plugin_free(void *block);
		char *plugin_block(size_t size);
		int main(void) {
			int status = 1;
			plugin_free(malloc(1000));
			free(plugin_block(1000));
			if (fork() == 0) {
				free(plugin_block(1000));
				_exit(0);
			}
			wait(&status);
			return status;
		}
	END
	$CC -o "$work/behind" "$work/behind.c" "$work/linked.so" \
		-Wl,-rpath-link,"$directory" || exit 99
	env VMMALLOC_POOL_DIR="$pool_dir" VMMALLOC_POOL_SIZE=64M "$work/behind" \
		>"$work/out" 2>&1
	status=$?
	expect "$variant: behind libc the library has no effect, and the program works" \
		test $status -eq 0
	expect "$variant: behind libc the library prints a message" grep -q \
		"^libvmmalloc: the library has no effect, .* finds malloc in libc first. Link" "$work/out"
	expect "$variant: the message has one line" test "$(wc -l <"$work/out")" -eq 1
	expect "$variant: the program works with the library preloaded" \
		on_pool "$variant" "$work/behind"
	expect "$variant: the preloaded library prints nothing" test ! -s "$work/expect"
done

# Another allocator may come first and have no reallocarray. Then the library's
# reallocarray calls the realloc of that allocator.
cat >"$work/array.c" <<'END'
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef OWN
static char heap[1 << 20] __attribute__((aligned(16)));
static size_t used;
void *malloc(size_t size)
{
	size_t *block = (size_t *)(heap + used);
	used += 16 + (size + 15) / 16 * 16;
	if (used > sizeof(heap))
		abort();
	*block = size;
	return block + 2;
}
void free(void *block)
{
	if (block != NULL && ((char *)block < heap || (char *)block >= heap + sizeof(heap)))
		abort();
}
void *calloc(size_t count, size_t size) { return memset(malloc(count * size), 0, count * size); }
void *realloc(void *block, size_t size)
{
	void *moved = malloc(size);
	if (block != NULL) {
		free(block);
		memcpy(moved, block, ((size_t *)block)[-2] < size ? ((size_t *)block)[-2] : size);
	}
	return moved;
}
#endif
int main(void)
{
	char *volatile block = reallocarray(NULL, 10, 100);
	strcpy(block, "kept");
	block = reallocarray(block, 20, 100);
	if (strcmp(block, "kept") != 0)
		return 1;
	free(block);
	free(malloc(100));
	return 0;
}
END
if $CC -D_GNU_SOURCE -fno-builtin -w -DOWN -o "$work/own" "$work/array.c" 2>"$work/err" &&
	$CC -D_GNU_SOURCE -fno-builtin -w -o "$work/array" "$work/array.c" 2>>"$work/err"; then
	for variant in $(variants); do
		expect "$variant: a program with its own allocator works" \
			on_pool "$variant" "$work/own"
		for other in libjemalloc.so.2 libtcmalloc_minimal.so.4 libmimalloc.so.2; do
			if ! LD_PRELOAD=$other "$work/array" >"$work/out" 2>&1 ||
				[ -s "$work/out" ]; then
				skip "$variant: beside $other" "not installed"
				continue
			fi
			for preload in "$other $(library "$variant")" \
				"$(library "$variant") $other"; do
				expect "$variant: a program works beside $other" on_pool "$variant" \
					env LD_PRELOAD="$preload" "$work/array"
			done
		done
	done
else
	not_ok "the programs compile"
	comment "$work/err"
fi

# dlopen(3) must see the address of its caller, even without optimization.
cat >"$work/jump.c" <<'END'
#include <dlfcn.h>
#include <stddef.h>
extern const char __start_calls[], __stop_calls[];
static void *callee(const char *file, int mode)
{
	(void)file;
	(void)mode;
	return __builtin_return_address(0);
}
void *(*vmm_os_dlopen(void))(const char *, int)
{
	return callee;
}
__attribute__((section("calls"), noinline)) static int caller(void)
{
	const char *from = dlopen("name", RTLD_NOW);
	return from >= __start_calls && from < __stop_calls;
}
int main(void)
{
	return !caller();
}
END
for compiler in "$CC" clang; do
	if ! command -v "${compiler%% *}" >/dev/null 2>&1; then
		skip "dlopen sees its caller: $compiler" "not installed"
		continue
	fi
	for level in 0 2; do
		# shellcheck disable=SC2086 # a compiler and flags
		$compiler -O$level -std=gnu11 -D_GNU_SOURCE -I"$top_builddir" \
			-I"$top_srcdir/lib" -I"$top_srcdir/include" -o "$work/jump" \
			"$work/jump.c" "$top_srcdir/lib/entry/dlopen.c" 2>"$work/err"
		expect "dlopen sees its caller: $compiler -O$level" "$work/jump"
	done
done
plan
