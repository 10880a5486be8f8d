/* SPDX-License-Identifier: BSD-3-Clause */
/* vmmalloc_ps.c: vmmalloc ps: every process on a pool. */
#include "config.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "vmmalloc.h"

/* A pool, as /proc shows it to others. */
struct pool {
	unsigned long long device, inode;
	uint64_t base, size;
	uint64_t blocks;    /* of the file, in bytes */
	bool has_blocks;
	uint64_t in_ram;
	uint64_t is_private; /* of that, this process's own, since a fork(2) */
	char dir[PATH_MAX];
};

/* A line of /proc/PID/maps, or the first of each mapping in smaps. */
struct mapping {
	uint64_t begin, end, offset;
	char permissions[8];
	unsigned long long device, inode;
	const char *path;
};

static bool
read_mapping(char *line, struct mapping *mapping)
{
	unsigned long long begin, end, offset;
	unsigned major_number, minor_number;
	int length = 0;

	if (sscanf(line, "%llx-%llx %7s %llx %x:%x %llu %n", &begin, &end,
		mapping->permissions, &offset, &major_number, &minor_number,
		&mapping->inode, &length) != 7)
		return false;
	mapping->begin = begin;
	mapping->end = end;
	mapping->offset = offset;
	mapping->device = makedev(major_number, minor_number);
	mapping->path = line + length;
	line[strcspn(line, "\n")] = '\0';
	return true;
}

static FILE *
open_proc(const char *pid, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%s/%s", pid, name);
	return fopen(path, "re");
}

/* The part of `path` that is before its last slash, without the kernel's remark. */
static void
directory_of(const char *path, char dir[static PATH_MAX])
{
	const char *slash = strrchr(path, '/');

	if (slash == path)
		slash++;
	snprintf(dir, PATH_MAX, "%.*s",
	    slash == NULL ? 0 : (int)(slash - path), path);
}

/* Whether it is of a device, whose name is the place of the pool. */
static bool
is_device(const struct mapping *mapping)
{
	return strncmp(mapping->path, "/dev/dax", 8) == 0;
}

/* Whether the mapping is of a file that has no name, by those that a pool's had. */
static bool
may_be_pool(const struct mapping *mapping)
{
	const char *slash = strrchr(mapping->path, '/');

	return slash != NULL && strstr(slash, " (deleted)") != NULL &&
	    (slash[1] == '#' || strncmp(slash, "/.vmmalloc.", 11) == 0);
}

/* Processes at which this user may not look. */
static unsigned hidden;

/*
 * The pool that the process has mapped: of the files without a name the largest. Where
 * a fork has left holes in it, an offset still says where it begins.
 */
static bool
find_pool(const char *pid, struct pool *pool)
{
	FILE *maps = open_proc(pid, "maps");
	bool is_hidden = maps == NULL && (errno == EACCES || errno == EPERM);
	struct mapping mapping;
	bool has_library = false;
	uint64_t largest = 0, covered = 0;
	char *line = NULL;
	size_t room = 0;

	while (maps != NULL && getline(&line, &room, maps) > 0) {
		if (!read_mapping(line, &mapping))
			continue;
		if (strstr(mapping.path, "/libvmmalloc.so") != NULL)
			has_library = true;
		/* Private memory, and the place for more, follow without a gap. */
		if (largest > 0 && mapping.inode == 0 &&
		    mapping.begin == pool->base + largest)
			largest += mapping.end - mapping.begin;
		if (!may_be_pool(&mapping) && !is_device(&mapping))
			continue;
		covered = mapping.offset + (mapping.end - mapping.begin);
		if (covered <= largest)
			continue;
		largest = covered;
		pool->device = mapping.device;
		pool->inode = mapping.inode;
		pool->base = mapping.begin - mapping.offset;
		if (is_device(&mapping))
			snprintf(pool->dir, PATH_MAX, "%s", mapping.path);
		else
			directory_of(mapping.path, pool->dir);
	}
	free(line);
	if (maps != NULL)
		fclose(maps);
	pool->size = largest;
	hidden += is_hidden;
	return has_library && largest > 0;
}

/* Its real size and blocks, if the process still has the file open. */
static void
look_at_file(const char *pid, struct pool *pool)
{
	char path[64];
	struct dirent *entry;
	struct stat file;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	dir = opendir(path);
	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		if (fstatat(dirfd(dir), entry->d_name, &file, 0) != 0 ||
		    file.st_ino != pool->inode || file.st_nlink != 0)
			continue;
		pool->size = (uint64_t)file.st_size;
		pool->blocks = (uint64_t)file.st_blocks * 512;
		pool->has_blocks = true;
		break;
	}
	if (dir != NULL)
		closedir(dir);
}

