/* SPDX-License-Identifier: BSD-3-Clause */
/* shadow.h: for tests, blocks of which each byte is known, by every entry point. */
#ifndef SHADOW_H
#define SHADOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A block, and what it has to be like. Whoever has the record owns the block. */
struct shadow_block {
	unsigned char *data; /* NULL: there is none */
	size_t size;         /* as it was asked for */
	size_t alignment;    /* as it was asked for, 0 for none */
	uint64_t mark;       /* what its content follows from */
};

enum { SHADOW_WAYS = 32 };

/* What was done, by all threads; in memory that processes share, if they are to. */
struct shadow_counts {
	unsigned long calls[SHADOW_WAYS]; /* of each entry point */
	unsigned long refused;            /* of them, NULL with ENOMEM */
	unsigned long bytes_checked;
	unsigned long faults;
};

extern struct shadow_counts *shadow_counts;

/* Whether a fault ends the process at once, with abort(3). */
extern bool shadow_aborts;

/*
 * Once, before the others: looks for what libc does not have, and, with `has_pool`,
 * for where the pool lies, so that every block is looked at whether it lies there.
 */
void shadow_start(bool has_pool);

/* The names of entry points, NULL behind the last: what `calls` counts. */
extern const char *const shadow_names[];

/*
 * Each takes which entry point, alignment and content it is to be from `random`, and
 * checks what can be checked: content, alignment, errno, zeroes, usable size. What is
 * not as it should be is said on stderr, and counted. A block is always whole for who
 * looks at it by shadow_is_whole, but while one of these has it.
 */

/* A new block; none, and false, where there is no memory. */
bool shadow_get(struct shadow_block *block, size_t size, uint64_t random);

/* Changes the size, or leaves all as it was: false then. */
bool shadow_resize(struct shadow_block *block, size_t size, uint64_t random);

/* Gives the block back; nothing where there is none. */
void shadow_give(struct shadow_block *block, uint64_t random);

/* Looks at each byte. `when` is for the message. */
bool shadow_is_whole(const struct shadow_block *block, const char *when);

/*
 * All that there is: blocks of `size`, at least 32, up to the limit or `most` of
 * them, in a chain of which each link is known as well.
 */
struct shadow_chain {
	void *last;
	size_t size;
	size_t count;
};

/* Adds blocks until NULL; false if that is not for want of memory, or at `most`. */
bool shadow_fill(struct shadow_chain *chain, size_t most);

/* Looks at each; and frees up to `most` of them. */
bool shadow_chain_is_whole(const struct shadow_chain *chain, const char *when);
void shadow_drain(struct shadow_chain *chain, size_t most);

void shadow_fault(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

/* Marsaglia's xorshift; *state is not 0. */
static inline uint64_t
shadow_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* operator new, the nothrow or the throwing form, and delete; 0: not aligned. */
void *shadow_new(size_t size, size_t alignment, bool throws);
void shadow_delete(void *block, size_t size, size_t alignment, unsigned form);

#endif
