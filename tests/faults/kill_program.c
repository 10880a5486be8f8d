/* SPDX-License-Identifier: BSD-3-Clause */
/* kill_program.c: part of kill: the program allocates, frees and forks until it is killed. */
#include "config.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kill.h"

struct page *page;
unsigned seed;

unsigned
below(unsigned limit)
{
	seed = seed * 1103515245 + 12345;
	return (seed >> 8) % limit;
}

uint64_t
now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

void
map_page(int fd)
{
	page = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE, MAP_SHARED, fd,
	    0);
	if (page == MAP_FAILED)
		exit(99);
}

#define NBLOCKS 64

static char *blocks[NBLOCKS];

static void
change_some(unsigned count)
{
	while (count-- > 0) {
		unsigned i = below(NBLOCKS);
		size_t size = below(4) == 0 ? 300 + below(400000)
					    : 16 + below(60000);

		free(blocks[i]);
		blocks[i] = malloc(size);
		if (blocks[i] != NULL)
			memset(blocks[i], (int)i, size);
	}
}

static void
fork_once(void)
{
	uint64_t begin = now_ns();
	pid_t pid;

	page->place = IN_FORK;
	pid = fork();
	if (pid == 0) {
		change_some(below(30));
		_exit(0);
	}
	page->place = IN_MAIN;
	page->fork_ns = now_ns() - begin;
	page->forks++;
	if (pid > 0 && below(3) != 0)
		waitpid(pid, NULL, 0);
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

/* jemalloc asks the pool for each of these blocks, and each request may stop the other thread
 * for a step of the return. */
static void *
change_large(void *argument)
{
	for (unsigned n = 0;; n++) {
		size_t size = ((size_t)1 << 20) + (n % 64 << 14);
		char *block = malloc(size);

		if (block != NULL)
			memset(block, 1, size / 16);
		free(block);
	}
	return argument;
}

_Noreturn void
program(int fd, int has_thread)
{
	pthread_t thread;

	map_page(fd);
	page->main_ns = now_ns();
	page->place = IN_MAIN;
	if (has_thread)
		pthread_create(&thread, NULL, change_large, NULL);
	for (;;) {
		change_some(below(40));
		fork_once();
	}
}
