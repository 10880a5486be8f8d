/* SPDX-License-Identifier: BSD-3-Clause */
/* check_entry.c: the suite of the tests of all entry points, and functions that these tests
 * share. The program runs with the library preloaded. */
#include "config.h"

#include <stdint.h>

#include "check_entry.h"

const size_t good_sizes[NGOOD_SIZES] = {
	0, 1, 2, 7, 8, 9, 15, 16, 17, 24, 63, 64, 65, 100, 127, 128, 1000, 4095,
	4096, 4097, 14335, 14336, 14337, 16384, 32768, 65535, 65536, 100000,
	1000000, 2097152, 3000000, 4194304,
};

void *
opaque(void *value)
{
	__asm__ volatile("" : "+r"(value));
	return value;
}

size_t
opaque_size(size_t value)
{
	__asm__ volatile("" : "+r"(value));
	return value;
}

bool
is_zero(const unsigned char *block, size_t size)
{
	unsigned char all = 0;

	/* One assertion for all bytes: Check makes a system call for each assertion. */
	for (size_t byte = 0; byte < size; byte++)
		all |= block[byte];
	return all == 0;
}

bool
is_aligned(const void *block, size_t alignment)
{
	return (uintptr_t)block % alignment == 0;
}

Suite *
make_suite(void)
{
	Suite *suite = suite_create("entry");
	TCase *tcase = tcase_create("entry");

	tcase_set_timeout(tcase, 120);
	add_size_tests(tcase);
	add_standard_tests(tcase);
	add_glibc_tests(tcase);
	add_extended_tests(tcase);
	add_arena_tests(tcase);
	suite_add_tcase(suite, tcase);
	return suite;
}
