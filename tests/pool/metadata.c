/* SPDX-License-Identifier: BSD-3-Clause */
/* metadata.c: prints how much ordinary memory a heap of 700 MiB in blocks of 64 bytes
 * needs, in percent of the heap. The program runs with the library preloaded. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>

#include "../support/in_pool.h"

#define HEAP_BYTES ((size_t)700 << 20)
#define BLOCK_BYTES 64

int
main(void)
{
	struct in_pool_figures figures;

	for (size_t i = 0; i < HEAP_BYTES / BLOCK_BYTES; i++) {
		char *block = malloc(BLOCK_BYTES);

		if (block == NULL)
			return 1;
		*(volatile char *)block = 1;
	}
	if (!in_pool_read(&figures))
		return 1;
	printf("%.2f\n", 100.0 * 1024 *
	    (double)(figures.brk_rss_kb + figures.other_rss_kb) / HEAP_BYTES);
	return 0;
}
