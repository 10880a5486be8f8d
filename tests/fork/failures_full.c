/* SPDX-License-Identifier: BSD-3-Clause */
/* failures_full.c: part of the test program `failures`. The file system becomes full during
 * fork(2), while the child's file is filled, or after fork(2). */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../support/blocks.h"
#include "../support/disk.h"
#include "failures.h"
#include "../support/heap_return.h"

#define MORE_BYTES ((size_t)30 << 20)

/*
 * The handler of fork(2) runs just after the library has found enough room for a copy. If
 * `path` is set, the handler makes a file there that takes all space but `room` bytes.
 */
static struct {
	const char *path;
	off_t room;
	int fd;
} eater;

static void
eat(void)
{
	if (eater.path != NULL) {
		eater.fd = disk_fill(eater.path);
		if (ftruncate(eater.fd,
			lseek(eater.fd, 0, SEEK_END) - eater.room) != 0)
			_exit(99);
	}
	eater.path = NULL;
}

void
full_register_handler(void)
{
	pthread_atfork(eat, NULL, NULL);
}

/*
 * The child finds no room after all. With VMMALLOC_FORK=2 it has ended when fork(2) fails in
 * its parent. With 3 its heap stays private.
 */
void
full_in_handler(const char *path)
{
	pid_t pid;
	int error;

	eater.path = path;
	errno = 0;
	pid = fork();
	error = errno;
	if (pid == 0)
		_exit(!(blocks_are(1) && blocks_write(100) && blocks_are(100)));
	if (fork_setting == 2) {
		tap_result(pid == -1 && error == ENOSPC,
		    "file system filled by a handler: fork fails with ENOSPC");
		tap_result(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD,
		    "file system filled by a handler: no child is left");
	} else {
		tap_result(child_succeeds(pid),
		    "file system filled by a handler: the child gets a private heap");
	}
	tap_result(blocks_are(1) && blocks_write(2) && blocks_are(2) &&
	    blocks_write(1),
	    "file system filled by a handler: the parent's heap keeps its content");
	close(eater.fd);
	unlink(path);
}

/*
 * The file system becomes full when some of the heap is in the child's file already. This
 * memory must become private again. The parent's file still has the content from before
 * `fork_twice` wrote to the heap. When the parent has ended, the child's heap returns to
 * the parent's file.
 */
#define DATA_BYTES ((size_t)16 << 20)
#define RETURNED_KB 4096UL
#define RETURN_LIMIT_MS 1000

static int
child_lives(void *argument)
{
	(void)argument;
	return 1;
}

static int
is_filled(const char *data, char value)
{
	for (size_t i = 0; i < DATA_BYTES; i++) {
		if (data[i] != value)
			return 0;
	}
	return 1;
}

/* Returns a block. A setting on a page in its middle makes the kernel list three parts. */
static char *
make_parts(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *data;

	if (posix_memalign((void **)&data, page, DATA_BYTES) != 0)
		_exit(1);
	memset(data, 1, DATA_BYTES);
	madvise(data + DATA_BYTES / 2, page, MADV_DONTDUMP);
	return data;
}

/* Frees the space at once, although a child still has the file open. */
static void
free_space(const char *path)
{
	if (ftruncate(eater.fd, 0) != 0)
		_exit(1);
	close(eater.fd);
	unlink(path);
}

/* The last process that needs the file. Writes a byte to `report`: 1 if nothing is lost. */
static _Noreturn void
last_process(const char *data, int parents_end, int report)
{
	char is_good = (char)(blocks_are(2) && is_filled(data, 2));
	char byte;

	/* The end of the pipe means that the parent has ended. */
	if (read(parents_end, &byte, 1) != 0)
		_exit(1);
	heap_returns(RETURNED_KB, RETURN_LIMIT_MS);
	is_good &= (char)(blocks_are(2) && is_filled(data, 2));
	if (write(report, &is_good, 1) != 1)
		_exit(1);
	_exit(0);
}

/*
 * At the first fork the file system is full: the child gets no file and needs its parent's. So
 * the parent's heap must stay private: what the parent writes now does not reach its file.
 * At the second fork the handler leaves `room` bytes, maybe too few for the child's file.
 */
