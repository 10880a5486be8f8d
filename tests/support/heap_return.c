/* SPDX-License-Identifier: BSD-3-Clause */
/* heap_return.c: for tests, makes the heap leave its file and return. */
#include "config.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "blocks.h"
#include "heap_return.h"
#include "in_pool.h"
#include "self.h"

/* heap_is_returned costs more than an allocation. */
#define ALLOCATIONS_PER_LOOK 4

int
heap_allocate(unsigned *seed)
{
	size_t bytes;
	volatile char *block;

	*seed = *seed * 1103515245 + 12345;
	bytes = ((size_t)1 << 20) + (*seed >> 8) % ((size_t)2 << 20);
	block = malloc(bytes);
	if (block == NULL)
		return 0;
	block[0] = block[bytes / 2] = block[bytes - 1] = 1;
	free((void *)block);
	return 1;
}

int
heap_is_returned(unsigned long limit_kb)
{
	struct in_pool_figures figures;

	in_pool_read(&figures);
	return figures.own_rss_kb < limit_kb;
}

int
heap_returns(unsigned long limit_kb, int limit_ms)
{
	long long limit_us = self_now_us() + limit_ms * 1000LL;
	unsigned seed = 1;

	while (!heap_is_returned(limit_kb)) {
		if (self_now_us() > limit_us)
			return 0;
		for (int i = 0; i < ALLOCATIONS_PER_LOOK; i++)
			heap_allocate(&seed);
	}
	return 1;
}

int
heap_return_is_as_expected(int seen, int looks, int kernel_writes)
{
	if (getenv("VMMALLOC_POOL_DIR") == NULL)
		return seen == looks;
	return kernel_writes || getenv("TEST_NO_STOPS") != NULL ? seen == 0 : seen > 0;
}

/*
 * The child ends when fork(2) has returned in its parent. Otherwise SIGCHLD could come
 * while the thread that forks has it blocked. The kernel would give it to another thread,
 * which interrupts some calls there, although the signal is then ignored.
 */
int
heap_forks(void)
{
	int told[2];
	char byte;
	pid_t pid;

	if (pipe(told) != 0)
		_exit(99);
	pid = fork();
	if (pid == 0)
		_exit(read(told[0], &byte, 1) != 1);
	/* A byte, not the end of the pipe: children of other threads may have it, too. */
	if (write(told[1], "", 1) != 1)
		_exit(99);
	close(told[0]);
	close(told[1]);
	return child_succeeds(pid);
}

/* The child. The parent tells it to end by closing the other end of the pipe `told`. */
static _Noreturn void
live(int checked, int told, int (*check)(void *argument), void *argument)
{
	int is_good = check(argument);
	char byte = (char)is_good;

	if (write(checked, &byte, 1) != 1 || read(told, &byte, 1) != 0)
		_exit(2);
	_exit(!(is_good && check(argument)));
}

int
heap_child_start(struct heap_child *child, int (*check)(void *argument),
    void *argument)
{
	int checked[2], told[2];
	char byte;

	if (pipe(checked) != 0 || pipe(told) != 0)
		_exit(99);
	child->pid = fork();
	if (child->pid == 0) {
		close(told[1]);
		close(checked[0]);
		live(checked[1], told[0], check, argument);
	}
	close(told[0]);
	close(checked[1]);
	child->told = told[1];
	/* A child that crashes closes the pipe, too. */
	if (read(checked[0], &byte, 1) < 0)
		_exit(99);
	close(checked[0]);
	return child->pid > 0;
}

int
heap_child_end(struct heap_child *child)
{
	close(child->told);
	return child_succeeds(child->pid);
}
