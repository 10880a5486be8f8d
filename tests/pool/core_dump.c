/* SPDX-License-Identifier: BSD-3-Clause */
/* core_dump.c: aborts with 20 MiB of the letter Q in its heap. dies looks: and a child, which
 * has the pool's file as well (VMMALLOC_FORK=0), says how many KiB of it there are
 * before, and after the core dump. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../support/disk.h"

#define NBLOCKS 20

/* For gdb, which looks for what each block begins with. */
char *dies_blocks[NBLOCKS];

static void
say(const char *when, int fd)
{
	char text[80];
	struct stat stat;
	int length;

	if (fstat(fd, &stat) != 0)
		_exit(1);
	length = snprintf(text, sizeof(text), "%s %lu KiB\n", when,
	    (unsigned long)stat.st_blocks / 2);
	if (write(STDOUT_FILENO, text, (size_t)length) != length)
		_exit(1);
}

/* The end of a pipe is closed when the core has been written. */
static void
have_child_look(void)
{
	int fd = disk_pool_descriptor(getenv("VMMALLOC_POOL_DIR"));
	int ends[2];
	char byte;

	if (fd < 0 || pipe(ends) != 0)
		exit(1);
	say("before", fd);
	if (fork() != 0)
		return;
	close(ends[1]);
	if (read(ends[0], &byte, 1) == 0)
		say("after", fd);
	_exit(0);
}

int
main(int argc, char **argv)
{
	for (int i = 0; i < NBLOCKS; i++) {
		char *block = malloc(1 << 20);

		if (block == NULL)
			return 1;
		memset(block, 'Q', 1 << 20);
		snprintf(block, 20, "block number %d", i);
		dies_blocks[i] = block;
	}
	if (argc == 2 && strcmp(argv[1], "looks") == 0)
		have_child_look();
	abort();
}
