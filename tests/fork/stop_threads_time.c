/* SPDX-License-Identifier: BSD-3-Clause */
/* stop_threads_time.c: part of the program stop_threads: how soon the heap returns, and
 * for how long the library stops a thread at the fork and during the return. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../support/blocks.h"
#include "stop_threads.h"
#include "../support/heap_return.h"
#include "../support/in_pool.h"
#include "../support/self.h"

#define PAGE_BYTES 4096

static int is_over;

static int
always(void *argument)
{
	(void)argument;
	return 1;
}

static void
pause_ms(int ms)
{
	struct timespec time = { ms / 1000, ms % 1000 * 1000000L };

	nanosleep(&time, NULL);
}

/*
 * Private memory
 */

#define RSS_THREADS 8
#define RSS_BYTES ((size_t)200 << 20)
#define SHARE_BYTES (RSS_BYTES / RSS_THREADS)
/* Two percent of the heap. */
#define RSS_LIMIT_KB (RSS_BYTES / 50 / 1024)
#define RSS_AFTER_MS 1000
#define RSS_END_MS 5000
#define LOOK_EVERY_MS 20
#define PAGES_PER_ALLOCATION 512

static uint64_t passes[RSS_THREADS];

/* Writes to each page of a share of the heap, again and again. */
static void *
write_share(void *argument)
{
	static int next;
	int number = __atomic_fetch_add(&next, 1, __ATOMIC_RELAXED);
	char *share = (char *)argument + (size_t)number * SHARE_BYTES;
	unsigned seed = (unsigned)number;

	while (!__atomic_load_n(&is_over, __ATOMIC_ACQUIRE)) {
		for (size_t at = 0; at < SHARE_BYTES; at += PAGE_BYTES) {
			++*(volatile uint64_t *)(void *)(share + at);
			if (at / PAGE_BYTES % PAGES_PER_ALLOCATION == 0)
				heap_allocate(&seed);
		}
		passes[number]++;
	}
	return NULL;
}

static int
has_all_writes(const char *heap)
{
	for (size_t at = 0; at < RSS_BYTES; at += PAGE_BYTES) {
		uint64_t value;

		memcpy(&value, heap + at, sizeof(value));
		if (value != passes[at / SHARE_BYTES])
			return 0;
	}
	return 1;
}

/* Returns after how many ms private memory was below the limit; -1 if it never was. */
static int
wait_for_limit(long long begin_us, unsigned long *at_one_second_kb)
{
	struct in_pool_figures figures;
	int after_ms = -1, now_ms = 0, has_measured = 0;

	while (now_ms < RSS_END_MS && !(has_measured && after_ms >= 0)) {
		now_ms = (int)((self_now_us() - begin_us) / 1000);
		in_pool_read(&figures);
		if (!has_measured && now_ms >= RSS_AFTER_MS) {
			has_measured = 1;
			*at_one_second_kb = figures.own_rss_kb;
		}
		if (after_ms < 0 && figures.own_rss_kb < RSS_LIMIT_KB)
			after_ms = now_ms;
		pause_ms(LOOK_EVERY_MS);
	}
	return after_ms;
}

int
stop_threads_rss(void)
{
	char *heap = stop_threads_block(RSS_BYTES);
	struct in_pool_figures figures;
	struct heap_child child;
	unsigned long private_kb = 0;
	long long ended_us;
	int after_ms;

	for (int i = 0; i < RSS_THREADS; i++)
		stop_threads_start_thread(write_share, heap);
	if (!heap_child_start(&child, always, NULL))
		return 99;
	/* Most likely the writers have now written to all of the heap since the fork. */
	pause_ms(500);
	in_pool_read(&figures);
	printf("# private while the child lives: %lu KiB\n", figures.own_rss_kb);
	tap_result(heap_child_end(&child), "a child beside threads that write ends well");
	ended_us = self_now_us();
	after_ms = wait_for_limit(ended_us, &private_kb);
	printf("# private after %d ms: %lu KiB\n", RSS_AFTER_MS, private_kb);
	if (after_ms >= 0)
		printf("# below %lu KiB after %d ms\n",
		    (unsigned long)RSS_LIMIT_KB, after_ms);
	tap_result(private_kb < RSS_LIMIT_KB,
	    "a second after the child's end little memory is private");
	__atomic_store_n(&is_over, 1, __ATOMIC_RELEASE);
	stop_threads_join_threads();
	tap_result(has_all_writes(heap), "no write of these threads is lost");
	return tap_plan();
}

/*
 * Stops
 */

#define STOP_BYTES ((size_t)64 << 20)
#define QUIET_MS 300
#define STOP_LIMIT_MS 5000

/* The longest time between two reads of the clock, since this was last set to 0. */
static long long longest_us;

static void *
observe(void *argument)
{
	long long last_us = self_now_us();

	while (!__atomic_load_n(&is_over, __ATOMIC_ACQUIRE)) {
		long long now_us = self_now_us();

		if (now_us - last_us > __atomic_load_n(&longest_us,
			__ATOMIC_RELAXED))
			__atomic_store_n(&longest_us, now_us - last_us,
			    __ATOMIC_RELAXED);
		last_us = now_us;
	}
	return argument;
}

static void
print_longest(const char *when)
{
	printf("# longest time between two reads of the clock, %s: %.2f ms\n", when,
	    (double)__atomic_exchange_n(&longest_us, 0, __ATOMIC_RELAXED) / 1000);
}

int
stop_threads_pauses(void)
{
	char *heap = stop_threads_block(STOP_BYTES);
	struct heap_child child;
	int is_returned;

	stop_threads_start_thread(observe, NULL);
	pause_ms(QUIET_MS);
	print_longest("before the fork");
	if (!heap_child_start(&child, always, NULL))
		return 99;
	print_longest("during the fork");
	memset(heap, 1, STOP_BYTES);
	print_longest("while pages are copied");
	tap_result(heap_child_end(&child), "a child beside a thread that runs ends well");
	print_longest("while the child ends");
	is_returned = heap_returns(RETURNED_KB, STOP_LIMIT_MS);
	print_longest(is_returned ? "during the return"
				  : "during 5 s without a return");
	__atomic_store_n(&is_over, 1, __ATOMIC_RELEASE);
	stop_threads_join_threads();
	tap_result(heap[0] == 1 && heap[STOP_BYTES - 1] == 1,
	    "the heap keeps its content");
	return tap_plan();
}
