/* SPDX-License-Identifier: BSD-3-Clause */
/* large_pages.c: how much of a heap is in large pages, as /proc/self/smaps reports it. Run
 * with the library preloaded. Prints one line, in KiB: the blocks of the pool file, the part
 * of the heap in large pages, and the part that is mapped. The exit status is 0 if the heap
 * keeps its content.
 * large_pages grow MIB: a heap of MIB MiB, in blocks of 64 KiB
 * large_pages one MIB: the same in one block
 * large_pages again MIB: all is freed and allocated again
 * large_pages returned MIB: after a fork(2), and the return of the heap to its file
 * large_pages child MIB: the heap of a child that has a file of its own (VMMALLOC_FORK=2) */
#include "config.h"

#include <dirent.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../support/blocks.h"
#include "../support/heap_return.h"
#include "../support/in_pool.h"

#define BLOCK_BYTES ((size_t)64 << 10)
#define MIB ((size_t)1 << 20)
#define RETURN_LIMIT_MS 20000
#define RETURNED_KB 64

static char **blocks;
static size_t block_count, block_bytes;

/* Returns 0 if there is no memory. */
static int
fill(size_t bytes, size_t block_size)
{
	block_bytes = block_size;
	block_count = bytes / block_size;
	blocks = malloc(block_count * sizeof(*blocks));
	for (size_t i = 0; blocks != NULL && i < block_count; i++) {
		blocks[i] = malloc(block_size);
		if (blocks[i] == NULL)
			return 0;
		memset(blocks[i], (int)(i % 251) + 1, block_size);
	}
	return blocks != NULL;
}

static void
free_all(void)
{
	for (size_t i = 0; i < block_count; i++)
		free(blocks[i]);
	free(blocks);
}

static int
is_whole(void)
{
	for (size_t i = 0; i < block_count; i++) {
		for (size_t at = 0; at < block_bytes; at++) {
			if (blocks[i][at] != (char)(i % 251 + 1))
				return 0;
		}
	}
	return 1;
}

/* Returns the size of the blocks of the pool file, an open file without a name. */
static unsigned long
file_kb(void)
{
	DIR *descriptors = opendir("/proc/self/fd");
	struct dirent *entry;
	struct stat file;
	unsigned long nblocks = 0; /* of 512 bytes */

	while (descriptors != NULL && (entry = readdir(descriptors)) != NULL) {
		if (fstat((int)strtol(entry->d_name, NULL, 10), &file) == 0 &&
		    S_ISREG(file.st_mode) && file.st_nlink == 0)
			nblocks += (unsigned long)file.st_blocks;
	}
	if (descriptors != NULL)
		closedir(descriptors);
	return nblocks / 2;
}

static int
report(void)
{
	struct in_pool_figures figures;
	/* Reads all of the heap: only pages that were used since the fork are counted. */
	int is_good = is_whole();

	if (!in_pool_read(&figures))
		return 1;
	printf("%lu %lu %lu\n", file_kb(), figures.large_kb, figures.pool_rss_kb);
	fflush(stdout);
	return !is_good;
}

/* Writes to all of the heap while a child has it, so that all of it becomes private. */
static int
report_returned(void)
{
	pid_t child = fork();

	if (child == 0)
		_exit(!is_whole());
	for (size_t i = 0; i < block_count; i++)
		memset(blocks[i], (int)(i % 251) + 1, block_bytes);
	if (!child_succeeds(child) || !heap_returns(RETURNED_KB, RETURN_LIMIT_MS))
		return 1;
	return report();
}

static int
report_child(void)
{
	pid_t child = fork();

	if (child == 0)
		_exit(report());
	return !child_succeeds(child);
}

int
main(int argc, char **argv)
{
	const char *mode = argc == 3 ? argv[1] : "";
	size_t bytes = argc == 3 ? strtoul(argv[2], NULL, 10) * MIB : 0;

	if (bytes == 0 || !fill(bytes, strcmp(mode, "one") == 0 ? bytes : BLOCK_BYTES))
		return 2;
	if (strcmp(mode, "again") == 0) {
		free_all();
		malloc_trim(0);
		if (!fill(bytes, BLOCK_BYTES))
			return 2;
	}
	if (strcmp(mode, "returned") == 0)
		return report_returned();
	return strcmp(mode, "child") == 0 ? report_child() : report();
}
