/* SPDX-License-Identifier: BSD-3-Clause */
/* failures.c: what a child needs cannot be had: fork(2) fails, and nothing else has
 * happened, or the child gets private memory. Run with the library preloaded.
 * failures DIR: where the pool is. Prints TAP. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../support/blocks.h"
#include "../support/disk.h"
#include "../support/heap_return.h"
#include "../support/in_pool.h"

#define NBLOCKS 400
#define BLOCK_BYTES ((size_t)60000)

static int kind; /* VMMALLOC_FORK */

/* What a failed fork must leave as it was. */
struct held {
	int descriptors;
	int mappings;
	unsigned long shared_kb;
};

static struct held
held(void)
{
	struct held held = { 0, 0, 0 };
	struct in_pool_figures figures;
	char buffer[4096];
	int fd = open("/proc/self/maps", O_RDONLY);
	ssize_t got;

	while ((got = read(fd, buffer, sizeof(buffer))) > 0) {
		for (ssize_t i = 0; i < got; i++)
			held.mappings += buffer[i] == '\n';
	}
	close(fd);
	for (fd = 0; fd < 4096; fd++)
		held.descriptors += fcntl(fd, F_GETFD) >= 0;
	in_pool_look(&figures);
	held.shared_kb = figures.shared_kb;
	return held;
}

/* A child that finds what its parent has and writes all of it, as its parent does. */
static int
forks(char value)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(!(blocks_are(value) && blocks_write((char)(value + 100))));
	if (pid < 0)
		return 0;
	/* The child first, and then both have different content. */
	return blocks_ends_good(pid) && blocks_are(value) &&
	    blocks_write((char)(value + 1)) && blocks_are((char)(value + 1)) &&
	    blocks_write(value);
}

/*
 * Under 2, fork fails with `expected`, once and again, and leaves all as it was; under
 * 1 and 3 it does not need what is missing.
 */
static void
fails_with(int expected, const char *what)
{
	struct held before = held(), after;
	char text[200];
	int is_good;

	if (kind != 2) {
		snprintf(text, sizeof(text), "%s: private instead", what);
		blocks_result(forks(1), text);
		return;
	}
	is_good = blocks_fork_fails(expected);
	snprintf(text, sizeof(text), "%s: fork fails, %s", what,
	    strerror(expected));
	blocks_result(is_good, text);
	after = held();
	snprintf(text, sizeof(text), "%s: %d descriptors, %d mappings, %lu KiB "
	    "shared are still %d, %d, %lu", what, before.descriptors,
	    before.mappings, before.shared_kb, after.descriptors,
	    after.mappings, after.shared_kb);
	blocks_result(memcmp(&before, &after, sizeof(before)) == 0, text);
	snprintf(text, sizeof(text), "%s: no child, and the heap is whole",
	    what);
	blocks_result(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD &&
	    blocks_are(1) && blocks_write(2) && blocks_are(2) && blocks_write(1), text);
}

static void
full(const char *path)
{
	int fd = disk_eat(path);

	fails_with(ENOSPC, "full file system");
	close(fd);
	unlink(path);
	blocks_result(forks(1), "when there is room again it works");
}

static void
no_descriptors(void)
{
	struct rlimit before, limit;

	getrlimit(RLIMIT_NOFILE, &before);
	limit = before;
	/* Those that are open stay open. */
	limit.rlim_cur = 3;
	setrlimit(RLIMIT_NOFILE, &limit);
	fails_with(EMFILE, "descriptor limit");
	setrlimit(RLIMIT_NOFILE, &before);
}

static void
no_size(void)
{
	struct rlimit before, limit;

	getrlimit(RLIMIT_FSIZE, &before);
	limit = before;
	limit.rlim_cur = 1 << 20;
	setrlimit(RLIMIT_FSIZE, &limit);
	fails_with(EFBIG, "limit of file sizes");
	setrlimit(RLIMIT_FSIZE, &before);
}

/* A directory that is gone. */
static void
no_directory(const char *dir)
{
	char other[4096];

	snprintf(other, sizeof(other), "%s.moved", dir);
	if (rename(dir, other) != 0) {
		blocks_result(1, "directory that is gone # SKIP it cannot be moved");
		return;
	}
	fails_with(ENOENT, "directory that is gone");
	rename(other, dir);
}

/* All that is free is taken in a handler, when there was room for a copy just before. */
#define MORE_BYTES ((size_t)30 << 20)
static const char *eats;
static off_t eats_not; /* so much is left */
static int eaten;

