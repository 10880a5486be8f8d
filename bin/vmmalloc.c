/* SPDX-License-Identifier: BSD-3-Clause */
/* vmmalloc.c: the command: its help, and what its parts have in common. vmmalloc(1). */
#include "config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmmalloc.h"

const char usage[] =
    "vmmalloc [OPTION...] [--] COMMAND [ARG...]   run COMMAND on a pool\n"
    "vmmalloc ps                                  every process on a pool\n"
    "vmmalloc check DIR                           what a pool there would be like\n"
    "\n"
    "  -d DIR      where the pool's file is made (VMMALLOC_POOL_DIR, or /dev/shm)\n"
    "  -s SIZE     how large it is: bytes, or a number and one of K, M, G, T\n"
    "              (VMMALLOC_POOL_SIZE, or a quarter of what is free there)\n"
    "  -f 0|1|2|3  what becomes of it at fork(2) (VMMALLOC_FORK, or 1)\n"
    "  -g [LEVEL]  the debug variant; LEVEL 0 to 4: a trace on stderr, 0 for none\n"
    "  -l FILE     the trace goes there; implies -g, and level 2 without -S\n"
    "  -S          statistics at exit; implies -g\n"
    "  -h, --help  this\n"
    "  --version   the version\n"
    "\n"
    "To run a command that is called ps or check: vmmalloc -- ps\n";

_Noreturn void
fail(int status, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fputs("vmmalloc: ", stderr);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	va_end(arguments);
	exit(status);
}

const char *
human(uint64_t bytes, char text[static 16])
{
	static const char units[] = "BKMGTPE";
	size_t unit = 0;
	uint64_t rest = 0;

	/* 64 bits have no larger unit. */
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
	/* All but the counts of huge pages are in kB. */
	return strncmp(name, "HugePages", 9) == 0 ? number : number * 1024;
}

bool
is_number(const char *text)
{
	return text != NULL && text[0] != '\0' &&
	    text[strspn(text, "0123456789")] == '\0';
}

void
flush_output(void)
{
	if (fflush(stdout) != 0 || ferror(stdout))
		fail(STATUS_OURS, "what was to be printed could not be written");
}

int
main(int argc, char **argv)
{
	const char *first = argc > 1 ? argv[1] : "";
	int status = 0;

	if (strcmp(first, "ps") == 0 && argc == 2) {
		show_processes();
	} else if (strcmp(first, "check") == 0 && argc == 3) {
		status = show_place(argv[2]);
	} else if (strcmp(first, "ps") == 0 || strcmp(first, "check") == 0) {
		fputs(usage, stderr);
		status = STATUS_OURS;
	} else {
		run_command(argc, argv);
	}
	flush_output();
	return status;
}
