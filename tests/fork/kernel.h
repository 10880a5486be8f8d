/* SPDX-License-Identifier: BSD-3-Clause */
/* kernel.h: parts of the test program kernel. */
#ifndef FORK_KERNEL_H
#define FORK_KERNEL_H

#include <stddef.h>

#include "../support/cases.h"

/* The heap counts as returned when less than this is private. */
#define RETURNED_KB 4096UL

/* The file that is read with O_DIRECT: pieces of computed content. */
#define PIECE_BYTES ((size_t)1 << 20)
#define NPIECES 24

/* Opens the file with O_DIRECT, and makes it if needed. Returns -1 and sets errno if that
 * fails. */
int file_open(void);

/* Whether `data` is the content of the piece with this number. */
int file_is(const unsigned char *data, int number);

/* An interface of the kernel for asynchronous reads into the heap. */
struct engine {
	/* Returns 0 and sets errno if the kernel refuses. */
	int (*begin)(void);
	/* Starts to read all pieces from fd, each to PIECE_BYTES of the buffer. */
	void (*submit)(int fd, unsigned char *buffer);
	/*
	 * Returns how many reads have ended since the last call. With `waits` it waits for
	 * at least one. Returns -1 and sets errno if the call or a read has failed.
	 */
	int (*collect)(int waits);
	/* After this call the kernel does not write to the heap. */
	void (*end)(void);
};
extern const struct engine aio, uring;

/* kernel_reads.c: no process needs the file, but reads are under way: no return meanwhile. */
struct reads {
	const struct engine *engine;
	int has_thread; /* another thread allocates, and this thread waits for reads */
};
void run_reads(const struct test_case *self);

/* kernel_reads.c: fork(2) while reads are under way. */
struct reads_at_fork {
	const struct engine *engine;
	int is_closed; /* the pool's descriptor is closed: the library has to copy the heap */
};
void run_reads_at_fork(const struct test_case *self);
void run_device_at_fork(const struct test_case *self);

/* kernel_uring.c: registered buffers. *with is 1 if a child lives when they are registered,
 * and 0 if the child has ended before. */
void run_registered(const struct test_case *self);

/*
 * kernel_refused.c: the kernel may refuse memory or mappings that fork(2) needs. In
 * run_overcommit *with is 1 if the heap can leave and clone(2) fails, and 0 if the heap
 * cannot leave. In run_limit *with is the resource.
 */
void run_overcommit(const struct test_case *self);
void run_mappings(const struct test_case *self);
void run_limit(const struct test_case *self);

#endif