static void
eat(void)
{
	if (eats != NULL) {
		eaten = disk_eat(eats);
		if (ftruncate(eaten, lseek(eaten, 0, SEEK_END) - eats_not) != 0)
			_exit(99);
	}
	eats = NULL;
}

/* The child finds no room after all: it is gone before anybody has seen it. */
static void
full_in_handler(const char *path)
{
	pid_t pid;
	int error;

	eats = path;
	errno = 0;
	pid = fork();
	error = errno;
	if (pid == 0)
		_exit(!(blocks_are(1) && blocks_write(100) && blocks_are(100)));
	if (kind == 2) {
		blocks_result(pid == -1 && error == ENOSPC,
		    "filled up in a handler: fork fails all the same");
		blocks_result(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD,
		    "filled up in a handler: no child is left");
	} else {
		blocks_result(blocks_ends_good(pid),
		    "filled up in a handler: private instead");
	}
	blocks_result(blocks_are(1) && blocks_write(2) && blocks_are(2) &&
	    blocks_write(1), "filled up in a handler: the heap is whole");
	close(eaten);
	unlink(path);
}

/*
 * The child's file is full when some of the heap is in it: that becomes memory again. When
 * its parent has ended, the heap returns to the parent's file, which has older content.
 */
#define PARTED_BYTES ((size_t)16 << 20)
#define RETURNED_KB 4096UL
#define RETURN_LIMIT_MS 1000

static int
child_lives(void *argument)
{
	(void)argument;
	return 1;
}

static int
is_all(const char *data, size_t size, char value)
{
	for (size_t i = 0; i < size; i++) {
		if (data[i] != value)
			return 0;
	}
	return 1;
}

/* The last process that needs the file; says so with a byte. */
static _Noreturn void
half_filled_child(const char *parted, int parents_end, int said)
{
	char is_good = (char)(blocks_are(2) && is_all(parted, PARTED_BYTES, 2));
	char byte;

	/* The end of the pipe: nobody else has it any more. */
	if (read(parents_end, &byte, 1) != 0)
		_exit(1);
	heap_returns(RETURNED_KB, RETURN_LIMIT_MS);
	is_good &= (char)(blocks_are(2) && is_all(parted, PARTED_BYTES, 2));
	if (write(said, &is_good, 1) != 1)
		_exit(1);
	_exit(0);
}

/* A child without a file keeps its parent's heap private, while that writes to it. */
static _Noreturn void
half_filled_parent(const char *path, off_t room, int said)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct heap_child child;
	char *parted;
	int ends[2];

	if (posix_memalign((void **)&parted, page, PARTED_BYTES) != 0 ||
	    pipe(ends) != 0)
		_exit(1);
	memset(parted, 1, PARTED_BYTES);
	/* Now the heap is mapped in three parts. */
	madvise(parted + PARTED_BYTES / 2, page, MADV_DONTDUMP);
	eaten = disk_eat(path);
	if (!heap_child_start(&child, child_lives, NULL))
		_exit(1);
	/* The child has the file open, too. */
	if (ftruncate(eaten, 0) != 0)
		_exit(1);
	close(eaten);
	unlink(path);
	blocks_write(2);
	memset(parted, 2, PARTED_BYTES);
	eats = path;
	eats_not = room;
	if (fork() == 0) {
		close(ends[1]);
		close(child.told);
		close(eaten);
		half_filled_child(parted, ends[0], said);
	}
	if (ftruncate(eaten, 0) != 0)
		_exit(1);
	close(eaten);
	unlink(path);
	_exit(!heap_child_end(&child));
}

static fsblkcnt_t
free_blocks(const char *dir)
{
	struct statvfs now;

	return statvfs(dir, &now) == 0 ? now.f_bfree : 0;
}

static void
half_filled(const char *path, const char *dir)
{
	fsblkcnt_t before = free_blocks(dir);
	int said[2], is_good = 1;
	char byte;

	for (off_t mib = 32; mib <= 44; mib += 4) {
		pid_t pid;

		if (pipe(said) != 0)
			exit(99);
		pid = fork();
		if (pid == 0) {
			close(said[0]);
			half_filled_parent(path, mib << 20, said[1]);
		}
		close(said[1]);
		if (!blocks_ends_good(pid) || read(said[0], &byte, 1) != 1 || byte != 1) {
			printf("# not with %d MiB of room\n", (int)mib);
			is_good = 0;
		}
		close(said[0]);
		/* What a process had is free again a little after its end. */
		for (int i = 0; i < 2000 && free_blocks(dir) < before; i++)
			usleep(1000);
	}
	blocks_result(is_good,
	    "a file that fills up while it is made: nothing is lost");
}

