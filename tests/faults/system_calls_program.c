/* SPDX-License-Identifier: BSD-3-Clause */
/* system_calls_program.c: the program whose system calls fail. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "system_calls_test.h"

#define NBLOCKS 48
#define FORKS 2
#define DESCRIPTORS_MAX 1030

static struct {
	unsigned char *data;
	size_t size;
	unsigned char byte;
} blocks[NBLOCKS];

_Noreturn static void
fail(const char *what)
{
	if (write(STDERR_FILENO, what, strlen(what)) < 0 ||
	    write(STDERR_FILENO, "\n", 1) < 0)
		_exit(3);
	_exit(2);
}

/* If there is no block, errno must be ENOMEM. */
static void *
checked(void *block)
{
	if (block == NULL && errno != ENOMEM)
		fail("NULL without ENOMEM");
	return block;
}

static void
verify(const unsigned char *data, size_t size, unsigned char byte)
{
	if (data != NULL && (data[0] != byte ||
		memcmp(data, data + 1, size - 1) != 0))
		fail("a block lost its content");
}

static void
verify_all(void)
{
	for (int i = 0; i < NBLOCKS; i++)
		verify(blocks[i].data, blocks[i].size, blocks[i].byte);
}

/* Allocates every `step`-th block again, by some function, with 16 to 300,000 bytes. */
static void
allocate(int step, unsigned char byte)
{
	static const size_t sizes[] = { 16, 300, 5000, 20000, 60000, 300000 };

	for (int i = 0; i < NBLOCKS; i += step) {
		size_t size = sizes[i % 6] + (size_t)i;
		unsigned char *data;

		errno = 0;
		if (i % 4 == 0)
			data = realloc(blocks[i].data, size);
		else if (i % 4 == 1)
			data = calloc(1, size);
		else
			data = malloc(size);
		if (checked(data) == NULL)
			continue;
		if (i % 4 == 1)
			verify(data, size, 0);
		if (i % 4 != 0)
			free(blocks[i].data);
		memset(data, byte + i, size);
		blocks[i].data = data;
		blocks[i].size = size;
		blocks[i].byte = (unsigned char)(byte + i);
	}
}

static void
free_blocks(int step)
{
	for (int i = 0; i < NBLOCKS; i += step) {
		verify(blocks[i].data, blocks[i].size, blocks[i].byte);
		free(blocks[i].data);
		blocks[i].data = NULL;
	}
}

/* Allocates all that is left, and frees it. For speed it writes to one page of each block. */
static void
exhaust(void)
{
	size_t size = (size_t)500 << 10, checked_size = 4096;
	unsigned char **last = NULL, **block;

	while ((block = checked(malloc(size))) != NULL) {
		memset(block, 0x5a, checked_size);
		*block = (unsigned char *)last;
		last = block;
	}
	while ((block = last) != NULL) {
		last = (unsigned char **)*block;
		verify((unsigned char *)(block + 1),
		    checked_size - sizeof(*block), 0x5a);
		free(block);
	}
}

/* On some file systems parent and child share only blocks that are on disk. */
static void
write_out(void)
{
	const char *dir = getenv("VMMALLOC_POOL_DIR");
	int fd;

	if (getenv("INJECT_SYNC") == NULL || dir == NULL)
		return;
	fd = open(dir, O_RDONLY);
	if (fd < 0 || syncfs(fd) != 0)
		exit(99);
	close(fd);
}

/* glibc 2.41's function allocates, and so does this one: the library must not call it. */
__attribute__((visibility("default")))
char *
strerror_r(int error, char *buffer, size_t size)
{
	free(malloc(100));
	snprintf(buffer, size, "error %d", error);
	return buffer;
}

static pid_t
fork_checked(void)
{
	pid_t pid;

	write_out();
	errno = 0;
	pid = fork();
	if (pid < 0 && errno == 0)
		fail("a failed fork without errno");
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		alarm(SECONDS_MAX);
	}
	return pid;
}

