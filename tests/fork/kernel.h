/* SPDX-License-Identifier: BSD-3-Clause */
/* kernel.h: parts of the test program kernel. */
#ifndef FORK_KERNEL_H
#define FORK_KERNEL_H

#include <stddef.h>

#include "../support/cases.h"

/* What counts as returned. */
#define RETURNED_KB 4096UL

/* The file that is read directly: pieces whose content is known. */
#define PIECE_BYTES ((size_t)1 << 20)
#define NPIECES 24

/* Opens the file with O_DIRECT; makes it if it is not there. -1 and errno on refusal. */
int file_open(void);

/* Whether `data` is the content of this piece. */
int file_is(const unsigned char *data, int number);

/* What the kernel reads asynchronously into the heap. */
struct engine {
	/* Returns 0 and sets errno if the kernel refuses. */
	int (*begin)(void);
	/* Starts to read all pieces from fd, each to PIECE_BYTES of the buffer. */
	void (*submit)(int fd, unsigned char *buffer);
	/*
	 * Counts the reads that have ended since. With `waits` it waits for at least one,
	 * else it only looks. -1 and errno if the call fails or a read has failed.
	 */
	int (*collect)(int waits);
};
extern const struct engine aio, uring;

/* kernel_reads.c: reads are under way while the heap returns. */
struct reads {
	const struct engine *engine;
	int has_thread; /* another thread allocates, and this one waits */
};
void run_reads(const struct test_case *self);

/* kernel_uring.c: buffers registered while a child lives (*with) or afterwards. */
void run_registered(const struct test_case *self);

/* kernel_refused.c: the kernel may refuse what a fork needs; `with` says how. */
void run_overcommit(const struct test_case *self);
void run_mappings(const struct test_case *self);
void run_limit(const struct test_case *self);

#endif
