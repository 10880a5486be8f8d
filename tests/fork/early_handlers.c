/* SPDX-License-Identifier: BSD-3-Clause */
/* early_handlers.c: a library to preload after the library under test. Its constructor runs,
 * if possible, before the first allocation. It registers handlers of fork(2) that allocate. */
#include "config.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* How many handlers have run. tests/fork/handlers.c reads this. */
int __attribute__((visibility("default"))) early_handlers_ran;

static void
allocate(void)
{
	static void *blocks[3];

	for (int i = 0; i < 3; i++) {
		size_t size = (size_t)10 << (8 * i);

		free(blocks[i]);
		blocks[i] = malloc(size);
		if (blocks[i] == NULL)
			abort();
		memset(blocks[i], 1, size);
	}
	early_handlers_ran++;
}

static void __attribute__((constructor))
start(void)
{
	pthread_atfork(allocate, allocate, allocate);
}
