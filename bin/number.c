/* SPDX-License-Identifier: BSD-3-Clause */
/* number.c: sizes with a unit, digits in text, fields of /proc/meminfo. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "command.h"

const char *
human(uint64_t bytes, char text[static 16])
{
	static const char units[] = "BKMGTPE";
	size_t unit = 0;
	uint64_t rest = 0;

	/* 64 bits do not reach the unit behind E. */
	for (; bytes >= 1024; unit++) {
		rest = bytes % 1024;
		bytes /= 1024;
	}
	if (rest * 10 / 1024 == 0 || bytes >= 100)
		snprintf(text, 16, "%u%c", (unsigned)bytes, units[unit]);
	else
		snprintf(text, 16, "%u.%u%c", (unsigned)bytes,
		    (unsigned)(rest * 10 / 1024), units[unit]);
	return text;
}

uint64_t
meminfo(const char *path, const char *name)
{
	FILE *stream = fopen(path, "re");
	char line[256];
	unsigned long long kib = 0;

	while (stream != NULL && fgets(line, sizeof(line), stream) != NULL) {
		/* The lines of a memory node begin with its number: "Node 1 MemFree: ...". */
		const char *field = strstr(line, name);

		if (field != NULL && (field == line || field[-1] == ' '))
			sscanf(field + strlen(name), "%llu", &kib);
	}
	if (stream != NULL)
		fclose(stream);
	return kib * 1024;
}

uint64_t
free_huge_pages(uint64_t page_size)
{
	char path[128];
	FILE *stream;
	unsigned long long count = 0;

	snprintf(path, sizeof(path), "/sys/kernel/mm/hugepages/hugepages-%llukB/free_hugepages",
	    (unsigned long long)page_size / 1024);
	stream = fopen(path, "re");
	if (stream != NULL && fscanf(stream, "%llu", &count) != 1)
		count = 0;
	if (stream != NULL)
		fclose(stream);
	return count * page_size;
}

bool
is_number(const char *text)
{
	return text != NULL && text[0] != '\0' &&
	    text[strspn(text, "0123456789")] == '\0';
}
