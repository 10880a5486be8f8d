/* SPDX-License-Identifier: BSD-3-Clause */
/* check_entry.h: declarations for the files of check_entry. */
#ifndef CHECK_ENTRY_H
#define CHECK_ENTRY_H

#include <stdbool.h>
#include <stddef.h>

#include "../unit/check_main.h"
#include "../support/in_pool.h"
#include "libvmmalloc.h"

/* Sizes that each function can allocate. The exception: realloc(block, 0) frees the block. */
#define NGOOD_SIZES 32
extern const size_t good_sizes[NGOOD_SIZES];

/* These hide a value from the compiler, which knows what malloc and free do. */
void *opaque(void *value);
size_t opaque_size(size_t value);

bool is_zero(const unsigned char *block, size_t size);
bool is_aligned(const void *block, size_t alignment);

/* Each function adds the tests of one file. */
void add_size_tests(TCase *tcase);
void add_standard_tests(TCase *tcase);
void add_glibc_tests(TCase *tcase);
void add_extended_tests(TCase *tcase);
void add_arena_tests(TCase *tcase);

#endif