static _Noreturn void
fork_twice(const char *path, off_t room, int report)
{
	struct heap_child child;
	char *data = make_parts();
	int ends[2];

	if (pipe(ends) != 0)
		_exit(1);
	eater.fd = disk_fill(path);
	if (!heap_child_start(&child, child_lives, NULL))
		_exit(1);
	free_space(path);
	blocks_write(2);
	memset(data, 2, DATA_BYTES);
	eater.path = path;
	eater.room = room;
	if (fork() == 0) {
		close(ends[1]);
		close(child.told);
		close(eater.fd);
		last_process(data, ends[0], report);
	}
	free_space(path);
	_exit(!heap_child_end(&child));
}

static fsblkcnt_t
free_blocks(const char *dir)
{
	struct statvfs now;

	return statvfs(dir, &now) == 0 ? now.f_bfree : 0;
}

void
full_in_child(const char *path, const char *dir)
{
	fsblkcnt_t before = free_blocks(dir);
	int report[2], is_good = 1;
	char byte;

	for (off_t mib = 32; mib <= 44; mib += 4) {
		pid_t pid;

		if (pipe(report) != 0)
			exit(99);
		pid = fork();
		if (pid == 0) {
			close(report[0]);
			fork_twice(path, mib << 20, report[1]);
		}
		close(report[1]);
		if (!child_succeeds(pid) || read(report[0], &byte, 1) != 1 ||
		    byte != 1) {
			printf("# data is lost with %d MiB of room\n", (int)mib);
			is_good = 0;
		}
		close(report[0]);
		/* Blocks of a process become free a little after its end. */
		for (int i = 0; i < 2000 && free_blocks(dir) < before; i++)
			usleep(1000);
	}
	tap_result(is_good,
	    "file system full while a child's file is filled: nothing is lost");
}

/* Allocates and writes until malloc fails. Frees all. Returns whether errno was ENOMEM. */
static int
exhausts(void)
{
	char *first = NULL, *block;
	int is_good;

	errno = 0;
	while ((block = malloc(MORE_BYTES / 100)) != NULL) {
		memset(block, 5, MORE_BYTES / 100);
		*(char **)block = first;
		first = block;
	}
	is_good = errno == ENOMEM;
	while (first != NULL) {
		block = *(char **)first;
		free(first);
		first = block;
	}
	return is_good;
}

/*
 * First the child has its heap. Then the file system becomes full, and both processes
 * write to their whole heap, to a block that is still untouched, and to all blocks that
 * they can allocate.
 */
void
full_afterwards(const char *path)
{
	int ready[2], go[2];
	char *untouched = malloc(MORE_BYTES);
	char byte;
	int fd;
	pid_t pid;

	if (untouched == NULL || pipe(ready) != 0 || pipe(go) != 0)
		exit(99);
	pid = fork();
	if (pid == 0) {
		close(go[1]);
		/* The files may share blocks until the copy is on disk: libvmmalloc(7). */
		fsync(disk_pool_descriptor(getenv("VMMALLOC_POOL_DIR")));
		if (write(ready[1], "", 1) != 1 || read(go[0], &byte, 1) != 0)
			_exit(1);
		memset(untouched, 3, MORE_BYTES);
		_exit(!(blocks_are(1) && blocks_write(3) && exhausts() &&
		    blocks_are(3)));
	}
	if (read(ready[0], &byte, 1) != 1)
		exit(99);
	fd = disk_fill(path);
	close(go[1]);
	memset(untouched, 2, MORE_BYTES);
	tap_result(blocks_write(2) && exhausts() && blocks_are(2),
	    "file system full after fork: the parent can write to its whole heap");
	tap_result(child_succeeds(pid),
	    "file system full after fork: the child can write to its whole heap");
	free(untouched);
	tap_result(blocks_are(2) && blocks_write(1) &&
		(fork_setting == 2 || forks(1)),
	    "file system full after fork: the parent's heap keeps its content");
	close(fd);
	unlink(path);
}
