/* SPDX-License-Identifier: BSD-3-Clause */
/* numa.c: on which memory nodes the pages of a heap are, as move_pages(2) reports it: before a
 * fork(2), in the child, in the parent while the child lives, and when the heap has returned
 * to its file. Run with the library preloaded. Prints four lines: a word, and for each node
 * its number and the number of pages (0:5120 1:0). numa MIB [locked]: the size of the heap;
 * whether mlockall(2) is called first, so that each new mapping gets all its pages at once. */
#include "config.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../support/blocks.h"
#include "../support/heap_return.h"

#define BLOCK_BYTES ((size_t)256 << 10)
#define NODES 1024
#define BATCH 512
#define RETURN_LIMIT_MS 20000
#define RETURNED_KB 64

static char **blocks;
static size_t count;

static int
write_all(char value)
{
	for (size_t i = 0; i < count; i++) {
		if (blocks[i] == NULL)
			blocks[i] = malloc(BLOCK_BYTES);
		if (blocks[i] == NULL)
			return 0;
		memset(blocks[i], value, BLOCK_BYTES);
	}
	return 1;
}

/* Counts the pages of a block by node. Pages with an error count as none. */
static void
count_pages(char *block, unsigned long *pages)
{
	size_t page_size = (size_t)sysconf(_SC_PAGESIZE);
	size_t npages = BLOCK_BYTES / page_size;
	void *addresses[BATCH];
	int nodes[BATCH];

	block += -(size_t)(uintptr_t)block % page_size;
	/* Only pages that this process has mapped are counted: reads map those of the file. */
	for (size_t i = 0; i + 1 < npages; i++) {
		addresses[i] = block + i * page_size;
		(void)*(volatile char *)addresses[i];
	}
	if (syscall(SYS_move_pages, 0, npages - 1, addresses, NULL, nodes, 0) != 0)
		exit(77);
	for (size_t i = 0; i + 1 < npages; i++) {
		if (nodes[i] >= 0 && nodes[i] < NODES)
			pages[nodes[i]]++;
	}
}

static void
report(const char *when)
{
	unsigned long pages[NODES] = { 0 };

	for (size_t i = 0; i < count; i++)
		count_pages(blocks[i], pages);
	printf("%s", when);
	for (int node = 0; node < NODES; node++) {
		if (pages[node] > 0)
			printf(" %d:%lu", node, pages[node]);
	}
	printf("\n");
	fflush(stdout);
}

static int
in_child(void *argument)
{
	static int calls;

	(void)argument;
	/* The first call is right after the fork, the second at the end of the child. */
	if (calls++ == 0)
		return write_all('c');
	report("child");
	return 1;
}

int
main(int argc, char **argv)
{
	struct heap_child child;

	count = argc >= 2 ? strtoul(argv[1], NULL, 10) * 4 : 0;
	blocks = calloc(count + 1, sizeof(*blocks));
	if (argc == 3 && mlockall(MCL_FUTURE) != 0)
		return 77;
	if (count == 0 || blocks == NULL || !write_all('p'))
		return 2;
	report("before");
	if (!heap_child_start(&child, in_child, NULL) || !write_all('q'))
		return 3;
	report("beside");
	if (!heap_child_end(&child) || !heap_returns(RETURNED_KB, RETURN_LIMIT_MS))
		return 4;
	report("returned");
	return 0;
}
