/* SPDX-License-Identifier: BSD-3-Clause */
/* blocks.c: for tests, blocks of known content, and lines of TAP. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "blocks.h"

static char *blocks[BLOCKS_MAX];
static int nblocks;
static size_t block_bytes;
static int nresults;

void
blocks_set(int count, size_t bytes)
{
	nblocks = count < BLOCKS_MAX ? count : BLOCKS_MAX;
	block_bytes = bytes;
}

int
blocks_write(char value)
{
	for (int i = 0; i < nblocks; i++) {
		if (blocks[i] == NULL)
			blocks[i] = malloc(block_bytes);
		if (blocks[i] == NULL)
			return 0;
		memset(blocks[i], value + i, block_bytes);
	}
	return 1;
}

int
blocks_are(char value)
{
	for (int i = 0; i < nblocks; i++) {
		for (size_t byte = 0; byte < block_bytes; byte++) {
			if (blocks[i][byte] != (char)(value + i))
				return 0;
		}
	}
	return 1;
}

void
blocks_free(void)
{
	for (int i = 0; i < nblocks; i++) {
		free(blocks[i]);
		blocks[i] = NULL;
	}
}

void
tap_result(int is_good, const char *what)
{
	printf("%sok %d - %s\n", is_good ? "" : "not ", ++nresults, what);
	fflush(stdout);
}

int
tap_plan(void)
{
	printf("1..%d\n", nresults);
	return 0;
}

int
child_succeeds(pid_t pid)
{
	int status;

	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

int
blocks_fork_fails(int expected)
{
	int is_good = 1;

	for (int i = 0; i < 10; i++) {
		pid_t pid;

		errno = 0;
		pid = fork();
		if (pid == 0)
			_exit(0);
		is_good &= pid == -1 && errno == expected;
		if (pid > 0)
			waitpid(pid, NULL, 0);
	}
	return is_good;
}