static void
reap(pid_t pid)
{
	int status;

	if (pid < 0)
		return;
	if (waitpid(pid, &status, 0) != pid)
		fail("waitpid has not found the child");
	/* A child aborts if it cannot make its heap private. The test checks the message. */
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT &&
	    inject->by == pid)
		inject->is_child_aborted = true;
	else if (status != 0)
		fail(WIFSIGNALED(status) ? strsignal(WTERMSIG(status))
					 : "a child has failed");
}

/* In the first child: it forks, frees, and fills the pool. */
static void
live_longer(void)
{
	pid_t pid = fork_checked();

	if (pid == 0) {
		verify_all();
		allocate(3, 33);
		verify_all();
		_exit(0);
	}
	reap(pid);
	free_blocks(2);
	malloc_trim(0);
	allocate(2, 66);
	exhaust();
}

static void
fork_and_verify(int i, bool has_own_heap)
{
	pid_t pid = fork_checked();

	if (pid != 0) {
		reap(pid);
		verify_all();
		return;
	}
	if (!has_own_heap)
		_exit(0);
	verify_all();
	allocate(1, (unsigned char)(100 + i));
	verify_all();
	if (i == 0)
		live_longer();
	verify_all();
	_exit(0);
}

static void *
in_thread(void *argument)
{
	void *block = checked(malloc(100000));

	free(checked(malloc(100)));
	free(block);
	return argument;
}

static void
run_thread(void)
{
	pthread_t thread;
	int error = pthread_create(&thread, NULL, in_thread, NULL);

	if (error == 0)
		pthread_join(thread, NULL);
	else if (error != EAGAIN && error != ENOMEM)
		fail("pthread_create has failed");
}

static int
descriptors(void)
{
	int count = 0;

	/* The library uses descriptors from 1000 on. */
	for (int fd = 1000; fd < DESCRIPTORS_MAX; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

/* After the error everything works again, unless the error came only here. */
static void
works_again(bool has_own_heap)
{
	unsigned before = inject->injected;
	void *block;
	pid_t pid;

	/* If the heap has left its file, it returns during these allocations. */
	for (int i = 0; i < 20; i++)
		free(checked(malloc((size_t)2 << 20)));
	block = malloc((size_t)1 << 20);
	pid = fork_checked();
	if (pid == 0) {
		if (has_own_heap && block != NULL)
			memset(block, 1, (size_t)1 << 20);
		_exit(0);
	}
	reap(pid);
	if (inject->injected == before && !inject->is_lasting &&
	    (block == NULL || pid < 0))
		fail("malloc or fork still fails after the error");
	free(block);
}

int
program(void)
{
	const char *fork_kind = getenv("VMMALLOC_FORK");
	bool has_own_heap = fork_kind == NULL || strcmp(fork_kind, "0") != 0;
	int open_before;

	open_page(getenv("INJECT"));
	/* From here on no error is a reason to end. */
	inject->is_started = true;
	free(checked(malloc(100)));
	open_before = descriptors();
	allocate(1, 0);
	free_blocks(3);
	allocate(5, 10);
	run_thread();
	verify_all();
	for (int i = 0; i < FORKS; i++) {
		fork_and_verify(i, has_own_heap);
		allocate(4, (unsigned char)(50 + i));
		verify_all();
	}
	free_blocks(2);
	malloc_trim(0);
	allocate(1, 7);
	exhaust();
	verify_all();
	free_blocks(1);
	malloc_trim(0);
	works_again(has_own_heap);
	/*
	 * After the last fork the heap may be private. Then the library has one descriptor
	 * more, for its lock. If fstat(2) fails, the library cannot tell whether a descriptor
	 * is its own, and does not close it.
	 */
	if (descriptors() > open_before + 1 && inject->call != INJECT_fstat)
		fail("a descriptor is left open");
	return 0;
}
