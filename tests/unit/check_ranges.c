/* SPDX-License-Identifier: BSD-3-Clause */
/* check_ranges.c: tests of the page-range allocator, some against a simple model. */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "check_main.h"
#include "pool/ranges.h"

#define NPAGES 512

static struct vmm_range records[NPAGES];
static struct vmm_ranges ranges;

static void
set_up(void)
{
	memset(records, 0, sizeof(records));
	vmm_ranges_init(&ranges, records, NPAGES, 0);
}

START_TEST(test_allocate_all)
{
	size_t first = 1;

	ck_assert(vmm_ranges_allocate(&ranges, NPAGES, 1, &first));
	ck_assert_uint_eq(first, 0);
	ck_assert_uint_eq(vmm_ranges_longest(&ranges), 0);
	ck_assert(!vmm_ranges_allocate(&ranges, 1, 1, &first));
	vmm_ranges_free(&ranges, 0, NPAGES);
	ck_assert_uint_eq(vmm_ranges_longest(&ranges), NPAGES);
}
END_TEST

START_TEST(test_allocate_too_much)
{
	size_t first;

	ck_assert(!vmm_ranges_allocate(&ranges, NPAGES + 1, 1, &first));
	ck_assert(!vmm_ranges_allocate(&ranges, SIZE_MAX / 4096, 1, &first));
	ck_assert_uint_eq(ranges.free_npages, NPAGES);
}
END_TEST

START_TEST(test_allocate_lowest)
{
	size_t first;

	ck_assert(vmm_ranges_allocate(&ranges, 100, 1, &first));
	vmm_ranges_free(&ranges, 10, 5);
	vmm_ranges_free(&ranges, 50, 20);
	ck_assert(vmm_ranges_allocate(&ranges, 6, 1, &first));
	ck_assert_uint_eq(first, 50);
	ck_assert(vmm_ranges_allocate(&ranges, 5, 1, &first));
	ck_assert_uint_eq(first, 10);
	ck_assert(vmm_ranges_allocate(&ranges, 15, 1, &first));
	ck_assert_uint_eq(first, 100);
}
END_TEST

START_TEST(test_allocate_aligned)
{
	size_t first;

	ck_assert(vmm_ranges_allocate(&ranges, 1, 1, &first));
	ck_assert(vmm_ranges_allocate(&ranges, 3, 64, &first));
	ck_assert_uint_eq(first, 64);
	/* The pages in between are still free. */
	ck_assert(vmm_ranges_allocate(&ranges, 63, 1, &first));
	ck_assert_uint_eq(first, 1);
	ck_assert(!vmm_ranges_allocate(&ranges, 1, NPAGES, &first));
}
END_TEST

START_TEST(test_allocate_aligned_from_origin)
{
	size_t first;

	/* Page 0 lies 3 pages above a multiple of 8, so pages 5, 13, ... are aligned. */
	memset(records, 0, sizeof(records));
	vmm_ranges_init(&ranges, records, NPAGES, 3);
	ck_assert(vmm_ranges_allocate(&ranges, 2, 8, &first));
	ck_assert_uint_eq(first, 5);
	ck_assert(vmm_ranges_allocate(&ranges, 1, 8, &first));
	ck_assert_uint_eq(first, 13);
}
END_TEST

/*
 * The first search stops after some ranges that are long enough, but not behind their first
 * aligned page. A second search finds the longer range that lies behind them.
 */
START_TEST(test_allocate_aligned_among_misfits)
{
	size_t first;

	ck_assert(vmm_ranges_allocate(&ranges, NPAGES, 1, &first));
	for (size_t page = 1; page < 400; page += 4)
		vmm_ranges_free(&ranges, page, 2);
	vmm_ranges_free(&ranges, 402, 11);
	ck_assert(vmm_ranges_allocate(&ranges, 2, 4, &first));
	ck_assert_uint_eq(first, 404);
	/* The third search tries every range, and so finds one without pages to spare. */
	vmm_ranges_free(&ranges, 500, 2);
	ck_assert(vmm_ranges_allocate(&ranges, 2, 4, &first));
	ck_assert_uint_eq(first, 408);
	ck_assert(vmm_ranges_allocate(&ranges, 2, 4, &first));
	ck_assert_uint_eq(first, 500);
	ck_assert(!vmm_ranges_allocate(&ranges, 2, 4, &first));
}
END_TEST

START_TEST(test_allocate_at)
{
	size_t first;

	ck_assert(vmm_ranges_allocate(&ranges, 10, 1, &first));
	ck_assert(!vmm_ranges_allocate_at(&ranges, 9, 1));
	ck_assert(!vmm_ranges_allocate_at(&ranges, 11, 1));
	ck_assert(!vmm_ranges_allocate_at(&ranges, 10, NPAGES));
	ck_assert(!vmm_ranges_allocate_at(&ranges, NPAGES, 1));
	ck_assert(vmm_ranges_allocate_at(&ranges, 10, 5));
	ck_assert(vmm_ranges_allocate_at(&ranges, 15, NPAGES - 15));
	ck_assert_uint_eq(ranges.free_npages, 0);
}
END_TEST

START_TEST(test_around)
{
	size_t first, npages;

	ck_assert(vmm_ranges_allocate(&ranges, NPAGES, 1, &first));
	vmm_ranges_free(&ranges, 10, 10);
	vmm_ranges_free(&ranges, 30, 10);
	for (size_t page = 30; page < 40; page++) {
		vmm_ranges_around(&ranges, page, &first, &npages);
		ck_assert_uint_eq(first, 30);
		ck_assert_uint_eq(npages, 10);
	}
}
END_TEST

