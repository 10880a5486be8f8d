/* SPDX-License-Identifier: BSD-3-Clause */
/* libc_blocks.c: blocks of libc's own allocator that reach the library go back there;
 * run with the library preloaded. */
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
	/* dlsym of a handle is not interposed: this is libc's own malloc. */
	if (allocate == NULL || is_in_pool(allocate(1))) {
		puts("no malloc of libc's own here");
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
