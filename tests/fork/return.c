/* SPDX-License-Identifier: BSD-3-Clause */
/* return.c: with VMMALLOC_FORK=1 the heap returns to its file when no other process needs
 * the file, and not before. Run with the library preloaded. Prints TAP.
 * return [daemon]: daemon tests a child whose parent has ended */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../support/blocks.h"
#include "../support/disk.h"
#include "../support/in_pool.h"

#define NBLOCKS 300
#define BLOCK_BYTES ((size_t)50000)
#define USABLE_BYTES ((size_t)56 * 1024) /* the size class of such a block */
#define MORE_BLOCKS 40
#define MORE_BYTES ((size_t)1 << 20)

/* Blocks for which jemalloc has to ask the pool for pages. */
static char *more[MORE_BLOCKS];

static int
grow(void)
{
	for (int i = 0; i < MORE_BLOCKS; i++) {
		more[i] = malloc(MORE_BYTES + (size_t)i);
		if (more[i] == NULL)
			return 0;
		memset(more[i], i + 1, MORE_BYTES);
	}
	return 1;
}

static int
shrink(void)
{
	int is_good = 1;

	for (int i = 0; i < MORE_BLOCKS; i++) {
		is_good &= more[i][0] == i + 1 && more[i][MORE_BYTES - 1] == i + 1;
		free(more[i]);
	}
	return is_good;
}

static struct in_pool_figures figures;

static int
is_returned(void)
{
	in_pool_read(&figures);
	return figures.shared_kb == figures.pool_kb && figures.own_rss_kb == 0;
}

/* Allocates until the heap has returned, for at most 60 s. Returns whether it has. */
static int
returns(void)
{
	time_t end = time(NULL) + 60;
	int is_good = 1;

	while (is_good && time(NULL) < end && !is_returned())
		is_good = grow() && shrink();
	return is_good && is_returned();
}

static int
has_left(void)
{
	in_pool_read(&figures);
	return figures.shared_kb == 0;
}

/* Starts a child that executes cat, which ends when *stop is closed. Returns when the child
 * has executed it. */
static pid_t
start_program(int *stop)
{
	int started[2], stopping[2];
	char byte;
	pid_t pid;

	if (pipe2(started, O_CLOEXEC) != 0 || pipe(stopping) != 0)
		exit(99);
	fcntl(stopping[1], F_SETFD, FD_CLOEXEC);
	pid = fork();
	if (pid == 0) {
		dup2(stopping[0], STDIN_FILENO);
		unsetenv("LD_PRELOAD");
		execlp("cat", "cat", (char *)NULL);
		_exit(127);
	}
	close(started[1]);
	close(stopping[0]);
	if (read(started[0], &byte, 1) != 0)
		exit(99);
	close(started[0]);
	*stop = stopping[1];
	return pid;
}

static void
after_exec(int is_first)
{
	int stop;
	pid_t pid = start_program(&stop);

	tap_result(has_left(), "the heap is private after fork");
	/*
	 * New pages are in the file at once, even just after the last return. Only in up to
	 * two chunks, in which blocks and free pages lie side by side, they are private.
	 */
	tap_result(blocks_write(1) && grow() && !has_left() &&
		figures.own_rss_kb < NBLOCKS * USABLE_BYTES / 1024 + 4096,
	    "new pages of the heap are in the file while the child's program runs");
	tap_result((!is_first || is_returned()) && shrink() && returns() &&
	    blocks_are(1), "the whole heap returns while the child's program runs");
	tap_result(blocks_write(2) && grow() && is_returned() && shrink() &&
	    blocks_are(2), "the heap stays in the file when it is written and grows");
	close(stop);
	tap_result(child_succeeds(pid), "the child's program ends with status 0");
}

/* Starts a child that needs the heap of the fork until *stop is closed. */
static pid_t
start_reader(int *stop, int closes_all, int is_raw)
{
	int stopping[2];
	char byte;
	pid_t pid;

	if (pipe(stopping) != 0)
		exit(99);
	/* A raw clone(2) runs no handlers of libc and of the library. */
	pid = is_raw ? (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL)
		     : fork();
	if (pid == 0) {
		close(stopping[1]);
		for (int fd = 3; closes_all && fd < 4096; fd++) {
			if (fd != stopping[0])
				close(fd);
		}
		_exit(!(read(stopping[0], &byte, 1) == 0 && blocks_are(2)));
	}
	close(stopping[0]);
	*stop = stopping[1];
	return pid;
}

