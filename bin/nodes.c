/* SPDX-License-Identifier: BSD-3-Clause */
/* nodes.c: the memory nodes of the machine, and of a pool's pages. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "os/os.h"
#include "ps.h"

/* Adds the pages of one line of /proc/PID/numa_maps (numa(7)): N0=5 N1=7 ... */
static void
add_pages(char *line, uint64_t *bytes)
{
	unsigned long long page_kib = 4;
	char *word = strstr(line, "kernelpagesize_kB=");

	if (word != NULL)
		sscanf(word, "kernelpagesize_kB=%llu", &page_kib);
	for (word = strtok(line, " \n"); word != NULL; word = strtok(NULL, " \n")) {
		unsigned node;
		unsigned long long pages;

		if (sscanf(word, "N%u=%llu", &node, &pages) == 2 &&
		    node < VMM_NUMA_NODES_MAX)
			bytes[node] += pages * page_kib * 1024;
	}
}

/* Whether the machine has several nodes with memory, also if this process may use only one. */
static bool
has_nodes(void)
{
	FILE *stream = fopen("/sys/devices/system/node/has_memory", "re");
	char list[64] = "";

	if (stream != NULL && fgets(list, sizeof(list), stream) == NULL)
		list[0] = '\0';
	if (stream != NULL)
		fclose(stream);
	return strpbrk(list, ",-") != NULL;
}

void
format_nodes(const char *pid, const struct pool *pool, char *text, size_t size)
{
	static uint64_t bytes[VMM_NUMA_NODES_MAX];
	FILE *maps = has_nodes() ? open_proc(pid, "numa_maps") : NULL;
	char *line = NULL;
	size_t room = 0, length = 0;

	memset(bytes, 0, sizeof(bytes));
	while (maps != NULL && getline(&line, &room, maps) > 0) {
		uint64_t begin = strtoull(line, NULL, 16);

		if (begin >= pool->base && begin < pool->base + pool->size)
			add_pages(line, bytes);
	}
	free(line);
	if (maps != NULL)
		fclose(maps);
	snprintf(text, size, "-");
	for (unsigned node = 0; node < VMM_NUMA_NODES_MAX && length < size; node++) {
		char number[16];

		if (bytes[node] != 0)
			length += (size_t)snprintf(text + length, size - length, "%s%u=%s",
			    length > 0 ? "," : "", node, human(bytes[node], number));
	}
}

static bool
has_processors(unsigned node)
{
	char path[64], list[64] = "";
	FILE *stream;

	snprintf(path, sizeof(path), "/sys/devices/system/node/node%u/cpulist", node);
	stream = fopen(path, "re");
	if (stream == NULL)
		return true;
	if (fgets(list, sizeof(list), stream) == NULL)
		list[0] = '\0';
	fclose(stream);
	return list[0] >= '0' && list[0] <= '9';
}

void
print_nodes(void)
{
	struct vmm_numa_nodes nodes;
	const char *title = "memory nodes:   ";
	int error = vmm_os_numa_nodes(&nodes);

	if (error != 0)
		printf("%snot known: %s\n", title, strerror(error));
	for (unsigned node = 0; error == 0 && node < VMM_NUMA_NODES_MAX; node++) {
		char path[64], size[16], free_size[16];

		if (!vmm_numa_has(&nodes, node))
			continue;
		snprintf(path, sizeof(path), "/sys/devices/system/node/node%u/meminfo", node);
		printf("%s%u: %s, %s free%s\n", title, node,
		    human(meminfo(path, "MemTotal:"), size),
		    human(meminfo(path, "MemFree:"), free_size),
		    has_processors(node) ? "" : ", no processors");
		title = "                ";
	}
}
