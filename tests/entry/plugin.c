/* SPDX-License-Identifier: BSD-3-Clause */
/* plugin.c: a library that programs open with dlopen(3). It shares its heap with them.
 * tests/entry/test_dlopen.sh compiles it. If TLS_BYTES is defined, the library has that many
 * bytes of static thread-local data. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef TLS_BYTES
static __thread char data[TLS_BYTES] __attribute__((tls_model("initial-exec")));
#endif

static char *kept;

static void __attribute__((constructor))
begin(void)
{
	kept = strdup("from the constructor to the destructor");
}

static void __attribute__((destructor))
end(void)
{
	free(kept);
}

/* libc allocates this block on behalf of the plug-in. */
char *
plugin_text(int number)
{
	char *text;

#ifdef TLS_BYTES
	data[number % TLS_BYTES]++;
#endif
	return asprintf(&text, "text %d", number) < 0 ? NULL : text;
}

char *
plugin_block(size_t size)
{
	return malloc(size);
}

void
plugin_free(void *block)
{
	free(block);
}

void *
plugin_opens(const char *name)
{
	return dlopen(name, RTLD_NOW);
}
