/* SPDX-License-Identifier: BSD-3-Clause */
/* shadow_chain.c: for tests, chains of known blocks. */
#include "config.h"

#include <errno.h>

#include "shadow_inside.h"

/* A link lies at the start of its block. The rest of the block has known content. */
struct link {
	void *before;
	uint64_t key; /* follows from the link's address, `before` and the size */
};

/* Returns the part of the block that lies behind the link. */
static struct shadow_block
behind_link(void *link, size_t size)
{
	return (struct shadow_block){
		.data = (unsigned char *)link + sizeof(struct link),
		.size = size - sizeof(struct link),
		.mark = (uint64_t)(uintptr_t)link * STEP + size
	};
}

static uint64_t
key_of(const struct link *link, size_t size)
{
	return ((uint64_t)(uintptr_t)link ^ size) * STEP +
	    (uintptr_t)link->before;
}

bool
shadow_fill(struct shadow_chain *chain, size_t most)
{
	size_t added = 0;

	for (; added < most; added++) {
		struct shadow_block block;
		struct link *link;

		errno = 0;
		link = malloc(chain->size);
		if (link == NULL)
			break;
		link->before = chain->last;
		link->key = key_of(link, chain->size);
		block = behind_link(link, chain->size);
		shadow_write(&block);
		chain->last = link;
		chain->count++;
	}
	shadow_add(&shadow_counts->calls[MALLOC], added);
	if (added == most)
		return false;
	shadow_add(&shadow_counts->refused, 1);
	if (errno != ENOMEM)
		shadow_fault("malloc: NULL, errno %d", errno);
	return errno == ENOMEM;
}

static bool
is_link_whole(const struct link *link, size_t size, const char *when)
{
	struct shadow_block block = behind_link((void *)(uintptr_t)link, size);

	if (link->key != key_of(link, size)) {
		shadow_fault("%s: block %p of %zu bytes is wrong", when,
		    (const void *)link, size);
		return false;
	}
	return shadow_is_whole(&block, when);
}

bool
shadow_chain_is_whole(const struct shadow_chain *chain, const char *when)
{
	const struct link *link = chain->last;
	bool is_whole = true;

	/* The pointer of a broken link cannot be followed. */
	for (; link != NULL && is_whole; link = link->before)
		is_whole = is_link_whole(link, chain->size, when);
	return is_whole;
}

void
shadow_drain(struct shadow_chain *chain, size_t most)
{
	size_t freed = 0;

	while (chain->last != NULL && freed < most) {
		struct link *link = chain->last;

		if (!is_link_whole(link, chain->size, "in a full pool")) {
			chain->last = NULL;
			break;
		}
		chain->last = link->before;
		chain->count--;
		link->key = 0;
		free(link);
		freed++;
	}
	shadow_add(&shadow_counts->calls[FREE], freed);
}
