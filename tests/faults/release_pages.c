/* SPDX-License-Identifier: BSD-3-Clause */
/* release_pages.c: the pool gives file blocks back to the file system, and reserves them
 * again. Run with the library preloaded: release_pages DIR [keeps]. Prints TAP. `keeps` is
 * for DAX, where the pool keeps its file blocks. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../support/disk.h"
#include "libvmmalloc.h"

#pragma weak mallctl

#define NBLOCKS 100
#define BLOCK_BYTES ((size_t)1000000)

static int count;

static void
result(int is_good, const char *what)
{
	printf("%sok %d - %s\n", is_good ? "" : "not ", ++count, what);
}

/* Returns the MiB of file blocks that the pool file has. */
static unsigned long
pool_mib(const char *dir)
{
	int fd = disk_pool_descriptor(dir);
	struct stat stat;

	/* fsync: a file system may allocate file blocks only when it writes. */
	if (fsync(fd) != 0 || fstat(fd, &stat) != 0)
		return 0;
	return (unsigned long)stat.st_blocks / 2048;
}

static char *blocks[NBLOCKS];

static int
allocate_blocks(void)
{
	int n = 0;

	while (n < NBLOCKS && (blocks[n] = calloc(1, BLOCK_BYTES)) != NULL) {
		for (size_t i = 0; i < BLOCK_BYTES; i += 500) {
			if (blocks[n][i] != 0)
				return -1;
		}
		memset(blocks[n], n + 1, BLOCK_BYTES);
		n++;
	}
	return n;
}

static int
free_blocks(int n)
{
	int is_good = 1;

	while (n-- > 0) {
		for (size_t i = 0; i < BLOCK_BYTES; i += 500)
			is_good &= blocks[n][i] == (char)(n + 1);
		free(blocks[n]);
	}
	return is_good && mallctl("arena.4096.purge", NULL, NULL, NULL, 0) == 0;
}

#define NPIECES 12

/*
 * Frees low ranges, which lose their file blocks (not on DAX), fills the file system, and
 * frees higher ranges, which keep theirs. malloc must allocate each of these again. Returns
 * how many it has allocated, or -1 if there was no memory at the start.
 */
static int
pieces_again(const char *path)
{
	char *low[NPIECES], *high[NPIECES];
	size_t size = (size_t)1 << 20;
	int had = 0, fd;

	for (int i = 0; i < NPIECES; i++)
		low[i] = malloc(size);
	for (int i = 0; i < NPIECES; i++) {
		high[i] = malloc(size);
		if (low[i] == NULL || high[i] == NULL)
			return -1;
		memset(low[i], 1, size);
		memset(high[i], 2, size);
	}
	for (int i = 0; i < NPIECES; i++)
		free(low[i]);
	mallctl("arena.4096.purge", NULL, NULL, NULL, 0);
	fd = disk_fill(path);
	for (int i = 0; i < NPIECES; i += 2)
		free(high[i]);
	mallctl("arena.4096.purge", NULL, NULL, NULL, 0);
	for (int i = 0; i < NPIECES; i += 2) {
		high[i] = malloc(size - 65536);
		if (high[i] != NULL) {
			memset(high[i], 3, size - 65536);
			had++;
		}
	}
	for (int i = 0; i < NPIECES; i++)
		free(high[i]);
	close(fd);
	unlink(path);
	mallctl("arena.4096.purge", NULL, NULL, NULL, 0);
	return had;
}

int
main(int argc, char **argv)
{
	unsigned long full, empty;
	int keeps = argc == 3 && strcmp(argv[2], "keeps") == 0;
	char path[4096];
	int ends[2], n, fd, status, is_whole;
	time_t until;
	pid_t pid;

	if (argc != 2 && !keeps)
		return 99;
	setvbuf(stdout, NULL, _IOLBF, 0);
	snprintf(path, sizeof(path), "%s/eaten", argv[1]);

	n = pieces_again(path);
	printf("# %d of %d\n", n, NPIECES / 2);
	result(n == NPIECES / 2,
	    "on a full file system, ranges that have blocks can be allocated again");
	n = allocate_blocks();
	full = pool_mib(argv[1]);
	result(n == NBLOCKS && full >= 95, "the pool file has blocks for all memory in use");
	result(free_blocks(n), "freed blocks were whole");
	empty = pool_mib(argv[1]);
	printf("# %lu MiB, then %lu MiB\n", full, empty);
	if (keeps)
		result(empty >= full, "the pool file keeps its blocks");
	else
		result(empty <= full / 5, "blocks are returned to the file system");
	n = allocate_blocks();
	result(n == NBLOCKS, "memory can be allocated again, and is zero");
	result(free_blocks(n), "it is whole");

	/* Another file takes the file blocks before the pool needs them again. */
	fd = disk_fill(path);
	errno = 0;
	n = allocate_blocks();
	printf("# %d blocks on a full file system\n", n);
	if (keeps)
		result(fd >= 0 && n == NBLOCKS, "the other file cannot take the blocks of the pool");
	else
		result(fd >= 0 && n >= 0 && n < NBLOCKS && errno == ENOMEM,
		    "without space calloc returns NULL with ENOMEM");

	/* While a child lives the heap is private: the pool fills holes of its file with
	 * ordinary memory, so malloc works although the disk is full. */
	fflush(stdout);
	if (pipe(ends) != 0)
		return 99;
	pid = fork();
	if (pid == 0) {
		int is_good = free_blocks(n);
		int more = allocate_blocks();

		close(ends[1]);
		is_good &= read(ends[0], path, 1) == 0;
		_exit(!(is_good && more == NBLOCKS && free_blocks(more)));
	}
	result(free_blocks(n) && allocate_blocks() == NBLOCKS && free_blocks(NBLOCKS),
	    "while a child lives, the parent can allocate");
	close(ends[1]);
	result(waitpid(pid, &status, 0) == pid && status == 0,
	    "so can the child");
	/* The heap returns to the file some time later. Then the file needs file
	 * blocks again, and calloc fails on the full file system. */
	until = time(NULL) + 60;
	do {
		n = allocate_blocks();
		is_whole = n >= 0 && free_blocks(n);
	} while (is_whole && n == NBLOCKS && !keeps && time(NULL) < until);
	result(is_whole && (n < NBLOCKS || keeps),
	    "after the end of the child the heap returns to the file");
	close(fd);
	unlink(path);
	printf("1..%d\n", count);
	return 0;
}
