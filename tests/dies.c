/* SPDX-License-Identifier: BSD-3-Clause */
/* dies.c: aborts with 20 MiB of the letter Q in its heap. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

int
main(void)
{
	for (int i = 0; i < 20; i++) {
		char *block = malloc(1 << 20);

		if (block == NULL)
			return 1;
		memset(block, 'Q', 1 << 20);
	}
	abort();
}
