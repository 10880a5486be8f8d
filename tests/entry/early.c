/* SPDX-License-Identifier: BSD-3-Clause */
/* early.c: allocates before all constructors, when libc may not have set `environ` yet. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../support/in_pool.h"

static void *preinit_block, *constructor_block;
static int had_environ;

/* The dynamic linker first calls the program's .preinit_array (System V ABI, chapter 5). */
static void
preinit(void)
{
	had_environ = environ != NULL;
	preinit_block = malloc(100);
}
static void (*const preinit_array[])(void)
    __attribute__((used, section(".preinit_array"))) = { preinit };

static void __attribute__((constructor))
construct(void)
{
	constructor_block = strdup("constructor");
}

int
main(void)
{
	int is_good = is_in_pool(preinit_block) &&
	    is_in_pool(constructor_block) && is_in_pool(malloc(1));

	free(preinit_block);
	free(constructor_block);
	printf("%s, environ was %s\n", is_good ? "in the pool" : "elsewhere",
	    had_environ ? "set" : "not set");
	return !is_good;
}
