/* SPDX-License-Identifier: BSD-3-Clause */
/* numa.h: NUMA memory policies: the syntax of VMMALLOC_NUMA. */
#ifndef VMM_NUMA_H
#define VMM_NUMA_H

#include <stdbool.h>

#include "base/text.h"

/* How pages are placed on nodes (mbind(2)). */
enum vmm_numa_mode {
	VMM_NUMA_NONE,           /* as the kernel does without the library */
	VMM_NUMA_BIND,           /* only on these nodes */
	VMM_NUMA_PREFERRED,      /* on one node; when it is full, on others */
	VMM_NUMA_PREFERRED_MANY, /* on these nodes; when they are full, on others */
	VMM_NUMA_INTERLEAVE,     /* on these nodes in turn */
	VMM_NUMA_WEIGHTED,       /* in turn, by the weights of the nodes */
};

/* Linux has at most 2^10 nodes (CONFIG_NODES_SHIFT). */
#define VMM_NUMA_NODES_MAX 1024
#define VMM_NUMA_BITS (8 * sizeof(unsigned long))

/* A set of nodes, as the kernel's system calls have it: bit N is node N. */
struct vmm_numa_nodes {
	unsigned long bits[VMM_NUMA_NODES_MAX / VMM_NUMA_BITS];
};

struct vmm_numa {
	enum vmm_numa_mode mode;
	struct vmm_numa_nodes nodes;
};

/* All functions are thread-safe, allocate nothing and do not change errno. */

/*
 * Reads a policy: MODE:NODES, or an empty text for VMM_NUMA_NONE. NODES are numbers and
 * ranges with commas: 0,2-3. Returns NULL, or what is wrong with the text.
 */
const char *vmm_numa_parse(const char *text, struct vmm_numa *numa);

/* Whether `node`, less than VMM_NUMA_NODES_MAX, is in the set. */
bool vmm_numa_has(const struct vmm_numa_nodes *nodes, unsigned node);

/* Appends the set as a list such as 0,2-3. */
void vmm_numa_append(struct vmm_text *text, const struct vmm_numa_nodes *nodes);

#endif
