/* SPDX-License-Identifier: BSD-3-Clause */
/* numa.c: NUMA memory policies: the syntax of VMMALLOC_NUMA. */
#include "config.h"

#include <string.h>

#include "base/numa.h"

static const struct {
	const char *name;
	enum vmm_numa_mode mode;
} modes[] = {
	{ "bind:", VMM_NUMA_BIND },
	{ "preferred:", VMM_NUMA_PREFERRED },
	{ "preferred-many:", VMM_NUMA_PREFERRED_MANY },
	{ "interleave:", VMM_NUMA_INTERLEAVE },
	{ "weighted:", VMM_NUMA_WEIGHTED },
};

bool
vmm_numa_has(const struct vmm_numa_nodes *nodes, unsigned node)
{
	return (nodes->bits[node / VMM_NUMA_BITS] >> node % VMM_NUMA_BITS & 1) != 0;
}

/* Reads a node's number. Returns the text behind it, or NULL if it is none. */
static const char *
read_node(const char *text, unsigned *node)
{
	const char *at = text;

	for (*node = 0; *at >= '0' && *at <= '9'; at++) {
		*node = *node * 10 + (unsigned)(*at - '0');
		if (*node >= VMM_NUMA_NODES_MAX)
			return NULL;
	}
	return at == text ? NULL : at;
}

/* Reads numbers and ranges with commas. Returns how many nodes they are, or 0. */
static unsigned
read_nodes(const char *text, struct vmm_numa_nodes *nodes)
{
	unsigned first, last, count = 0;

	for (;; text++) {
		text = read_node(text, &first);
		last = first;
		if (text != NULL && *text == '-')
			text = read_node(text + 1, &last);
		if (text == NULL || last < first)
			return 0;
		for (; first <= last; first++, count++)
			nodes->bits[first / VMM_NUMA_BITS] |= 1UL << first % VMM_NUMA_BITS;
		if (*text != ',')
			return *text == '\0' ? count : 0;
	}
}

const char *
vmm_numa_parse(const char *text, struct vmm_numa *numa)
{
	unsigned count;

	memset(numa, 0, sizeof(*numa));
	if (*text == '\0')
		return NULL;
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		size_t length = strlen(modes[i].name);

		if (strncmp(text, modes[i].name, length) != 0)
			continue;
		count = read_nodes(text + length, &numa->nodes);
		if (count == 0)
			return "not a list of nodes from 0 to 1023, such as 0,2-3";
		if (modes[i].mode == VMM_NUMA_PREFERRED && count > 1)
			return "more than one node; use preferred-many";
		numa->mode = modes[i].mode;
		return NULL;
	}
	return "not a known mode";
}

void
vmm_numa_append(struct vmm_text *text, const struct vmm_numa_nodes *nodes)
{
	const char *comma = "";

	for (unsigned first = 0, end; first < VMM_NUMA_NODES_MAX; first = end + 1) {
		for (end = first; end < VMM_NUMA_NODES_MAX && vmm_numa_has(nodes, end);)
			end++;
		if (end == first)
			continue;
		vmm_text_str(text, comma);
		vmm_text_uint(text, first);
		if (end - first > 1)
			vmm_text_str(text, "-");
		if (end - first > 1)
			vmm_text_uint(text, end - 1);
		comma = ",";
	}
}