/* Adds up what the process has in RAM of the pool's addresses. */
static void
look_at_memory(const char *pid, struct pool *pool)
{
	static const char *const in_ram[] = { "Rss:", "Shared_Hugetlb:",
		"Private_Hugetlb:" };
	FILE *smaps = open_proc(pid, "smaps");
	struct mapping mapping;
	bool is_inside = false;
	char *line = NULL;
	size_t room = 0;

	while (smaps != NULL && getline(&line, &room, smaps) > 0) {
		char name[32];
		unsigned long long kib;

		if (read_mapping(line, &mapping)) {
			is_inside = mapping.begin >= pool->base &&
			    mapping.begin < pool->base + pool->size;
			continue;
		}
		if (!is_inside || sscanf(line, "%31s %llu kB", name, &kib) != 2)
			continue;
		for (size_t i = 0; i < sizeof(in_ram) / sizeof(in_ram[0]); i++) {
			if (strcmp(name, in_ram[i]) == 0)
				pool->in_ram += kib * 1024;
		}
		if (strcmp(name, "Anonymous:") == 0)
			pool->is_private += kib * 1024;
	}
	free(line);
	if (smaps != NULL)
		fclose(smaps);
}

/* The number behind a name in /proc/PID/status; 0 if there is none. */
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
never_stops(const char *pid)
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

/* Yama's restriction of ptrace(2), 0 where there is none. */
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
 * Whether a process can stop its threads, as its return to the file needs: "yes", or
 * what speaks against it. Whether a filter allows it, only the process can find out.
 */
static const char *
why_no_stop(const char *pid)
{
	char path[64];
	struct stat stat_of_it;
	bool may_trace = (status_field(pid, "CapEff:", 16) &
	    1ULL << CAP_SYS_PTRACE) != 0;

	snprintf(path, sizeof(path), "/proc/%s", pid);
	if (never_stops(pid))
		return "never";
	if (status_field(pid, "TracerPid:", 10) != 0)
		return "traced";
	if (yama_scope() >= (may_trace ? 3 : 2))
		return "yama";
	/* The superuser's, of another's process: PR_SET_DUMPABLE is 0. */
	if (!may_trace && status_field(pid, "Uid:", 10) != 0 &&
	    stat(path, &stat_of_it) == 0 && stat_of_it.st_uid == 0)
		return "undumpable";
	return status_field(pid, "Seccomp:", 10) != 0 ? "seccomp?" : "yes";
}

/* A name may have any characters in it, which a terminal would obey. */
static void
make_printable(char *text)
{
	for (; *text != '\0'; text++) {
		if (iscntrl((unsigned char)*text))
			*text = '?';
	}
}

static void
print_process(const char *pid)
{
	struct pool pool = { 0 };
	char command[64] = "?";
	char texts[4][16];
	FILE *comm;

	if (!find_pool(pid, &pool))
		return;
	look_at_file(pid, &pool);
	look_at_memory(pid, &pool);
	comm = open_proc(pid, "comm");
	if (comm != NULL && fgets(command, sizeof(command), comm) != NULL)
		command[strcspn(command, "\n")] = '\0';
	if (comm != NULL)
		fclose(comm);
	make_printable(command);
	make_printable(pool.dir);
	printf("%7s %-15s %7s %7s %7s %7s %-10s  %s\n", pid, command,
	    human(pool.size, texts[0]),
	    pool.has_blocks ? human(pool.blocks, texts[1]) : "-",
	    human(pool.in_ram, texts[2]), human(pool.is_private, texts[3]),
	    why_no_stop(pid), pool.dir);
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

int
show_processes(void)
{
	struct dirent **entries;
	int count = scandir("/proc", &entries, is_process, by_number);

	if (count < 0)
		fail(STATUS_OURS, "/proc: %s", strerror(errno));
	printf("%7s %-15s %7s %7s %7s %7s %-10s  %s\n", "PID", "COMMAND", "SIZE",
	    "IN-USE", "RAM", "PRIVATE", "STOPS", "DIRECTORY");
	for (int i = 0; i < count; i++) {
		print_process(entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
	if (hidden > 0)
		fprintf(stderr, "vmmalloc: %u processes of others could not be looked"
		    " at\n", hidden);
	return 0;
}
