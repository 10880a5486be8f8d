/* SPDX-License-Identifier: BSD-3-Clause */
/* disk_space.c: tests a heap while another process fills the pool's file system and empties
 * it again, all the time. Usage:
 * disk_space eat PATH: that other process. It runs until it is killed.
 * disk_space ROUNDS: allocates, forks and frees, with the library preloaded. It ends after
 * ROUNDS rounds, but not before malloc or fork has failed; or after 60 s. Prints TAP. */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../support/blocks.h"
#include "../support/disk.h"

#define NBLOCKS 200
#define SECONDS_MAX 60

static struct block {
	unsigned char *data;
	size_t size;
	unsigned char byte;
} blocks[NBLOCKS];

static unsigned seed = 1;
static unsigned refused, forks, failed_forks;

static unsigned
below(unsigned limit)
{
	seed = seed * 1103515245 + 12345;
	return (seed >> 8) % limit;
}

static int
is_whole(const struct block *block)
{
	return block->data == NULL || (block->data[0] == block->byte &&
	    memcmp(block->data, block->data + 1, block->size - 1) == 0);
}

static int
all_are_whole(void)
{
	for (int i = 0; i < NBLOCKS; i++) {
		if (!is_whole(&blocks[i]))
			return 0;
	}
	return 1;
}

static int
change(struct block *block)
{
	size_t size = below(3) == 0 ? 1000 + below(600000) : 16 + below(50000);
	unsigned char *data;

	if (!is_whole(block))
		return 0;
	errno = 0;
	data = malloc(size);
	if (data == NULL) {
		refused++;
		/* Half of the time this makes room for the next blocks. */
		if (below(2) == 0) {
			free(block->data);
			block->data = NULL;
		}
		return errno == ENOMEM;
	}
	free(block->data);
	block->data = data;
	block->size = size;
	block->byte = (unsigned char)below(256);
	memset(data, block->byte, size);
	return 1;
}

static int
change_some(int count)
{
	while (count-- > 0) {
		if (!change(&blocks[below(NBLOCKS)]))
			return 0;
	}
	return 1;
}

static int
fork_once(void)
{
	int status;
	pid_t pid;

	errno = 0;
	pid = fork();
	if (pid == 0)
		_exit(!(all_are_whole() && change_some(100) && all_are_whole()));
	if (pid < 0) {
		failed_forks++;
		return errno == ENOSPC || errno == ENOMEM;
	}
	forks++;
	/* Most often parent and child allocate at the same time. */
	if (below(3) != 0 && !change_some(50))
		return 0;
	if (waitpid(pid, &status, 0) != pid || status != 0)
		printf("# child: status %#x\n", (unsigned)status);
	return status == 0;
}

static void
live(int rounds)
{
	time_t end = time(NULL) + SECONDS_MAX;
	int is_good = 1;
	int round;

	for (round = 0; is_good && time(NULL) < end &&
	     (round < rounds || refused + failed_forks == 0); round++) {
		is_good = change_some(100);
		if (is_good && round % 4 == 0)
			is_good = fork_once();
		/* Every 50 rounds the program frees all its blocks. */
		for (int i = 0; round % 50 == 0 && i < NBLOCKS; i++) {
			is_good &= is_whole(&blocks[i]);
			free(blocks[i].data);
			blocks[i].data = NULL;
		}
	}
	printf("# %d rounds, %u allocations failed, %u forks, %u forks failed\n",
	    round, refused, forks, failed_forks);
	tap_result(is_good && all_are_whole(), "every block keeps its content");
	tap_result(refused + failed_forks > 0,
	    "some allocations or forks have failed");
}

static int
eat(const char *path)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		int fd = disk_fill(path);

		if (fd < 0)
			return 1;
		unlink(path);
		close(fd);
	}
}

int
main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "eat") == 0)
		return eat(argv[2]);
	if (argc != 2)
		return 99;
	setvbuf(stdout, NULL, _IOLBF, 0);
	live(atoi(argv[1]));
	return tap_plan();
}
