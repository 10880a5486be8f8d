/* SPDX-License-Identifier: BSD-3-Clause */
/* core_dump.c: aborts with 20 MiB of the letter Q in its heap. Usage: core_dump [looks]
 * With `looks` it prints how many KiB the pool file has, and a child prints that again after
 * the core dump. The child needs VMMALLOC_FORK=0 to have the same pool file. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../support/disk.h"

#define NBLOCKS 20

/* gdb prints the text at the start of a block. */
char *core_dump_blocks[NBLOCKS];

static void
print_size(const char *when, int fd)
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

/* The kernel closes the parent's end of the pipe after it has written the core. */
static void
start_child(void)
{
	int fd = disk_pool_descriptor(getenv("VMMALLOC_POOL_DIR"));
	int ends[2];
	char byte;

	if (fd < 0 || pipe(ends) != 0)
		exit(1);
	print_size("before", fd);
	if (fork() != 0)
		return;
	close(ends[1]);
	if (read(ends[0], &byte, 1) == 0)
		print_size("after", fd);
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
		core_dump_blocks[i] = block;
	}
	if (argc == 2 && strcmp(argv[1], "looks") == 0)
		start_child();
	abort();
}
