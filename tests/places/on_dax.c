/* SPDX-License-Identifier: BSD-3-Clause */
/* on_dax.c: the special properties of pools on DAX. tests/places/vm/guest runs it
 * with the library preloaded: on_dax pages|no-fork|leave|find|fresh|hold. Prints TAP. */
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
	/* With DAX, a fault that allocates a file block counts as a major one. */
	return usage.ru_minflt + usage.ru_majflt;
}

/*
 * Writes every small page of a block. Only the first of each 2 MiB may fault. smaps
 * cannot show large pages of DAX: Linux 6.1 counts each as 4 KiB.
 */
static int
pages(void)
{
	/* The count begins before the allocation: the pool zeroes a device's pages when it
	 * allocates them, and the faults occur then. */
	long before = faults(), more;
	char *block = aligned_alloc(LARGE_BYTES, NLARGE * LARGE_BYTES);
	char text[200];

	for (size_t at = 0; block != NULL && at < NLARGE * LARGE_BYTES; at += 4096)
		block[at] = 1;
	more = faults() - before;
	snprintf(text, sizeof(text), "%d MiB take %ld page faults",
	    NLARGE * 2, more);
	/* Some of the faults are in jemalloc's own memory. */
	tap_result(block != NULL && more >= NLARGE && more < NLARGE + 100,
	    text);
	return tap_plan();
}

/* A child cannot have a file of its own on a device: with VMMALLOC_FORK=2, fork(2) fails
 * and changes nothing. */
static int
no_fork(void)
{
	struct in_pool_figures before, after;
	int is_good;

	blocks_set(NBLOCKS, BLOCK_BYTES);
	blocks_write(1);
	in_pool_read(&before);
	is_good = blocks_fork_fails(EOPNOTSUPP);
	in_pool_read(&after);
	tap_result(is_good, "fork fails ten times with EOPNOTSUPP");
	tap_result(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD,
	    "no child exists afterwards");
	tap_result(before.shared_kb == after.shared_kb &&
	    before.pool_kb == after.pool_kb && after.shared_kb > 0,
	    "the whole pool is still mapped shared");
	tap_result(blocks_are(1) && blocks_write(2) && blocks_are(2),
	    "the heap is whole");
	return tap_plan();
}

/* One process fills its heap and ends (mode leave). The next one reads its own heap
 * without having written to it, and must not find that data (mode find). */
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
	tap_result(n == NSECRETS, "a heap is filled and left behind");
	return tap_plan();
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
	snprintf(text, sizeof(text), "%zu bytes of the earlier heap are found",
	    found);
	tap_result(n == NSECRETS && found == 0, text);
	return tap_plan();
}

/*
 * While the heap is private, calloc returns memory that is zero because it was never
 * used. After the return of the heap it must still be zero, whatever the device holds
 * there.
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
	tap_result(heap_child_start(&child, lives, NULL) && !heap_is_returned(RETURNED_KB),
	    "after fork the heap is private");
	block = calloc(NSECRETS, SECRET_BYTES);
	tap_result(block != NULL && blocks_write(2),
	    "calloc and writes while a child lives");
	tap_result(heap_child_end(&child), "the child ends");
	tap_result(heap_returns(RETURNED_KB, RETURN_LIMIT_MS), "the heap returns");
	for (size_t i = 0; block != NULL && i < NSECRETS * SECRET_BYTES; i++)
		found += block[i] != 0;
	snprintf(text, sizeof(text), "%zu bytes of calloc's memory are not 0", found);
	tap_result(found == 0 && blocks_are(2), text);
	return tap_plan();
}

/* Runs until its standard input is closed. */
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
