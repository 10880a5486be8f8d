/* SPDX-License-Identifier: BSD-3-Clause */
/* stale_data.c: no data of one process's heap is readable in a later one's. Run with
 * the library preloaded. `stale_data write` fills its pool with a pattern. `stale_data
 * look` allocates all of its pool and searches for the pattern. */
#include "config.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECRET UINT64_C(0x5ec2e75ec2e7f00d)
#define SIZE ((size_t)1 << 20)
#define WORDS (SIZE / sizeof(uint64_t))

int
main(int argc, char **argv)
{
	int writes = argc > 1 && strcmp(argv[1], "write") == 0;
	uint64_t *block;
	size_t blocks = 0, found = 0;

	/* The blocks are read without having been written: that is the test. */
	while ((block = malloc(SIZE)) != NULL) {
		for (size_t i = 1; i < WORDS; i++) {
			if (writes)
				block[i] = SECRET;
			else
				/* NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult) */
				found += block[i] == SECRET;
		}
		blocks++;
	}
	printf("%zu blocks, %zu words of another process\n", blocks, found);
	return blocks < 8 || found > 0;
}
