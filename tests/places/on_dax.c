/* SPDX-License-Identifier: BSD-3-Clause */
/* on_dax.c: what is special about a pool on a device's own pages; run with the library
 * preloaded, by tests/places/dax/guest. on_dax
 * pages|no-fork|leave|find|fresh|hold. Prints TAP. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../support/blocks.h"
#include "../support/heap_return.h"
#include "../support/in_pool.h"

#define NBLOCKS 50
#define BLOCK_BYTES ((size_t)60000)
#define LARGE_BYTES ((size_t)2 << 20)
#define NLARGE 16

static long
faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	/* DAX counts those that took a new block as major. */
	return usage.ru_minflt + usage.ru_majflt;
}

/*
 * Every small page of a block is written to, and only the first of each 2 MiB faults.
 * What smaps says of such mappings is no help: Linux 6.1 counts one as 4 KiB.
 */
static int
pages(void)
{
	/* A device's pages are zeroed, and so mapped, when they are handed out. */
	long before = faults(), more;
	char *block = aligned_alloc(LARGE_BYTES, NLARGE * LARGE_BYTES);
	char text[200];

	for (size_t at = 0; block != NULL && at < NLARGE * LARGE_BYTES; at += 4096)
		block[at] = 1;
	more = faults() - before;
	snprintf(text, sizeof(text), "%d MiB take %ld page faults",
	    NLARGE * 2, more);
	/* Some are the allocator's own. */
	blocks_result(block != NULL && more >= NLARGE && more < NLARGE + 100,
	    text);
	return blocks_plan();
}

/* A child cannot have a file of its own on a device: fork(2) fails, and no more. */
static int
no_fork(void)
{
	struct in_pool_figures before, after;
	int is_good;

	blocks_set(NBLOCKS, BLOCK_BYTES);
	blocks_write(1);
	in_pool_look(&before);
	is_good = blocks_fork_fails(EOPNOTSUPP);
	in_pool_look(&after);
	blocks_result(is_good, "fork fails, ten times: EOPNOTSUPP");
	blocks_result(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD,
	    "no child is left");
	blocks_result(before.shared_kb == after.shared_kb &&
	    before.pool_kb == after.pool_kb && after.shared_kb > 0,
	    "all of the pool is still mapped, and shared");
	blocks_result(blocks_are(1) && blocks_write(2) && blocks_are(2),
	    "the heap is whole");
	return blocks_plan();
}

/* One process leaves its heap full, and the next finds nothing of it in its own, which
 * it therefore reads without having written. */
#define NSECRETS 48
#define SECRET_BYTES ((size_t)1 << 20)
#define SECRET 0x5a

static int
leave(void)
{
	int n = 0;

	for (char *block; n < NSECRETS &&
	     (block = malloc(SECRET_BYTES)) != NULL; n++)
		memset(block, SECRET, SECRET_BYTES);
	blocks_result(n == NSECRETS, "a heap is left behind");
	return blocks_plan();
}

static int
find(void)
{
	size_t found = 0;
	char text[200];
	int n = 0;

	for (char *block; n < NSECRETS &&
	     (block = malloc(SECRET_BYTES)) != NULL; n++) {
		for (size_t i = 0; i < SECRET_BYTES; i++)
			/* NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult) */
			found += block[i] == SECRET;
	}
	snprintf(text, sizeof(text), "of the heap before, %zu bytes are found",
	    found);
	blocks_result(n == NSECRETS && found == 0, text);
	return blocks_plan();
}

/*
 * Memory that is handed out while the heap is not on the device, as zeroes that nobody
 * has touched, is zeroes when the heap has returned; whatever the device had there.
 */
#define RETURNED_KB 1024UL
#define RETURN_LIMIT_MS 60000

static int
lives(void *argument)
{
	(void)argument;
	return 1;
}

static int
fresh(void)
{
	struct heap_child child;
	char *block;
	size_t found = 0;
	char text[200];

	blocks_set(NBLOCKS, BLOCK_BYTES);
	blocks_write(1);
	blocks_result(heap_child_start(&child, lives, NULL), "fork");
	block = calloc(NSECRETS, SECRET_BYTES);
	blocks_result(block != NULL && blocks_write(2), "calloc beside a child");
	blocks_result(heap_child_end(&child), "the child ends");
	blocks_result(heap_returns(RETURNED_KB, RETURN_LIMIT_MS), "the heap returns");
	for (size_t i = 0; block != NULL && i < NSECRETS * SECRET_BYTES; i++)
		found += block[i] != 0;
	snprintf(text, sizeof(text), "of calloc's memory, %zu bytes are not 0", found);
	blocks_result(found == 0 && blocks_are(2), text);
	return blocks_plan();
}

/* A process that is there until it is told that it may go. */
static int
hold(void)
{
	char byte;

	free(malloc(1000));
	if (write(STDOUT_FILENO, "there\n", 6) != 6)
		return 1;
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	return 0;
}

int
main(int argc, char **argv)
{
	const char *what = argc == 2 ? argv[1] : "";

	if (strcmp(what, "pages") == 0)
		return pages();
	if (strcmp(what, "fresh") == 0)
		return fresh();
	if (strcmp(what, "no-fork") == 0)
		return no_fork();
	if (strcmp(what, "leave") == 0)
		return leave();
	if (strcmp(what, "find") == 0)
		return find();
	return strcmp(what, "hold") == 0 ? hold() : 99;
}
