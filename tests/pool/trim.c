/* SPDX-License-Identifier: BSD-3-Clause */
/* trim.c: checks that malloc_trim(3) releases pages of the pool. Prints its result, and the
 * pool's resident KiB before and after it. */
#include "config.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../support/in_pool.h"

#define SIZE ((size_t)20 << 20)

int
main(void)
{
	struct in_pool_figures before, after;
	char *block = malloc(SIZE);
	int trimmed;

	memset(block, 1, SIZE);
	if (!in_pool_read(&before))
		return 2;
	free(block);
	trimmed = malloc_trim(0);
	if (!in_pool_read(&after))
		return 2;
	printf("%d %lu %lu\n", trimmed, before.pool_rss_kb, after.pool_rss_kb);
	/* The pool releases whole chunks. The block contains at least 8 of them. */
	return !(trimmed == 1 &&
	    after.pool_rss_kb + (16 << 10) <= before.pool_rss_kb);
}
