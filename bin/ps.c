/* SPDX-License-Identifier: BSD-3-Clause */
/* ps.c: vmmalloc ps: lists every process that has a pool. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <linux/capability.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <wchar.h>
#include <wctype.h>

#include "command.h"
#include "ps.h"

/* Returns a numeric field of /proc/PID/status; 0 if it has no such field. */
static unsigned long long
status_field(const char *pid, const char *name, int base)
{
	FILE *status = open_proc(pid, "status");
	unsigned long long value = 0;
	char line[256];

	while (status != NULL && fgets(line, sizeof(line), status) != NULL) {
		if (strncmp(line, name, strlen(name)) == 0)
			value = strtoull(line + strlen(name), NULL, base);
	}
	if (status != NULL)
		fclose(status);
	return value;
}

/* Whether a process was started with VMMALLOC_STOP_THREADS=never. */
static bool
never_stop_threads(const char *pid)
{
	FILE *variables = open_proc(pid, "environ");
	bool never = false;
	char *variable = NULL;
	size_t room = 0;

	while (variables != NULL && getdelim(&variable, &room, '\0', variables) > 0)
		never |= strcmp(variable, "VMMALLOC_STOP_THREADS=never") == 0;
	free(variable);
	if (variables != NULL)
		fclose(variables);
	return never;
}

/* Yama's ptrace_scope (ptrace(2)); 0, no restriction, if the kernel has no Yama. */
static int
yama_scope(void)
{
	FILE *file = fopen("/proc/sys/kernel/yama/ptrace_scope", "re");
	int scope = 0;

	if (file != NULL && fscanf(file, "%d", &scope) != 1)
		scope = 0;
	if (file != NULL)
		fclose(file);
	return scope;
}

/*
 * Returns "yes" if the process can stop its threads, which a return to the file
 * requires, else the reason. Only the process itself can find out whether its seccomp
 * filter allows ptrace(2).
 */
static const char *
can_stop(const char *pid)
{
	char path[64];
	struct stat owner;
	bool may_trace = (status_field(pid, "CapEff:", 16) &
	    1ULL << CAP_SYS_PTRACE) != 0;

	snprintf(path, sizeof(path), "/proc/%s", pid);
	if (never_stop_threads(pid))
		return "never";
	if (status_field(pid, "TracerPid:", 10) != 0)
		return "traced";
	if (yama_scope() >= (may_trace ? 3 : 2))
		return "yama";
	/* /proc/PID of a process that is not dumpable belongs to root (proc(5)). */
	if (!may_trace && status_field(pid, "Uid:", 10) != 0 &&
	    stat(path, &owner) == 0 && owner.st_uid == 0)
		return "undumpable";
	return status_field(pid, "Seccomp:", 10) != 0 ? "seccomp?" : "yes";
}

/* Replaces what is not printable with ?: a terminal would obey control characters. */
static void
make_printable(char *text)
{
	mbstate_t state = { 0 };

	while (*text != '\0') {
		wchar_t wide;
		size_t length = mbrtowc(&wide, text, strlen(text), &state);
		bool is_good = length != (size_t)-1 && length != (size_t)-2 &&
		    iswprint((wint_t)wide);

		if (length == (size_t)-1 || length == (size_t)-2) {
			memset(&state, 0, sizeof(state));
			length = 1;
		}
		if (!is_good)
			memset(text, '?', length);
		text += length;
	}
}

/* Prints a line for a process with a pool. Adds 1 to *hidden if it may not be examined. */
static void
print_process(const char *pid, unsigned *hidden)
{
	struct pool pool = { 0 };
	char command[64] = "?";
	char texts[5][16];
	char nodes[256];
	bool has_pool, is_hidden;
	FILE *comm;

	has_pool = find_pool(pid, &pool, &is_hidden);
	*hidden += is_hidden;
	if (!has_pool)
		return;
	comm = open_proc(pid, "comm");
	if (comm != NULL && fgets(command, sizeof(command), comm) != NULL)
		command[strcspn(command, "\n")] = '\0';
	if (comm != NULL)
		fclose(comm);
	make_printable(command);
	make_printable(pool.dir);
	format_nodes(pid, &pool, nodes, sizeof(nodes));
	printf("%7s %-15s %7s %7s %7s %7s %7s %-10s %-7s %s\n", pid, command,
	    human(pool.size, texts[0]),
	    pool.has_blocks ? human(pool.blocks, texts[1]) : "-",
	    human(pool.ram_bytes, texts[2]), human(pool.private_bytes, texts[3]),
	    human(pool.large_bytes, texts[4]), pool.has_file ? can_stop(pid) : "unneeded",
	    nodes, pool.dir);
}

static int
by_number(const struct dirent **a, const struct dirent **b)
{
	long x = strtol((*a)->d_name, NULL, 10);
	long y = strtol((*b)->d_name, NULL, 10);

	return (x > y) - (x < y);
}

static int
is_process(const struct dirent *entry)
{
	return is_number(entry->d_name);
}

/* Whether /proc hides processes of other users: mount option hidepid, proc(5). */
static bool
proc_hides(void)
{
	FILE *mounts = geteuid() != 0 ? fopen("/proc/self/mounts", "re") : NULL;
	bool hides = false;
	char *line = NULL;
	size_t room = 0;

	while (mounts != NULL && getline(&line, &room, mounts) > 0) {
		const char *option = strstr(line, "hidepid=");

		/* Of several mounts on /proc, the last one is visible. */
		if (strstr(line, " /proc proc ") != NULL)
			hides = option != NULL && strchr("12ip4", option[8]) != NULL;
	}
	free(line);
	if (mounts != NULL)
		fclose(mounts);
	return hides;
}

void
show_processes(void)
{
	struct dirent **entries;
	unsigned hidden = 0;
	int count;

	setlocale(LC_CTYPE, "");
	count = scandir("/proc", &entries, is_process, by_number);
	if (count < 0)
		fail(STATUS_OURS, "/proc: %s", strerror(errno));
	if (count == 0)
		fail(STATUS_OURS, "/proc has no processes; mount it first");
	printf("%7s %-15s %7s %7s %7s %7s %7s %-10s %-7s %s\n", "PID", "COMMAND", "SIZE",
	    "IN-USE", "RAM", "PRIVATE", "LARGE", "STOPS", "NODES", "DIRECTORY");
	for (int i = 0; i < count; i++) {
		print_process(entries[i]->d_name, &hidden);
		free(entries[i]);
	}
	free(entries);
	if (hidden > 0)
		fprintf(stderr, "vmmalloc: %u processes of other users are not shown;"
		    " run vmmalloc ps as root to see them\n", hidden);
	if (proc_hides())
		fputs("vmmalloc: /proc hides processes of other users (mount option"
		      " hidepid); run vmmalloc ps as root to see them\n", stderr);
}
