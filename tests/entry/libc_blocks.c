/* SPDX-License-Identifier: BSD-3-Clause */
/* libc_blocks.c: the library passes blocks of libc's own allocator back to libc. The
 * program runs with the library preloaded. */
#include "config.h"

#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../support/in_pool.h"

static void *
opaque(void *value)
{
	__asm__ volatile("" : "+r"(value));
	return value;
}

int
main(void)
{
	void *libc = dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD);
	void *(*allocate)(size_t) = NULL;
	char *block;
	int is_good;

	if (libc != NULL)
		*(void **)&allocate = dlsym(libc, "malloc");
	/* With libc's handle dlsym finds libc's own malloc, not the library's. */
	if (allocate == NULL || is_in_pool(allocate(1))) {
		puts("libc has no malloc of its own");
		return 77;
	}
	block = allocate(100);
	is_good = malloc_usable_size(block) >= 100;
	strcpy(block, "kept");
	block = realloc(opaque(block), 100000);
	is_good &= block != NULL && strcmp(block, "kept") == 0;
	errno = 4711;
	free(opaque(block));
	free(opaque(allocate(5000)));
	is_good &= errno == 4711;
	return !is_good;
}
