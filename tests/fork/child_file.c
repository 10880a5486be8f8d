/* SPDX-License-Identifier: BSD-3-Clause */
/* child_file.c: reads in /proc/self/maps in which file each process has its heap after
 * fork(2). Prints TAP. child_file FORK: the value of VMMALLOC_FORK, 1 to 3 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../support/blocks.h"
#include "../support/self.h"

/* The block is a range of its own. Its ends may lie in chunks with other blocks. */
#define BLOCK_BYTES ((size_t)3 << 20)

/* The mapping in which the middle of the block lies. */
struct where {
	char permissions[8];
	unsigned long long inode; /* 0: memory without a file */
};

static char *block;

static struct where
where_is_block(void)
{
	char text[SELF_TEXT];
	struct where where = { .inode = 0 };

	if (!self_mapping(block + BLOCK_BYTES / 2, text) ||
	    sscanf(text, "%7s %*s %*s %llu", where.permissions, &where.inode) != 2)
		where.permissions[0] = '\0';
	return where;
}

static int
is_shared(const struct where *where)
{
	return strcmp(where->permissions, "rw-s") == 0 && where->inode != 0;
}

/* With VMMALLOC_FORK=1 the heap is private. With 2 and 3 its file is not that of `parent`. */
static int
is_right_in_child(int fork_kind, const struct where *parent)
{
	struct where own = where_is_block();

	return fork_kind == 1 ? strcmp(own.permissions, "rw-p") == 0
			      : is_shared(&own) && own.inode != parent->inode;
}

/* A child forks a grandchild: each compares its file with that of its own parent. */
static int
child_is_right(int fork_kind, const struct where *parent)
{
	struct where own = where_is_block();
	int is_right = is_right_in_child(fork_kind, parent);
	pid_t grandchild = fork();

	if (grandchild == 0)
		_exit(!is_right_in_child(fork_kind, &own));
	return child_succeeds(grandchild) && is_right;
}

int
main(int argc, char **argv)
{
	int fork_kind = argc == 2 ? atoi(argv[1]) : 0;
	struct where before, after;
	pid_t child;

	if (fork_kind < 1 || fork_kind > 3) {
		fputs("usage: child_file 1|2|3\n", stderr);
		return 2;
	}
	block = malloc(BLOCK_BYTES);
	if (block == NULL)
		return 1;
	memset(block, 1, BLOCK_BYTES);
	before = where_is_block();
	tap_result(is_shared(&before), "before the fork the heap is in a file");
	child = fork();
	if (child == 0)
		_exit(!child_is_right(fork_kind, &before));
	tap_result(child_succeeds(child), fork_kind == 1
	    ? "child and grandchild have private memory"
	    : "child and grandchild each have a file of their own");
	if (fork_kind == 1)
		return tap_plan();
	after = where_is_block();
	tap_result(is_shared(&after) && after.inode == before.inode,
	    "the parent's heap is back in its file when fork returns");
	return tap_plan();
}
