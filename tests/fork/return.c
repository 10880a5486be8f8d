/* SPDX-License-Identifier: BSD-3-Clause */
/* return.c: VMMALLOC_FORK=1: back in the file when no other process needs it, and
 * not before. Run with the library preloaded. Prints TAP.
 * return [daemon] */
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
#define USABLE_BYTES ((size_t)56 * 1024) /* of such a block, by its size class */
#define MORE_BLOCKS 40
#define MORE_BYTES ((size_t)1 << 20)

/* The heap grows, by blocks that the allocator has to ask the pool for. */
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
is_home(void)
{
	in_pool_look(&figures);
	return figures.shared_kb == figures.pool_kb && figures.own_rss_kb == 0;
}

/*
 * How often it looks, and how soon after the last time it begins, is the library's
 * affair, within reason.
 */
static int
comes_home(void)
{
	time_t end = time(NULL) + 60;
	int is_good = 1;

	while (is_good && time(NULL) < end && !is_home())
		is_good = grow() && shrink();
	return is_good && is_home();
}

static int
is_away(void)
{
	in_pool_look(&figures);
	return figures.shared_kb == 0;
}

/* A child that executes a program, which lives on; returns when it does. */
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

	blocks_result(is_away(), "private after a fork");
	/*
	 * What grows is the file's at once, whenever the last time was; but for up to two
	 * of the pool's 2 MiB in which blocks and free pages lie side by side.
	 */
	blocks_result(blocks_write(1) && grow() && !is_away() &&
		figures.own_rss_kb < NBLOCKS * USABLE_BYTES / 1024 + 4096,
	    "growth is the file's while the program runs");
	blocks_result((!is_first || is_home()) && shrink() && comes_home() &&
	    blocks_are(1), "and so is all of the heap");
	blocks_result(blocks_write(2) && grow() && is_home() && shrink() &&
	    blocks_are(2), "where it stays");
	close(stop);
	blocks_result(blocks_ends_good(pid), "the program ran");
}

/* A child that needs the heap as it was, until it is told that it may go. */
static pid_t
start_reader(int *stop, int closes_all, int is_raw)
{
	int stopping[2];
	char byte;
	pid_t pid;

	if (pipe(stopping) != 0)
		exit(99);
	/* What libc and the library do not know of gets a copy of its parent, too. */
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
		/* Away already, for another child. */
		int other_stop;
		pid_t other = start_reader(&other_stop, 0, 0);

		pid = start_reader(&stop, closes_all, is_raw);
		close(other_stop);
		blocks_result(blocks_ends_good(other), "one child has gone");
	} else {
		pid = start_reader(&stop, closes_all, is_raw);
	}
	before = disk_pool_sum();
	snprintf(text, sizeof(text), "%s: away", what);
	blocks_result(blocks_write(3) && grow() && shrink() && grow() && is_away(), text);
	snprintf(text, sizeof(text), "%s: its parent leaves the file alone",
	    what);
	blocks_result(disk_pool_sum() == before, text);
	close(stop);
	snprintf(text, sizeof(text), "%s: the child has it as it was", what);
	blocks_result(blocks_ends_good(pid), text);
	snprintf(text, sizeof(text), "%s: then home", what);
	blocks_result(shrink() && comes_home() && blocks_are(3) && blocks_write(2), text);
}

/* Threads that read and write what is theirs, all the time. */
static int is_over;

static void *
other_thread(void *argument)
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
		pthread_create(&threads[i], NULL, other_thread, &is_over);
	pid = start_program(&stop);
	blocks_result(blocks_write(4) && comes_home() && blocks_are(4),
	    "with threads: all of it, what they use too");
	__atomic_store_n(&is_over, 1, __ATOMIC_RELAXED);
	for (int i = 0; i < 4; i++) {
		void *wrong;

		pthread_join(threads[i], &wrong);
		is_good &= wrong == NULL;
	}
	blocks_result(is_good && blocks_are(4) && is_home() && blocks_write(2),
	    "with threads: nothing is lost");
	close(stop);
	blocks_result(blocks_ends_good(pid), "with threads: the program ran");
}

/* The parent ends; its child is the one that comes home. */
static int
as_daemon(void)
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
	blocks_result(pid == 0 && read(ending[0], &byte, 1) == 0 && is_away(),
	    "a daemon begins with private memory");
	blocks_result(blocks_are(1) && grow() && is_home() && blocks_are(1),
	    "and comes home when its parent is gone");
	blocks_result(blocks_write(2) && shrink() && grow() && shrink() && blocks_are(2) &&
	    is_home(), "where it stays");
	return blocks_plan();
}

int
main(int argc, char **argv)
{
	blocks_set(NBLOCKS, BLOCK_BYTES);
	if (argc > 1 && strcmp(argv[1], "daemon") == 0)
		return as_daemon();
	blocks_write(0);
	blocks_result(is_home(), "before any fork");
	for (int i = 0; i < 4; i++)
		after_exec(i == 0);
	while_needed(0, 0, "a child");
	while_needed(1, 0, "a child that has closed every descriptor");
	while_needed(1, 1, "a child that nobody prepared");
	with_threads();
	return blocks_plan();
}