/* The address space that is mapped, in bytes. */
static size_t
mapped_bytes(void)
{
	char digits[64] = "";
	int fd = open("/proc/self/statm", O_RDONLY);

	if (read(fd, digits, sizeof(digits) - 1) <= 0)
		exit(99);
	close(fd);
	return strtoul(digits, NULL, 10) * (size_t)sysconf(_SC_PAGESIZE);
}

/* Too little memory for private mappings: nothing is left to fall back to. */
static void
no_memory(void)
{
	struct rlimit before, limit;

	getrlimit(RLIMIT_AS, &before);
	limit = before;
	limit.rlim_cur = mapped_bytes() + NBLOCKS * BLOCK_BYTES / 2;
	setrlimit(RLIMIT_AS, &limit);
	if (kind == 1) {
		pid_t pid;

		errno = 0;
		pid = fork();
		if (pid == 0)
			_exit(0);
		blocks_result(pid == -1 && errno == ENOMEM,
		    "no memory for private mappings: fork fails");
		blocks_result(blocks_are(1) && blocks_write(2) && blocks_are(2) && blocks_write(1),
		    "no memory for private mappings: the heap is whole");
	}
	setrlimit(RLIMIT_AS, &before);
	blocks_result(forks(1), "with memory again it works");
}

/* Allocates until there is no more, writing to all of it, and gives it back. */
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
 * The child first has its own; then space runs out, and both write to all they have,
 * to a block that nobody has touched before, and to what they can get besides.
 */
static void
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
		/* See libvmmalloc(7): until the copy is on disk blocks are shared. */
		fsync(disk_pool_descriptor(getenv("VMMALLOC_POOL_DIR")));
		if (write(ready[1], "", 1) != 1 || read(go[0], &byte, 1) != 0)
			_exit(1);
		memset(untouched, 3, MORE_BYTES);
		_exit(!(blocks_are(1) && blocks_write(3) && exhausts() &&
		    blocks_are(3)));
	}
	if (read(ready[0], &byte, 1) != 1)
		exit(99);
	fd = disk_eat(path);
	close(go[1]);
	memset(untouched, 2, MORE_BYTES);
	blocks_result(blocks_write(2) && exhausts() && blocks_are(2),
	    "full afterwards: the parent writes to all it has");
	blocks_result(blocks_ends_good(pid),
	    "full afterwards: and so does its child");
	free(untouched);
	blocks_result(blocks_are(2) && blocks_write(1) &&
		(kind == 2 || forks(1)), "full afterwards: nothing is lost");
	close(fd);
	unlink(path);
}

/* libc's own forks cannot be made to fail: private. */
static void
by_libc(const char *path)
{
	int fd = disk_eat(path);
	int terminal;
	pid_t pid = forkpty(&terminal, NULL, NULL, NULL);

	if (pid == 0)
		_exit(!(blocks_are(1) && blocks_write(100) && blocks_are(100)));
	blocks_result(blocks_ends_good(pid) && blocks_are(1) && blocks_write(2) && blocks_are(2) &&
	    blocks_write(1), "forkpty on a full file system");
	close(terminal);
	close(fd);
	unlink(path);
}

int
main(int argc, char **argv)
{
	const char *value = getenv("VMMALLOC_FORK");
	const char *dir = getenv("VMMALLOC_POOL_DIR");
	char path[4096];

	if (argc != 2 || dir == NULL)
		return 99;
	kind = value == NULL ? 1 : atoi(value);
	snprintf(path, sizeof(path), "%s/eaten", argv[1]);
	blocks_set(NBLOCKS, BLOCK_BYTES);
	pthread_atfork(eat, NULL, NULL);
	blocks_result(blocks_write(1), "before any fork");
	/* The first, for under 1 there is nothing more to get for those after it. */
	no_memory();
	full(path);
	no_descriptors();
	no_size();
	no_directory(dir);
	if (kind != 1)
		full_in_handler(path);
	if (kind == 3)
		half_filled(path, dir);
	by_libc(path);
	full_afterwards(path);
	return blocks_plan();
}
