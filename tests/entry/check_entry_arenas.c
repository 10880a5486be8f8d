/* SPDX-License-Identifier: BSD-3-Clause */
/* check_entry_arenas.c: tests of blocks that threads cache and ranges that arenas keep. */
#include "config.h"

#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check_entry.h"

#pragma weak mallctl

/* Frees blocks that another thread has allocated. */
static void *
free_all(void *argument)
{
	void **blocks = argument;

	for (int i = 0; i < 1000; i++)
		free(blocks[i]);
	return NULL;
}

START_TEST(test_other_thread_frees)
{
	static void *blocks[1000];

	for (int round = 0; round < 20; round++) {
		pthread_t thread;

		for (size_t i = 0; i < 1000; i++) {
			blocks[i] = malloc(i * 7);
			ck_assert(is_in_pool(blocks[i]));
		}
		ck_assert_int_eq(
		    pthread_create(&thread, NULL, free_all, blocks), 0);
		pthread_join(thread, NULL);
	}
}
END_TEST

static void *
use_large_blocks(void *unused)
{
	for (int i = 0; i < 100; i++)
		free(opaque(malloc((size_t)20000 * (i % 5 + 1))));
	return unused;
}

/* Returns how often all arenas together have freed cached ranges to the pool. */
static uint64_t
purges(void)
{
	uint64_t epoch = 1, count = 0;
	size_t length = sizeof(count);

	ck_assert_int_eq(mallctl("epoch", NULL, NULL, &epoch, sizeof(epoch)), 0);
	ck_assert_int_eq(mallctl("stats.arenas.4096.dirty_npurge", &count,
	    &length, NULL, 0), 0);
	return count;
}

/* A thread reuses the ranges of the thread before it, so the arena purges nothing. */
START_TEST(test_next_thread_reuses_ranges)
{
	uint64_t before = purges();

	for (int round = 0; round < 50; round++) {
		pthread_t thread;

		ck_assert_int_eq(pthread_create(&thread, NULL,
		    use_large_blocks, NULL), 0);
		pthread_join(thread, NULL);
	}
	ck_assert_uint_eq(purges(), before);
}
END_TEST

/* Returns the number of small blocks that the program or a thread's cache has. */
static size_t
small_blocks(void)
{
	uint64_t epoch = 1;
	size_t size = 0, sum = 0, length = sizeof(size);
	char name[64];

	ck_assert_int_eq(mallctl("epoch", NULL, NULL, &epoch, sizeof(epoch)), 0);
	for (int bin = 0; size < 4096; bin++) {
		size_t count = 0;

		snprintf(name, sizeof(name), "arenas.bin.%d.size", bin);
		ck_assert_int_eq(mallctl(name, &size, &length, NULL, 0), 0);
		snprintf(name, sizeof(name), "stats.arenas.4096.bins.%d.curregs",
		    bin);
		ck_assert_int_eq(mallctl(name, &count, &length, NULL, 0), 0);
		sum += count;
	}
	return sum;
}

static void *
use_a_block(void *argument)
{
	free(opaque(malloc(20)));
	*(size_t *)argument = small_blocks();
	return NULL;
}

/* The cache of a new thread takes few blocks at its first allocation. */
START_TEST(test_thread_starts_with_few_blocks)
{
	size_t before = small_blocks(), during = 0;
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, use_a_block, &during), 0);
	pthread_join(thread, NULL);
	ck_assert_uint_le(during, before + 40);
}
END_TEST

/* Free ranges that lie side by side merge, and a larger block fits into them. */
START_TEST(test_growing_blocks_share_ranges)
{
	const char *fork_mode = getenv("CK_FORK");

	/* With CK_FORK=no all tests run in one process, and others have made the pool grow. */
	if (fork_mode != NULL && strcmp(fork_mode, "no") == 0)
		return;
	for (size_t size = 1 << 20; size <= 16 << 20; size *= 2)
		free(opaque(malloc(size)));
	ck_assert_uint_lt(mallinfo2().arena, 24 << 20);
}
END_TEST

void
add_arena_tests(TCase *tcase)
{
	tcase_add_test(tcase, test_other_thread_frees);
	tcase_add_test(tcase, test_next_thread_reuses_ranges);
	tcase_add_test(tcase, test_thread_starts_with_few_blocks);
	tcase_add_test(tcase, test_growing_blocks_share_ranges);
}
