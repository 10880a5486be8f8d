/* SPDX-License-Identifier: BSD-3-Clause */
/* failures.c: when a child cannot get the file or the memory that it needs, fork(2) fails
 * and leaves the process as it was, or the child gets a private heap. Run with the library
 * preloaded. Prints TAP. failures DIR: a directory on the pool's file system. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../support/blocks.h"
#include "../support/disk.h"
#include "failures.h"
#include "../support/in_pool.h"

#define NBLOCKS 400
#define BLOCK_BYTES ((size_t)60000)

int fork_setting;

/* A failed fork must leave these as they were. */
struct state {
	int descriptors;
	int mappings;
	unsigned long shared_kb;
};

static struct state
state_now(void)
{
	struct state now = { 0, 0, 0 };
	struct in_pool_figures figures;
	char buffer[4096];
	int fd = open("/proc/self/maps", O_RDONLY);
	ssize_t got;

	while ((got = read(fd, buffer, sizeof(buffer))) > 0) {
		for (ssize_t i = 0; i < got; i++)
			now.mappings += buffer[i] == '\n';
	}
	close(fd);
	for (fd = 0; fd < 4096; fd++)
		now.descriptors += fcntl(fd, F_GETFD) >= 0;
	in_pool_read(&figures);
	now.shared_kb = figures.shared_kb;
	return now;
}

int
forks(char value)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(!(blocks_are(value) && blocks_write((char)(value + 100))));
	if (pid < 0)
		return 0;
	/* The child has written and ended before the parent reads and writes. */
	return child_succeeds(pid) && blocks_are(value) &&
	    blocks_write((char)(value + 1)) && blocks_are((char)(value + 1)) &&
	    blocks_write(value);
}

/*
 * With VMMALLOC_FORK=2, ten forks fail with the errno `expected`, and leave all as it was.
 * With 1 and 3 a fork succeeds: the child then has a private heap and needs no file.
 */
static void
fails_with(int expected, const char *what)
{
	struct state before = state_now(), after;
	char text[200];
	int is_good;

	if (fork_setting != 2) {
		snprintf(text, sizeof(text), "%s: the child gets a private heap", what);
		tap_result(forks(1), text);
		return;
	}
	is_good = blocks_fork_fails(expected);
	snprintf(text, sizeof(text), "%s: fork fails with \"%s\"", what,
	    strerror(expected));
	tap_result(is_good, text);
	after = state_now();
	snprintf(text, sizeof(text), "%s: the failed fork changes nothing: %d and %d "
	    "descriptors, %d and %d mappings, %lu and %lu KiB shared", what,
	    before.descriptors, after.descriptors, before.mappings,
	    after.mappings, before.shared_kb, after.shared_kb);
	/* The return of an earlier fork may end meanwhile: then more is shared. */
	tap_result(after.descriptors == before.descriptors &&
	    after.mappings <= before.mappings && after.shared_kb >= before.shared_kb, text);
	snprintf(text, sizeof(text), "%s: no child is left, and the heap keeps its "
	    "content", what);
	tap_result(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD &&
	    blocks_are(1) && blocks_write(2) && blocks_are(2) && blocks_write(1), text);
}

static void
full_file_system(const char *path)
{
	int fd = disk_fill(path);

	fails_with(ENOSPC, "full file system");
	close(fd);
	unlink(path);
	tap_result(forks(1), "fork works when the file system has room again");
}

static void
descriptor_limit(void)
{
	struct rlimit before, limit;

	getrlimit(RLIMIT_NOFILE, &before);
	limit = before;
	/* Descriptors that are open stay open. */
	limit.rlim_cur = 3;
	setrlimit(RLIMIT_NOFILE, &limit);
	fails_with(EMFILE, "limit of descriptors");
	setrlimit(RLIMIT_NOFILE, &before);
}

static void
file_size_limit(void)
{
	struct rlimit before, limit;

	getrlimit(RLIMIT_FSIZE, &before);
	limit = before;
	limit.rlim_cur = 1 << 20;
	setrlimit(RLIMIT_FSIZE, &limit);
	fails_with(EFBIG, "limit of file sizes");
	setrlimit(RLIMIT_FSIZE, &before);
}

static void
missing_directory(const char *dir)
{
	char other[4096];

	snprintf(other, sizeof(other), "%s.moved", dir);
	if (rename(dir, other) != 0) {
		tap_result(1, "missing pool directory # SKIP it cannot be moved away");
		return;
	}
	fails_with(ENOENT, "missing pool directory");
	rename(other, dir);
}

/* Size of the mapped address space in bytes. */
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

/* With VMMALLOC_FORK=1, the limit leaves no room to map the heap privately. */
static void
address_space_limit(void)
{
	struct rlimit before, limit;

	getrlimit(RLIMIT_AS, &before);
	limit = before;
	limit.rlim_cur = mapped_bytes() + NBLOCKS * BLOCK_BYTES / 2;
	setrlimit(RLIMIT_AS, &limit);
	if (fork_setting == 1) {
		pid_t pid;

		errno = 0;
		pid = fork();
		if (pid == 0)
			_exit(0);
		tap_result(pid == -1 && errno == ENOMEM,
		    "limit of the address space: fork fails with ENOMEM");
		tap_result(blocks_are(1) && blocks_write(2) && blocks_are(2) &&
		    blocks_write(1),
		    "limit of the address space: the heap keeps its content");
	}
	setrlimit(RLIMIT_AS, &before);
	tap_result(forks(1), "fork works when the limit of the address space is gone");
}

/* The library cannot make a fork inside libc fail: the child gets a private heap. */
static void
forkpty_when_full(const char *path)
{
	int fd = disk_fill(path);
	int terminal;
	pid_t pid = forkpty(&terminal, NULL, NULL, NULL);

	if (pid == 0)
		_exit(!(blocks_are(1) && blocks_write(100) && blocks_are(100)));
	tap_result(child_succeeds(pid) && blocks_are(1) && blocks_write(2) &&
	    blocks_are(2) && blocks_write(1),
	    "full file system: forkpty works, and the heaps are separate");
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
	fork_setting = value == NULL ? 1 : atoi(value);
	snprintf(path, sizeof(path), "%s/eaten", argv[1]);
	blocks_set(NBLOCKS, BLOCK_BYTES);
	full_register_handler();
	tap_result(blocks_write(1), "the heap can be written before any fork");
	/* Comes first: with VMMALLOC_FORK=1 later forks may find the heap private already. */
	address_space_limit();
	full_file_system(path);
	descriptor_limit();
	file_size_limit();
	missing_directory(dir);
	if (fork_setting != 1)
		full_in_handler(path);
	if (fork_setting == 3)
		full_in_child(path, dir);
	forkpty_when_full(path);
	full_afterwards(path);
	return tap_plan();
}
