/* SPDX-License-Identifier: BSD-3-Clause */
/* full_disk.c: the file system of the pool fills up while the program runs. Run with
 * the library preloaded: full_disk DIR. Prints TAP. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../support/disk.h"

#define BLOCK_BYTES ((size_t)60000)
#define BLOCKS_BEFORE 100

static int count;

static void
result(int is_good, const char *what)
{
	printf("%sok %d - %s\n", is_good ? "" : "not ", ++count, what);
}

struct block {
	struct block *before;
	char data[BLOCK_BYTES - sizeof(struct block *)];
};

static struct block *
add(struct block *before)
{
	struct block *block = malloc(sizeof(*block));

	if (block == NULL)
		return NULL;
	block->before = before;
	memset(block->data, 0x77, sizeof(block->data));
	return block;
}

static int
is_whole(const struct block *block)
{
	for (; block != NULL; block = block->before) {
		for (size_t i = 0; i < sizeof(block->data); i++) {
			if (block->data[i] != 0x77)
				return 0;
		}
	}
	return 1;
}

int
main(int argc, char **argv)
{
	struct block *chain = NULL, *block;
	char path[4096];
	size_t blocks = 0;
	int fd;

	if (argc != 2)
		return 99;
	setvbuf(stdout, NULL, _IOLBF, 0);
	snprintf(path, sizeof(path), "%s/eaten", argv[1]);
	while (blocks++ < BLOCKS_BEFORE && (block = add(chain)) != NULL)
		chain = block;
	result(blocks > BLOCKS_BEFORE, "malloc returns blocks while there is room");
	fd = disk_fill(path);
	result(fd >= 0, "another file fills the file system");
	/* malloc still returns memory that the pool has reserved, and then NULL. */
	errno = 0;
	for (blocks = 0; (block = add(chain)) != NULL; blocks++)
		chain = block;
	result(errno == ENOMEM, "on a full file system malloc returns NULL with ENOMEM");
	printf("# after %zu blocks\n", blocks);
	result(is_whole(chain), "every block is whole");
	unlink(path);
	close(fd);
	/* Some file systems free file blocks only with the next transaction. */
	fd = open(argv[1], O_RDONLY);
	syncfs(fd);
	close(fd);
	for (blocks = 0; blocks < BLOCKS_BEFORE &&
	     (block = add(chain)) != NULL; blocks++)
		chain = block;
	result(blocks == BLOCKS_BEFORE, "with room again, malloc returns blocks again");
	result(is_whole(chain), "every block is whole afterwards");
	printf("1..%d\n", count);
	return 0;
}
