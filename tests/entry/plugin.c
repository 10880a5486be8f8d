/* SPDX-License-Identifier: BSD-3-Clause */
/* plugin.c: a library to be opened late, which shares its heap with the program. Built
 * by tests/entry/test_dlopen.sh: with TLS_BYTES of static thread-local data, or NEEDS, the name of
 * another library that it opens by its own run path. */
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

/* A block that somebody in here has allocated, libc among them. */
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
