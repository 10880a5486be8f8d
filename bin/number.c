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
meminfo(const char *name)
{
	FILE *stream = fopen("/proc/meminfo", "r");
	char line[256];
	unsigned long long number = 0;

	while (stream != NULL && fgets(line, sizeof(line), stream) != NULL) {
		if (strncmp(line, name, strlen(name)) == 0)
			sscanf(line + strlen(name), "%llu", &number);
	}
	if (stream != NULL)
		fclose(stream);
	/* All fields but HugePages_... are in KiB. */
	return strncmp(name, "HugePages", 9) == 0 ? number : number * 1024;
}

bool
is_number(const char *text)
{
	return text != NULL && text[0] != '\0' &&
	    text[strspn(text, "0123456789")] == '\0';
}
