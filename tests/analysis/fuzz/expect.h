/* SPDX-License-Identifier: BSD-3-Clause */
/* expect.h: what a fuzzer holds to be so; libFuzzer reports an abort. */
#ifndef EXPECT_H
#define EXPECT_H

#include <stdio.h>
#include <stdlib.h>

static inline void
expect(int is_true, const char *what)
{
	if (is_true)
		return;
	fprintf(stderr, "not so: %s\n", what);
	abort();
}

#endif
