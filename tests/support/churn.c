/* SPDX-License-Identifier: BSD-3-Clause */
/* churn.c: one thread allocates and frees small blocks. A quarter of the blocks come from
 * calloc and realloc. Usage: churn [OPERATIONS] */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define SLOTS 4096

/* Sizes as in real programs: mostly small, sometimes a page or more. */
static size_t
next_size(uint64_t random)
{
	if (random % 64 == 0)
		return 1024 + random / 64 % 7168;
	return 8 + random / 64 % 248;
}

static uint64_t
next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void *
next_block(void *old, size_t size, unsigned kind)
{
	void *block;

	if (kind == 0)
		return realloc(old, size);
	free(old);
	block = kind == 1 ? calloc(1, size) : malloc(size);
	if (block != NULL)
		*(volatile char *)block = 1;
	return block;
}

int
main(int argc, char **argv)
{
	static void *slots[SLOTS];
	unsigned long operations = argc > 1 ? strtoul(argv[1], NULL, 10)
					    : 1000000;
	uint64_t state = 88172645463325252U;

	for (unsigned long i = 0; i < operations; i++) {
		uint64_t random = next_random(&state);
		void **slot = &slots[random % SLOTS];
		/* Of 8 kinds one is realloc, one is calloc, and six are malloc. */
		unsigned kind = (unsigned)(random >> 60) & 7;

		*slot = next_block(*slot, next_size(random >> 12), kind);
		if (*slot == NULL) {
			fputs("churn: out of memory\n", stderr);
			return 1;
		}
	}
	for (unsigned i = 0; i < SLOTS; i++)
		free(slots[i]);
	return 0;
}
