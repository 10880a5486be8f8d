/* SPDX-License-Identifier: BSD-3-Clause */
/* on_dax.c: what is special about a pool on a device's own pages; run with the library
 * preloaded, by tests/dax/guest. on_dax pages|no-fork|hold. Prints TAP. */
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
	return usage.ru_minflt;
}

/*
 * Every small page of a block is written to, and only the first of each 2 MiB faults.
 * What smaps says of such mappings is no help: Linux 6.1 counts one as 4 KiB.
 */
static int
pages(void)
{
	char *block = aligned_alloc(LARGE_BYTES, NLARGE * LARGE_BYTES);
	long before = faults(), more;
	char text[200];

	for (size_t at = 0; block != NULL && at < NLARGE * LARGE_BYTES; at += 4096)
		block[at] = 1;
	more = faults() - before;
	snprintf(text, sizeof(text), "%d MiB written to take %ld page faults",
	    NLARGE * 2, more);
	/* A few for the program itself. */
	blocks_result(block != NULL && more >= NLARGE && more < NLARGE + 10, text);
	return blocks_plan();
}

/* Where a child can have nothing of its own, fork(2) fails, and no more. */
static int
no_fork(void)
{
	struct in_pool_figures before, after;
	char text[200];
	int is_good = 1, error = 0;

	blocks_set(NBLOCKS, BLOCK_BYTES);
	blocks_write(1);
	in_pool_look(&before);
	for (int i = 0; i < 10; i++) {
		pid_t pid;

		errno = 0;
		pid = fork();
		if (pid == 0)
			_exit(0);
		error = errno;
		is_good &= pid == -1 && error == EOPNOTSUPP;
		if (pid > 0)
			waitpid(pid, NULL, 0);
	}
	in_pool_look(&after);
	snprintf(text, sizeof(text), "fork fails, ten times: %s",
	    strerror(error));
	blocks_result(is_good, text);
	blocks_result(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD,
	    "no child is left");
	blocks_result(before.shared_kb == after.shared_kb &&
	    before.pool_kb == after.pool_kb && after.shared_kb > 0,
	    "all of the pool is still mapped, and shared");
	blocks_result(blocks_are(1) && blocks_write(2) && blocks_are(2),
	    "the heap is whole");
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
		return no_fork();
	return strcmp(what, "hold") == 0 ? hold() : 99;
}
