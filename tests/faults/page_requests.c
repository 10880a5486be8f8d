/* SPDX-License-Identifier: BSD-3-Clause */
/* page_requests.c: a program that works on when allocations fail, and checks its blocks.
 * It runs with the library of tests/faults/page_requests_refused.c preloaded. */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NBLOCKS 48

static void
fail(const char *what)
{
	if (write(STDERR_FILENO, what, strlen(what)) < 0 ||
	    write(STDERR_FILENO, "\n", 1) < 0)
		_exit(2);
	_exit(1);
}

/* Checks that errno is ENOMEM if there is no block. Fills the block with `byte`. */
static void *
checked(void *block, size_t size, unsigned char byte)
{
	if (block == NULL && errno != ENOMEM)
		fail("NULL without ENOMEM");
	if (block != NULL)
		memset(block, byte, size);
	errno = 0;
	return block;
}

static void
verify(const unsigned char *block, size_t size, unsigned char byte)
{
	for (size_t i = 0; block != NULL && i < size; i++) {
		if (block[i] != byte)
			fail("a block lost its content");
	}
}

static void *
allocate(unsigned i, size_t size)
{
	void *block = NULL;
	int error;

	switch (i % 4) {
	case 0:
		return malloc(size);
	case 1:
		block = calloc(1, size);
		verify(block, size, 0);
		return block;
	case 2:
		return realloc(NULL, size);
	default:
		error = posix_memalign(&block, 4096, size);
		if (error != 0 && error != ENOMEM)
			fail("posix_memalign");
		errno = error;
		return block;
	}
}

/* Doubles the block if there is memory. Returns the size of the block afterwards. */
static size_t
grow(unsigned char **block, size_t size, unsigned char byte)
{
	unsigned char *moved = realloc(*block, 2 * size);

	if (moved == NULL && errno != ENOMEM)
		fail("realloc without ENOMEM");
	errno = 0;
	verify(moved, size, byte);
	if (moved == NULL)
		return size;
	*block = checked(moved, 2 * size, byte);
	return 2 * size;
}

static void *
work(void *argument)
{
	static const size_t sizes[] = { 24, 200, 3000, 20000, 90000, 700000 };
	unsigned char *blocks[NBLOCKS];
	size_t lengths[NBLOCKS];

	for (unsigned i = 0; i < NBLOCKS; i++) {
		lengths[i] = sizes[i % 6] + i * 16;
		blocks[i] = checked(allocate(i, lengths[i]), lengths[i],
		    (unsigned char)i);
	}
	for (unsigned i = 0; i < NBLOCKS; i++) {
		verify(blocks[i], lengths[i], (unsigned char)i);
		if (blocks[i] != NULL && i % 3 != 0)
			lengths[i] = grow(&blocks[i], lengths[i],
			    (unsigned char)i);
	}
	for (unsigned i = 0; i < NBLOCKS; i++) {
		verify(blocks[i], lengths[i], (unsigned char)i);
		free(blocks[i]);
	}
	return argument;
}

int
main(void)
{
	pthread_t threads[2];
	int started = 0;

	work(NULL);
	while (started < 2 &&
	    pthread_create(&threads[started], NULL, work, NULL) == 0)
		started++;
	while (started-- > 0)
		pthread_join(threads[started], NULL);
	work(NULL);
	return 0;
}
