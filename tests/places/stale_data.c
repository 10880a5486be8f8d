/* SPDX-License-Identifier: BSD-3-Clause */
/* stale_data.c: whether anything of one process's heap is readable in the next one's; run
 * with the library preloaded. leftover write: fills its pool; leftover look: takes all of
 * its pool, and looks for that. */
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

	/* Not initialised: that is what this is about. */
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
	printf("%zu blocks, %zu words of another process's\n", blocks, found);
	return blocks < 8 || found > 0;
}
