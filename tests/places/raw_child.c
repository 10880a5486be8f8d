/* SPDX-License-Identifier: BSD-3-Clause */
/* raw_child.c: a child of clone(2), for which no fork handlers run, has a heap of its own if
 * the pool has no file. Run with the library preloaded, on the pool ":memory:". The
 * exit status is 0 if both heaps are right. */
#include "config.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../support/blocks.h"

#define BLOCKS 300
#define BLOCK_BYTES 20000

int
main(void)
{
	long child;

	blocks_set(BLOCKS, BLOCK_BYTES);
	if (!blocks_write('p'))
		return 2;
	/* clone(2) as fork(2) calls it (not on s390, where the stack comes first). */
	child = syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
	if (child < 0)
		return 3;
	if (child == 0) {
		int is_good = blocks_are('p');

		blocks_free();
		_exit(!(is_good && blocks_write('c') && blocks_are('c')));
	}
	return !(child_succeeds((pid_t)child) && blocks_are('p'));
}
