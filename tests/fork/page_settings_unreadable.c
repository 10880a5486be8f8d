/* SPDX-License-Identifier: BSD-3-Clause */
/* page_settings_unreadable.c: part of the program page_settings: pages that cannot be
 * read keep their content and stay as they are, also where the library copies the whole
 * heap at a fork. */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../support/blocks.h"
#include "page_settings.h"
#include "../support/heap_return.h"

/* A second thread runs until the case is over. So a copy of the heap has to stop it. */
static int is_over;

static int
closes_descriptors(const struct test_case *self)
{
	const int *is_closed = self->with;

	return !*is_closed || syscall(SYS_close_range, 3U, ~0U, 0U) == 0;
}

/* Larger than what is copied in one stop. */
#define UNREADABLE_BYTES ((size_t)24 << 20)
#define NROUNDS 4

static void *
idle(void *argument)
{
	while (!__atomic_load_n(&is_over, __ATOMIC_ACQUIRE))
		usleep(1000);
	return argument;
}

/* Counts the bytes of [block, block + length) that /proc/self/maps lists as readable. */
static size_t
readable_bytes(const char *block, size_t length)
{
	uintptr_t from = (uintptr_t)block, to = from + length;
	FILE *maps = fopen("/proc/self/maps", "re");
	unsigned long begin, end;
	char line[512], permissions[8];
	size_t bytes = 0;

	if (maps == NULL)
		_exit(99);
	while (fgets(line, sizeof(line), maps) != NULL) {
		if (sscanf(line, "%lx-%lx %7s", &begin, &end, permissions) != 3 ||
		    end <= from || begin >= to || permissions[0] != 'r')
			continue;
		bytes += (end < to ? end : to) - (begin > from ? begin : from);
	}
	fclose(maps);
	return bytes;
}

static int
is_content(char *block, char value)
{
	int is_good;

	if (mprotect(block, UNREADABLE_BYTES, PROT_READ | PROT_WRITE) != 0)
		return 0;
	is_good = 1;
	for (size_t i = 0; i < UNREADABLE_BYTES; i += 512)
		is_good &= block[i] == value;
	return is_good;
}

void
run_unreadable(const struct test_case *self)
{
	void *map;
	char *block;
	pthread_t thread;
	int is_good = 1, is_whole = 1;

	if (!closes_descriptors(self)) {
		cases_skip("pages that cannot be read stay so", strerror(errno));
		return;
	}
	if (posix_memalign(&map, (size_t)sysconf(_SC_PAGESIZE), UNREADABLE_BYTES) != 0 ||
	    pthread_create(&thread, NULL, idle, NULL) != 0)
		_exit(99);
	block = map;
	for (int round = 1; round <= NROUNDS; round++) {
		memset(block, round, UNREADABLE_BYTES);
		mprotect(block, UNREADABLE_BYTES, PROT_NONE);
		is_good &= heap_forks() && readable_bytes(block, UNREADABLE_BYTES) == 0;
		is_whole &= is_content(block, (char)round);
		memset(block, -round, UNREADABLE_BYTES);
		mprotect(block, UNREADABLE_BYTES, PROT_NONE);
		heap_returns(RETURNED_KB, RETURN_LIMIT_MS / NROUNDS);
		is_good &= readable_bytes(block, UNREADABLE_BYTES) == 0;
		is_whole &= is_content(block, (char)-round);
	}
	__atomic_store_n(&is_over, 1, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	cases_result(is_good, "pages that cannot be read stay so");
	cases_result(is_whole, "pages that cannot be read keep their content");
}

/*
 * A thread takes the right to read away, and gives it back, all the time
 */

#define TOGGLED_BYTES ((size_t)16 << 20)
#define SPINS 100000

static char *toggled;

static void
spin(void)
{
	for (volatile int i = 0; i < SPINS; i++)
		;
}

static void *
toggle(void *argument)
{
	char *guard = toggled + TOGGLED_BYTES - 65536;

	while (!__atomic_load_n(&is_over, __ATOMIC_ACQUIRE)) {
		mprotect(guard, 4096, PROT_NONE);
		spin();
		mprotect(guard, 4096, PROT_READ | PROT_WRITE);
		spin();
	}
	return argument;
}

/* The heap is copied at the first fork only. test_page_settings.sh repeats the case. */
static int
toggles_once(void)
{
	pthread_t thread;
	void *map;
	int is_good;

	if (posix_memalign(&map, (size_t)sysconf(_SC_PAGESIZE), TOGGLED_BYTES) != 0)
		_exit(99);
	toggled = memset(map, 1, TOGGLED_BYTES);
	if (pthread_create(&thread, NULL, toggle, NULL) != 0)
		_exit(99);
	spin();
	is_good = heap_forks();
	__atomic_store_n(&is_over, 1, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	return is_good;
}

void
run_toggled(const struct test_case *self)
{
	if (!closes_descriptors(self)) {
		cases_skip("fork beside a thread that changes protections",
		    strerror(errno));
		return;
	}
	cases_result(toggles_once(), "fork beside a thread that changes protections");
}

/*
 * Guard pages of MADV_GUARD_INSTALL: since Linux 6.13, in mappings of files since 6.15
 */

#define GUARD_INSTALL 102 /* MADV_GUARD_INSTALL */

void
run_guard_installed(const struct test_case *self)
{
	char *area = area_make();

	filler_write(1);
	if (!closes_descriptors(self) || madvise(area, AREA_BYTES, GUARD_INSTALL) != 0) {
		cases_skip("fork with guard pages in the heap", strerror(errno));
		return;
	}
	cases_result(heap_forks() && filler_is(1) && area_has_neighbours(area),
	    "fork with guard pages in the heap");
}

/*
 * A thread has a table of descriptors of its own, without the pool's: its fork copies the heap
 */

#define HEAP_BYTES ((size_t)40 << 20)

static void *
fork_without_descriptors(void *argument)
{
	int *is_good = argument;

	if (unshare(CLONE_FILES) == 0 && syscall(SYS_close_range, 3U, ~0U, 0U) == 0)
		*is_good = heap_forks();
	return NULL;
}

void
run_own_descriptors(const struct test_case *self)
{
	static unsigned seed = 1;
	pthread_t thread;
	int is_good = 0;
	char *block = malloc(HEAP_BYTES);

	(void)self;
	if (block == NULL || pthread_create(&thread, NULL, fork_without_descriptors,
		&is_good) != 0)
		_exit(99);
	memset(block, 1, HEAP_BYTES);
	pthread_join(thread, NULL);
	is_good &= heap_forks();
	for (int i = 0; i < 400; i++) {
		char *more = malloc(20000);

		is_good &= more != NULL && heap_allocate(&seed);
		if (more != NULL)
			memset(more, 1, 20000);
	}
	cases_result(is_good, "the heap can be used when a thread has copied it");
}
