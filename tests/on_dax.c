/* SPDX-License-Identifier: BSD-3-Clause */
/* on_dax.c: what is special about a pool on a device's own pages; run with the library
 * preloaded, by tests/dax/guest. on_dax
 * pages|no-fork|no-memory|no-memory-private|leave|find|hold. Prints TAP. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "blocks.h"
#include "in_pool.h"

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

/*
 * Where a child can have nothing of its own, fork(2) fails, and no more. The pool stays
 * the file's, but where the kernel, not the library, refuses a child that shares pages.
 */
static int
no_fork(int expected, bool stays_shared)
{
	struct in_pool_figures before, after;
	char text[200];
	int is_good;

	blocks_set(NBLOCKS, BLOCK_BYTES);
	blocks_write(1);
	in_pool_look(&before);
	is_good = blocks_fork_fails(expected);
	in_pool_look(&after);
	snprintf(text, sizeof(text), "fork fails, ten times: %s",
	    strerror(expected));
	blocks_result(is_good, text);
	blocks_result(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD,
	    "no child is left");
	if (stays_shared)
		blocks_result(before.shared_kb == after.shared_kb &&
		    before.pool_kb == after.pool_kb && after.shared_kb > 0,
		    "all of the pool is still mapped, and shared");
	else
		blocks_result(after.pool_kb > 0 && after.shared_kb == 0,
		    "what the heap has of the pool is private");
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
	if (strcmp(what, "no-fork") == 0)
		return no_fork(EOPNOTSUPP, true);
	if (strcmp(what, "no-memory") == 0)
		return no_fork(ENOMEM, true);
	if (strcmp(what, "no-memory-private") == 0)
		return no_fork(ENOMEM, false);
	if (strcmp(what, "leave") == 0)
		return leave();
	if (strcmp(what, "find") == 0)
		return find();
	return strcmp(what, "hold") == 0 ? hold() : 99;
}
