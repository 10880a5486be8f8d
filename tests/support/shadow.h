/* SPDX-License-Identifier: BSD-3-Clause */
/* shadow.h: for tests, blocks of known content, allocated by every entry point. */
#ifndef SHADOW_H
#define SHADOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The record of a block. The thread that has the record owns the block. */
struct shadow_block {
	unsigned char *data; /* NULL: there is no block */
	size_t size;         /* the bytes that have content: at least what was asked for */
	size_t alignment;    /* what was asked for; 0: none */
	uint64_t mark;       /* the content follows from it */
};

enum { SHADOW_FUNCTIONS = 32 };

/* Counts of all threads. Tests put them into shared memory to count in all processes. */
struct shadow_counts {
	unsigned long calls[SHADOW_FUNCTIONS]; /* of each entry point */
	unsigned long refused; /* calls that returned NULL with ENOMEM */
	unsigned long bytes_checked;
	unsigned long faults;
};

extern struct shadow_counts *shadow_counts;

/* If true, the first fault ends the process by abort(3). */
extern bool shadow_aborts;

/*
 * Call this first, once. It looks for the functions that libc does not have. With
 * `has_pool` it also looks for the pool, and each block is then checked to lie in it.
 */
void shadow_start(bool has_pool);

/* The names of the entry points in `calls`. NULL follows the last. */
extern const char *const shadow_names[];

/*
 * The next three functions derive entry point, alignment and content from `random`. They
 * check content, alignment, errno, zeroed bytes and usable size. They print and count
 * each fault. They are thread-safe for different records. While none of them works on a
 * record, shadow_is_whole is true for it.
 */

/* Allocates a block. Returns false without memory; the record then has no block. */
bool shadow_allocate(struct shadow_block *block, size_t size, uint64_t random);

/* Changes the size. Returns false if the block has kept its size. */
bool shadow_resize(struct shadow_block *block, size_t size, uint64_t random);

/* Frees the block, if there is one. */
void shadow_free(struct shadow_block *block, uint64_t random);

/* Checks each byte. `when` is for the message. */
bool shadow_is_whole(const struct shadow_block *block, const char *when);

/* A chain of blocks of `size` bytes, at least 32. The links are checked, too. */
struct shadow_chain {
	void *last;
	size_t size;
	size_t count;
};

/*
 * Allocates blocks until malloc returns NULL. Returns false if errno is then not ENOMEM,
 * or if malloc has not returned NULL after `most` blocks.
 */
bool shadow_fill(struct shadow_chain *chain, size_t most);

/* Checks each block. */
bool shadow_chain_is_whole(const struct shadow_chain *chain, const char *when);

/* Checks and frees up to `most` blocks. */
void shadow_drain(struct shadow_chain *chain, size_t most);

/* Counts a fault. Prints the first 50 on stderr. */
void shadow_fault(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

/* Marsaglia's xorshift. *state must not be 0. */
static inline uint64_t
shadow_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/*
 * Call operator new, in its throwing or nothrow form, and operator delete. `alignment` 0
 * calls a form without alignment. `form` chooses the form of delete. shadow_new returns
 * NULL without memory.
 */
void *shadow_new(size_t size, size_t alignment, bool throws);
void shadow_delete(void *block, size_t size, size_t alignment, unsigned form);

#endif