START_TEST(test_free_merges_both_sides)
{
	size_t first;

	ck_assert(vmm_ranges_allocate(&ranges, NPAGES, 1, &first));
	vmm_ranges_free(&ranges, 10, 10);
	vmm_ranges_free(&ranges, 30, 10);
	ck_assert_uint_eq(vmm_ranges_longest(&ranges), 10);
	vmm_ranges_free(&ranges, 20, 10);
	ck_assert_uint_eq(vmm_ranges_longest(&ranges), 30);
	ck_assert(vmm_ranges_allocate(&ranges, 30, 1, &first));
	ck_assert_uint_eq(first, 10);
}
END_TEST

/* The model has a byte for each page, and searches from the left. */

static unsigned char in_use[NPAGES];

static size_t
model_find(size_t npages, size_t alignment, size_t origin)
{
	size_t run = 0;

	for (size_t end = 1; end <= NPAGES; end++) {
		run = in_use[end - 1] ? 0 : run + 1;
		/* `end` ascends, so the first place that fits is the lowest. */
		if (run >= npages && (end - npages + origin) % alignment == 0)
			return end - npages;
	}
	return NPAGES;
}

static size_t
model_longest(void)
{
	size_t run = 0, longest = 0;

	for (size_t page = 0; page < NPAGES; page++) {
		run = in_use[page] ? 0 : run + 1;
		if (run > longest)
			longest = run;
	}
	return longest;
}

/*
 * Without alignment the allocator must find the lowest range that fits. With alignment it
 * must find some range if there is one.
 */
static void
step_allocate(size_t origin)
{
	size_t npages = 1 + (size_t)rand() % (rand() % 4 ? 4 : 64);
	size_t alignment = (size_t)1 << (rand() % 4 ? 0 : rand() % 7);
	size_t expected = model_find(npages, alignment, origin);
	size_t first = NPAGES;

	ck_assert_int_eq(vmm_ranges_allocate(&ranges, npages, alignment, &first),
	    expected != NPAGES);
	if (expected == NPAGES)
		return;
	if (alignment == 1)
		ck_assert_uint_eq(first, expected);
	ck_assert_uint_eq((first + origin) % alignment, 0);
	for (size_t page = first; page < first + npages; page++) {
		ck_assert(!in_use[page]);
		in_use[page] = 1;
	}
}

static void
step_free(void)
{
	size_t first = (size_t)rand() % NPAGES;
	size_t npages = 0;
	size_t most = 1 + (size_t)rand() % 32;

	/* Frees any pages in use, across the borders of the ranges that were allocated. */
	while (npages < most && first + npages < NPAGES && in_use[first + npages])
		in_use[first + npages++] = 0;
	if (npages > 0)
		vmm_ranges_free(&ranges, first, npages);
}

static void
step_allocate_at(void)
{
	size_t first = (size_t)rand() % NPAGES;
	size_t npages = 1 + (size_t)rand() % 8;
	bool fits = !in_use[first] && (first == 0 || in_use[first - 1]);

	for (size_t page = first; page < first + npages; page++)
		fits = fits && page < NPAGES && !in_use[page];
	ck_assert_int_eq(vmm_ranges_allocate_at(&ranges, first, npages), fits);
	if (fits)
		memset(in_use + first, 1, npages);
}

/* Compares with the model: the first pages in use at or behind a random page. */
static void
step_next_used(void)
{
	size_t page = (size_t)rand() % (NPAGES + 1);
	size_t expected = page;
	size_t expected_end;
	size_t first, npages;

	while (expected < NPAGES && !in_use[expected])
		expected++;
	for (expected_end = expected; expected_end < NPAGES &&
	     in_use[expected_end]; expected_end++)
		;
	ck_assert_int_eq(vmm_ranges_next_used(&ranges, page, &first, &npages),
	    expected < NPAGES);
	if (expected < NPAGES) {
		ck_assert_uint_eq(first, expected);
		ck_assert_uint_eq(first + npages, expected_end);
	}
}

START_TEST(test_against_model)
{
	size_t origin = (size_t)_i * 3;

	srand((unsigned)_i);
	memset(in_use, 0, sizeof(in_use));
	memset(records, 0, sizeof(records));
	vmm_ranges_init(&ranges, records, NPAGES, origin);
	for (int step = 0; step < 20000; step++) {
		size_t free_npages = 0;

		step_next_used();
		switch (rand() % 4) {
		case 0:
			step_allocate(origin);
			break;
		case 1:
			step_allocate_at();
			break;
		default:
			step_free();
			/* In every second phase the pool fills up. */
			if (step / 2000 % 2)
				step_allocate(origin);
			break;
		}
		for (size_t page = 0; page < NPAGES; page++)
			free_npages += !in_use[page];
		ck_assert_uint_eq(ranges.free_npages, free_npages);
		ck_assert_uint_eq(vmm_ranges_longest(&ranges), model_longest());
	}
}
END_TEST

Suite *
make_suite(void)
{
	Suite *suite = suite_create("ranges");
	TCase *tcase = tcase_create("ranges");

	tcase_add_checked_fixture(tcase, set_up, NULL);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, test_allocate_all);
	tcase_add_test(tcase, test_allocate_too_much);
	tcase_add_test(tcase, test_allocate_lowest);
	tcase_add_test(tcase, test_allocate_aligned);
	tcase_add_test(tcase, test_allocate_aligned_from_origin);
	tcase_add_test(tcase, test_allocate_aligned_among_misfits);
	tcase_add_test(tcase, test_allocate_at);
	tcase_add_test(tcase, test_around);
	tcase_add_test(tcase, test_free_merges_both_sides);
	tcase_add_loop_test(tcase, test_against_model, 0, 8);
	suite_add_tcase(suite, tcase);
	return suite;
}