static void
while_needed(int closes_all, int is_raw, const char *what)
{
	int stop;
	uint64_t before;
	char text[200];
	pid_t pid;

	if (is_raw) {
		/* First a child of fork(2): clone(2) alone does not make the heap leave. */
		int other_stop;
		pid_t other = start_reader(&other_stop, 0, 0);

		pid = start_reader(&stop, closes_all, is_raw);
		close(other_stop);
		tap_result(child_succeeds(other),
		    "a child sees the heap of its fork beside a child of clone(2)");
	} else {
		pid = start_reader(&stop, closes_all, is_raw);
	}
	before = disk_pool_sum();
	snprintf(text, sizeof(text), "%s lives: the heap stays private", what);
	tap_result(blocks_write(3) && grow() && shrink() && grow() && has_left(), text);
	snprintf(text, sizeof(text), "%s lives: its parent does not change the file",
	    what);
	tap_result(disk_pool_sum() == before, text);
	close(stop);
	snprintf(text, sizeof(text), "%s sees the heap of its fork to its end", what);
	tap_result(child_succeeds(pid), text);
	snprintf(text, sizeof(text), "%s has ended: the heap returns", what);
	tap_result(shrink() && returns() && blocks_are(3) && blocks_write(2), text);
}

/* Threads that read and write their own blocks all the time. */
static int is_over;

static void *
write_block(void *argument)
{
	char *block = malloc(BLOCK_BYTES);
	unsigned char value = 0;
	void *wrong = NULL;

	memset(block, 0, BLOCK_BYTES);
	while (!__atomic_load_n(&is_over, __ATOMIC_RELAXED)) {
		for (size_t i = 0; i < BLOCK_BYTES; i += 997) {
			if ((unsigned char)block[i] != value)
				wrong = argument;
			block[i]++;
		}
		value++;
	}
	free(block);
	return wrong;
}

static void
with_threads(void)
{
	pthread_t threads[4];
	int is_good = 1;
	int stop;
	pid_t pid;

	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, write_block, &is_over);
	pid = start_program(&stop);
	tap_result(blocks_write(4) && returns() && blocks_are(4),
	    "the whole heap returns, also the blocks that other threads use");
	__atomic_store_n(&is_over, 1, __ATOMIC_RELAXED);
	for (int i = 0; i < 4; i++) {
		void *wrong;

		pthread_join(threads[i], &wrong);
		is_good &= wrong == NULL;
	}
	tap_result(is_good && blocks_are(4) && is_returned() && blocks_write(2),
	    "no write of these threads is lost");
	close(stop);
	tap_result(child_succeeds(pid),
	    "the program of a child beside threads ends with status 0");
}

/* The parent ends, and the heap of its child returns to the parent's file. */
static int
run_daemon(void)
{
	int ending[2];
	char byte;
	pid_t pid;

	blocks_write(1);
	if (pipe(ending) != 0)
		return 99;
	pid = fork();
	if (pid > 0)
		_exit(0);
	close(ending[1]);
	tap_result(pid == 0 && read(ending[0], &byte, 1) == 0 && has_left(),
	    "the heap of a daemon is private at first");
	tap_result(blocks_are(1) && grow() && is_returned() && blocks_are(1),
	    "the heap of a daemon returns when its parent has ended");
	tap_result(blocks_write(2) && shrink() && grow() && shrink() && blocks_are(2) &&
	    is_returned(), "the heap of a daemon then stays in the file");
	return tap_plan();
}

int
main(int argc, char **argv)
{
	blocks_set(NBLOCKS, BLOCK_BYTES);
	if (argc > 1 && strcmp(argv[1], "daemon") == 0)
		return run_daemon();
	blocks_write(0);
	tap_result(is_returned(), "the heap is in the file before any fork");
	for (int i = 0; i < 4; i++)
		after_exec(i == 0);
	while_needed(0, 0, "a child");
	while_needed(1, 0, "a child that has closed every descriptor");
	while_needed(1, 1, "a child of clone(2)");
	with_threads();
	return tap_plan();
}
