/* SPDX-License-Identifier: BSD-3-Clause */
/* stop_helper_killed.c: another process kills the helper process that stops the threads, again
 * and again, while threads write to the heap, the process forks, and its heap returns. No
 * store may be lost, and no child may write to its parent's heap. Prints TAP.
 * stop_helper_killed [closed]: `closed` first closes every descriptor from 3 up. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../support/blocks.h"
#include "../support/heap_return.h"
#include "../support/self.h"

#define NBLOCKS 48
#define BLOCK_BYTES ((size_t)1 << 20)
#define NTHREADS 3
#define PAGE ((size_t)4096)
#define FORKS_MIN 60
#define KILLS_WANTED 40
#define LIMIT_US 20000000

static char *blocks[NBLOCKS];
static volatile uint64_t expected[NTHREADS][NBLOCKS];
static int is_over;

/* In a file that both processes map. */
static struct common {
	int kills;
	int cannot_see; /* /proc/PID/task/PID/children is missing */
} *common;

/*
 * The killer is a program of its own. A child of fork(2) needs the pool file for as long as
 * it lives. The heap could not return meanwhile, and no helper would be started.
 */

/* exit_signal, field 38 of proc_pid_stat(5): a child of fork(2) has SIGCHLD, the helper 0. */
static int
is_helper(long pid)
{
	char path[64], data[1024];
	char *at;
	ssize_t got;
	int fd;

	snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
	fd = open(path, O_RDONLY);
	got = fd < 0 ? -1 : read(fd, data, sizeof(data) - 1);
	if (fd >= 0)
		close(fd);
	if (got <= 0)
		return 0;
	data[got] = '\0';
	at = strrchr(data, ')');
	for (int field = 2; at != NULL && field < 38; field++)
		at = strchr(at + 1, ' ');
	return at != NULL && at[1] == '0' && at[2] == ' ';
}

static _Noreturn void
kill_helpers(pid_t parent)
{
	char path[64], children[4096];
	long last = 0;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)parent,
	    (int)parent);
	for (;;) {
		int fd = open(path, O_RDONLY);
		ssize_t got = fd < 0 ? -1 : read(fd, children, sizeof(children) - 1);
		char *at = children, *end;

		common->cannot_see = fd < 0;
		if (fd >= 0)
			close(fd);
		if (getppid() != parent)
			_exit(0); /* it has ended */
		children[got < 0 ? 0 : got] = '\0';
		for (long pid; (pid = strtol(at, &end, 10)) > 0; at = end) {
			if (pid == last || !is_helper(pid) || kill((pid_t)pid, SIGKILL) != 0)
				continue;
			last = pid;
			__atomic_add_fetch(&common->kills, 1, __ATOMIC_RELAXED);
		}
	}
}

/*
 * The program
 */

static volatile uint64_t *
counter(int thread, int block)
{
	return (volatile uint64_t *)(void *)(blocks[block] + (size_t)thread * 64);
}

static void *
count(void *argument)
{
	int thread = (int)(intptr_t)argument;

	for (int block = 0; !__atomic_load_n(&is_over, __ATOMIC_RELAXED);
	     block = (block + 1) % NBLOCKS) {
		++*counter(thread, block);
		expected[thread][block]++;
	}
	return NULL;
}

static int
all_is_counted(void)
{
	for (int thread = 0; thread < NTHREADS; thread++) {
		for (int block = 0; block < NBLOCKS; block++) {
			if (*counter(thread, block) != expected[thread][block])
				return 0;
		}
	}
	return 1;
}

/* Overwrites the counters: the parent would notice if a page were shared. */
static _Noreturn void
be_child(void)
{
	for (int block = 0; block < NBLOCKS; block++)
		memset(blocks[block], 0xff, PAGE);
	_exit(0);
}

/* Returns 0 if a fork fails for another reason than EAGAIN, or a child ends badly. */
static int
fork_often(void)
{
	long long limit_us = self_now_us() + LIMIT_US;
	unsigned seed = 1;
	int is_good = 1;

	for (int i = 0; self_now_us() < limit_us && (i < FORKS_MIN ||
	    __atomic_load_n(&common->kills, __ATOMIC_RELAXED) < KILLS_WANTED); i++) {
		pid_t pid = fork();

		if (pid == 0)
			be_child();
		is_good &= pid > 0 ? child_succeeds(pid) : errno == EAGAIN;
		for (int j = 0; j < 40; j++)
			heap_allocate(&seed);
		if (getenv("VMMALLOC_POOL_DIR") == NULL && i >= FORKS_MIN)
			break;
	}
	return is_good;
}

static void
close_all(void)
{
	for (int fd = 3; fd < 1 << 16; fd++)
		close(fd);
}

/* One page of each block has a setting, so that the kernel lists many mappings. */
static void
allocate_blocks(void)
{
	for (int block = 0; block < NBLOCKS; block++) {
		void *memory;

		if (posix_memalign(&memory, PAGE, BLOCK_BYTES) != 0)
			exit(99);
		blocks[block] = memset(memory, 0, BLOCK_BYTES);
		madvise(blocks[block] + BLOCK_BYTES / 2, PAGE, MADV_DONTDUMP);
	}
}

static void
map_common(int fd)
{
	common = mmap(NULL, sizeof(*common), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (common == MAP_FAILED)
		exit(99);
}

/* Starts this program once more, on the ordinary heap, as the killer. */
static pid_t
start_killer(void)
{
	char number[16];
	char *arguments[] = { (char *)"stop_helper_killed", (char *)"kill", number, NULL };
	char *environment[] = { NULL };
	int fd = memfd_create("common", 0);
	pid_t pid;

	if (fd < 0 || ftruncate(fd, sizeof(*common)) != 0)
		exit(99);
	map_common(fd);
	snprintf(number, sizeof(number), "%d", fd);
	if (posix_spawn(&pid, "/proc/self/exe", NULL, NULL, arguments, environment) != 0)
		exit(99);
	return pid;
}

int
main(int argc, char **argv)
{
	pthread_t threads[NTHREADS];
	pid_t killer;
	int is_good;

	if (argc > 2 && strcmp(argv[1], "kill") == 0) {
		map_common(atoi(argv[2]));
		kill_helpers(getppid());
	}
	if (argc > 1 && strcmp(argv[1], "closed") == 0)
		close_all();
	allocate_blocks();
	killer = start_killer();
	for (int i = 0; i < NTHREADS; i++) {
		if (pthread_create(&threads[i], NULL, count, (void *)(intptr_t)i) != 0)
			return 99;
	}
	is_good = fork_often();
	__atomic_store_n(&is_over, 1, __ATOMIC_RELAXED);
	for (int i = 0; i < NTHREADS; i++)
		pthread_join(threads[i], NULL);
	kill(killer, SIGKILL);
	waitpid(killer, NULL, 0);
	printf("# the helper was killed %d times\n", common->kills);
	tap_result(is_good, "fork succeeds, or fails with EAGAIN");
	tap_result(all_is_counted(), "no store is lost, and no child writes to its"
	    " parent's heap");
	if (getenv("VMMALLOC_POOL_DIR") == NULL || common->cannot_see)
		tap_result(1, "the helper was killed # SKIP no helper to be seen");
	else
		tap_result(common->kills > 0, "the helper was killed");
	return tap_plan();
}
