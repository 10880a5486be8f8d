/* SPDX-License-Identifier: BSD-3-Clause */
/* fork_home.c: VMMALLOC_FORK=1: back in the file when no other process needs it, and
 * not before. Run with the library preloaded. Prints TAP.
 * fork_home [daemon] */
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
#include <unistd.h>

#include "disk.h"
#include "in_pool.h"

#define NBLOCKS 300
#define BLOCK_BYTES ((size_t)50000)
#define MORE_BLOCKS 40
#define MORE_BYTES ((size_t)1 << 20)

static int count;

static void
result(int is_good, const char *what)
{
	printf("%sok %d - %s\n", is_good ? "" : "not ", ++count, what);
	fflush(stdout);
}

static char *blocks[NBLOCKS];

static int
write_all(char value)
{
	for (int i = 0; i < NBLOCKS; i++) {
		if (blocks[i] == NULL)
			blocks[i] = malloc(BLOCK_BYTES);
		if (blocks[i] == NULL)
			return 0;
		memset(blocks[i], value + i, BLOCK_BYTES);
	}
	return 1;
}

static int
is_all(char value)
{
	for (int i = 0; i < NBLOCKS; i++) {
		for (size_t byte = 0; byte < BLOCK_BYTES; byte++) {
			if (blocks[i][byte] != (char)(value + i))
				return 0;
		}
	}
	return 1;
}

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
	printf("# pool %lu KiB, shared %lu, in memory %lu, private %lu\n",
	    figures.pool_kb, figures.shared_kb, figures.pool_rss_kb,
	    figures.own_rss_kb);
	return figures.shared_kb == figures.pool_kb && figures.own_rss_kb == 0;
}

/* How often it looks is the library's affair, within reason. */
static int
comes_home(void)
{
	int is_good = 1;

	for (int i = 0; is_good && i < 10 && !is_home(); i++)
		is_good = grow() && shrink();
	return is_good && is_home();
}

static int
is_away(void)
{
	in_pool_look(&figures);
	return figures.shared_kb == 0;
}

static uint64_t
file_sum(void)
{
	static uint64_t buffer[8192];
	int fd = disk_pool_descriptor(getenv("VMMALLOC_POOL_DIR"));
	uint64_t sum = 1;
	off_t at = 0;
	ssize_t got;

	while ((got = pread(fd, buffer, sizeof(buffer), at)) > 0) {
		for (size_t i = 0; i < (size_t)got / sizeof(buffer[0]); i++)
			sum = sum * 31 + buffer[i];
		at += got;
	}
	return sum;
}

static int
is_child_good(pid_t pid)
{
	int status;

	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
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
after_exec(void)
{
	int stop;
	pid_t pid = start_program(&stop);

	result(is_away(), "private after a fork");
	result(write_all(1) && grow() && is_home() && is_all(1),
	    "home while the program runs, which is not the heap's");
	result(shrink() && write_all(2) && grow() && is_home() && shrink() &&
	    is_all(2), "and what grows later is the file's");
	close(stop);
	result(is_child_good(pid), "the program ran");
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
		_exit(!(read(stopping[0], &byte, 1) == 0 && is_all(2)));
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
		result(is_child_good(other), "one child has gone");
	} else {
		pid = start_reader(&stop, closes_all, is_raw);
	}
	before = file_sum();
	snprintf(text, sizeof(text), "%s: away", what);
	result(write_all(3) && grow() && shrink() && grow() && is_away(), text);
	snprintf(text, sizeof(text), "%s: its parent leaves the file alone",
	    what);
	result(file_sum() == before, text);
	close(stop);
	snprintf(text, sizeof(text), "%s: the child has it as it was", what);
	result(is_child_good(pid), text);
	snprintf(text, sizeof(text), "%s: then home", what);
	result(shrink() && comes_home() && is_all(3) && write_all(2), text);
}

/* With other threads, what is in use stays private. */
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
	pthread_t thread;
	unsigned long private_kb;
	void *wrong;
	int is_good;
	int stop;
	pid_t pid;

	pthread_create(&thread, NULL, other_thread, &is_over);
	pid = start_program(&stop);
	is_good = write_all(4) && grow() && shrink();
	is_home();
	private_kb = figures.own_rss_kb;
	result(is_good && grow() && !is_home() &&
	    figures.own_rss_kb < private_kb + 2000 && figures.shared_kb > 0,
	    "with threads: what is new is the file's");
	/* What was kept for reuse since before the fork was given back for it. */
	result(private_kb < MORE_BLOCKS * MORE_BYTES / 1024 &&
	    figures.pool_rss_kb > private_kb + MORE_BLOCKS * MORE_BYTES / 1024 / 2,
	    "with threads: and so is what was free at the fork");
	is_good &= shrink();
	__atomic_store_n(&is_over, 1, __ATOMIC_RELAXED);
	pthread_join(thread, &wrong);
	result(wrong == NULL && is_all(4), "with threads: nothing is lost");
	result(comes_home() && is_all(4) && write_all(2),
	    "with one thread again: all of it");
	close(stop);
	result(is_child_good(pid), "with threads: the program ran");
}

/* The parent ends; its child is the one that comes home. */
static int
as_daemon(void)
{
	int ending[2];
	char byte;
	pid_t pid;

	write_all(1);
	if (pipe(ending) != 0)
		return 99;
	pid = fork();
	if (pid > 0)
		_exit(0);
	close(ending[1]);
	result(pid == 0 && read(ending[0], &byte, 1) == 0 && is_away(),
	    "a daemon begins with private memory");
	result(is_all(1) && grow() && is_home() && is_all(1),
	    "and comes home when its parent is gone");
	result(write_all(2) && shrink() && grow() && shrink() && is_all(2) &&
	    is_home(), "where it stays");
	printf("1..%d\n", count);
	return 0;
}

int
main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "daemon") == 0)
		return as_daemon();
	write_all(0);
	result(is_home(), "before any fork");
	after_exec();
	for (int i = 0; i < 3; i++)
		after_exec();
	while_needed(0, 0, "a child");
	while_needed(1, 0, "a child that has closed every descriptor");
	while_needed(1, 1, "a child that nobody prepared");
	with_threads();
	printf("1..%d\n", count);
	return 0;
}
