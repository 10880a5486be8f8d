/* SPDX-License-Identifier: BSD-3-Clause */
/* page_settings_return.c: part of the program page_settings: the return without settings
 * of pages. */
#include "config.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "page_settings.h"
#include "../support/heap_return.h"
#include "../support/self.h"

#define FEW_ALLOCATIONS 200
#define HOLE_BLOCKS 120
#define HOLE_BYTES ((size_t)2 << 20)
/* A fork or a return may add this many mappings, but not one for each hole. */
#define MORE_MAPPINGS 10

static int
child_sees_filler(void *value)
{
	return filler_is(*(const char *)value);
}

void
run_returns(const struct test_case *self)
{
	struct heap_child child;
	char before = 1;

	(void)self;
	filler_write(before);
	for (int round = 0; round < 2; round++) {
		int is_good = heap_child_start(&child, child_sees_filler,
		    &before);

		filler_write((char)(before + 1));
		cases_result(heap_child_end(&child) && is_good,
		    "the child sees the heap of the fork");
		cases_stage("allocating until the heap returns");
		is_good = heap_returns(RETURNED_KB, 20000);
		cases_result(is_good && filler_is((char)(before + 1)),
		    "the heap returns after the child's end");
		before++;
	}
}

/* With a limit of file sizes below the pool's size, a return would raise SIGXFSZ. */
void
run_file_limit(const struct test_case *self)
{
	struct rlimit before, limit;
	struct heap_child child;
	unsigned seed = 1;

	(void)self;
	filler_write(1);
	heap_child_start(&child, child_lives, NULL);
	filler_write(2);
	getrlimit(RLIMIT_FSIZE, &before);
	limit = (struct rlimit){ 1 << 20, before.rlim_max };
	setrlimit(RLIMIT_FSIZE, &limit);
	heap_child_end(&child);
	cases_stage("allocating below the limit");
	for (int i = 0; i < FEW_ALLOCATIONS; i++)
		heap_allocate(&seed);
	cases_result(filler_is(2), "the heap keeps its content below RLIMIT_FSIZE");
	setrlimit(RLIMIT_FSIZE, &before);
	cases_stage("allocating until the heap returns");
	cases_result(heap_returns(RETURNED_KB, 20000) && filler_is(2),
	    "the heap returns when the limit is gone");
}

static char *hole_blocks[HOLE_BLOCKS];

static int
make_holes(void)
{
	for (int i = 0; i < HOLE_BLOCKS; i++) {
		void *block;

		if (posix_memalign(&block, HOLE_BYTES, HOLE_BYTES) != 0)
			return 0;
		hole_blocks[i] = block;
		memset(block, i + 1, HOLE_BYTES);
	}
	for (int i = 1; i < HOLE_BLOCKS; i += 2)
		free(hole_blocks[i]);
	malloc_trim(0);
	return 1;
}

static int
has_blocks(void)
{
	for (int i = 0; i < HOLE_BLOCKS; i += 2) {
		if (hole_blocks[i][0] != i + 1 ||
		    hole_blocks[i][HOLE_BYTES - 1] != i + 1)
			return 0;
	}
	return 1;
}

static int
child_sees_holes(void *before)
{
	int now = self_mappings();

	cases_comment("%d mappings in the child", now);
	return has_blocks() && now <= *(int *)before + MORE_MAPPINGS;
}

void
run_holes(const struct test_case *self)
{
	struct heap_child child;
	int before, now;

	(void)self;
	filler_write(1);
	cases_result(make_holes(), "a heap with holes is made");
	before = self_mappings();
	cases_result(heap_child_start(&child, child_sees_holes, &before),
	    "a process with holes in its heap can fork");
	filler_write(2);
	now = self_mappings();
	cases_comment("%d mappings before the fork, %d after it", before, now);
	cases_result(now <= before + MORE_MAPPINGS,
	    "the parent needs few more mappings after fork");
	cases_result(heap_child_end(&child),
	    "the child needs few more mappings, and sees the heap of the fork");
	heap_returns(RETURNED_KB, RETURN_LIMIT_MS);
	now = self_mappings();
	cases_comment("%d mappings when the heap has returned", now);
	cases_result(now <= before + MORE_MAPPINGS && has_blocks(),
	    "the parent needs few more mappings when the heap has returned");
}
