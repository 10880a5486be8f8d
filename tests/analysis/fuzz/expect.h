/* SPDX-License-Identifier: BSD-3-Clause */
/* expect.h: aborts if a condition does not hold. libFuzzer reports the abort. */
#ifndef EXPECT_H
#define EXPECT_H

#include <stdio.h>
#include <stdlib.h>

static inline void
expect(int is_true, const char *what)
{
	if (is_true)
		return;
	fprintf(stderr, "expected: %s\n", what);
	abort();
}

#endif
