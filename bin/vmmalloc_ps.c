/* SPDX-License-Identifier: BSD-3-Clause */
/* vmmalloc_ps.c: vmmalloc ps: every process on a pool. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <linux/capability.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <wchar.h>
#include <wctype.h>

#include "os/os.h"
#include "vmmalloc.h"

/* A pool, as /proc shows it to others. */
struct pool {
	unsigned long long inode;
	uint64_t base, size;
	uint64_t file_size; /* of the file, if it is open */
	uint64_t blocks;    /* and those, in bytes */
	bool has_blocks;
	uint64_t in_ram;
	uint64_t is_private; /* of that, this process's own, since a fork(2) */
	char dir[PATH_MAX];
};

/* A line of /proc/PID/maps, or the first of each mapping in smaps. */
struct mapping {
	uint64_t begin, end, offset;
	unsigned long long inode;
	const char *path;
};

static bool
read_mapping(char *line, struct mapping *mapping)
{
	unsigned long long begin, end, offset;
	int length = 0;

	if (sscanf(line, "%llx-%llx %*s %llx %*x:%*x %llu %n", &begin, &end, &offset,
		&mapping->inode, &length) != 4)
		return false;
	mapping->begin = begin;
	mapping->end = end;
	mapping->offset = offset;
	mapping->path = line + length;
	line[strcspn(line, "\n")] = '\0';
	return true;
}

static FILE *
open_proc(const char *pid, const char *name)
{
	char path[128];

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

/* Whether the mapping's path is one that only a pool's file, which has no name, or a
 * device has. */
static bool
may_be_pool(const struct mapping *mapping)
{
	const char *slash = strrchr(mapping->path, '/');

	return is_device(mapping) ||
	    (slash != NULL && strstr(slash, " (deleted)") != NULL &&
		(slash[1] == '#' || strncmp(slash, "/.vmmalloc.", 11) == 0));
}

/* Where a descriptor of the process stands; -1 if that cannot be known. */
static long long
position_of(const char *pid, const char *fd)
{
	char name[64];
	FILE *info;
	long long position = -1;

	snprintf(name, sizeof(name), "fdinfo/%.20s", fd);
	info = open_proc(pid, name);
	if (info != NULL && fscanf(info, "pos: %lld", &position) != 1)
		position = -1;
	if (info != NULL)
		fclose(info);
	return position;
}

/* The pool's file, by its mark, if the process still has it open: its inode is not 0. */
static void
find_file(const char *pid, struct pool *pool)
{
	char path[64];
	struct dirent *entry;
	struct stat file;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	dir = opendir(path);
	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		if (fstatat(dirfd(dir), entry->d_name, &file, 0) != 0 ||
		    (file.st_nlink != 0 && !S_ISCHR(file.st_mode)) ||
		    position_of(pid, entry->d_name) != VMM_OS_FILE_MARK)
			continue;
		pool->inode = file.st_ino;
		pool->file_size = (uint64_t)file.st_size;
		pool->blocks = (uint64_t)file.st_blocks * 512;
		pool->has_blocks = S_ISREG(file.st_mode);
		break;
	}
	if (dir != NULL)
		closedir(dir);
}

/* Processes at which this user may not look. */
static unsigned hidden;

/*
 * Where the process has its pool mapped: the file that was found; if none was, of those
 * without a name that it has mapped beside the library, the largest. Where a fork has left
 * holes in it, an offset still says where it begins. The inode alone tells files apart: on
 * btrfs and overlayfs a mapping has another device than its file.
 */
static bool
find_mapping(const char *pid, struct pool *pool)
{
	FILE *maps = open_proc(pid, "maps");
	struct mapping mapping;
	bool is_known = pool->inode != 0;
	uint64_t covered;
	char *line = NULL;
	size_t room = 0;

	hidden += maps == NULL && (errno == EACCES || errno == EPERM);
	while (maps != NULL && getline(&line, &room, maps) > 0) {
		if (!read_mapping(line, &mapping))
			continue;
		if (strstr(mapping.path, "/libvmmalloc.so") != NULL)
			is_known = true;
		/* Private memory, and the place for more, follow without a gap. */
		if (pool->size > 0 && mapping.inode == 0 &&
		    mapping.begin == pool->base + pool->size)
			pool->size += mapping.end - mapping.begin;
		covered = mapping.offset + (mapping.end - mapping.begin);
		if (!may_be_pool(&mapping) || covered <= pool->size ||
		    (pool->inode != 0 && mapping.inode != pool->inode))
			continue;
		pool->size = covered;
		pool->base = mapping.begin - mapping.offset;
		if (is_device(&mapping))
			snprintf(pool->dir, PATH_MAX, "%s", mapping.path);
		else
			directory_of(mapping.path, pool->dir);
	}
	free(line);
	if (maps != NULL)
		fclose(maps);
	if (pool->file_size != 0)
		pool->size = pool->file_size;
	return is_known && pool->base != 0;
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

static void
print_process(const char *pid)
{
	struct pool pool = { 0 };
	char command[64] = "?";
	char texts[4][16];
	FILE *comm;

	find_file(pid, &pool);
	if (!find_mapping(pid, &pool))
		return;
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

/* Whether /proc leaves out what others run: mount option hidepid, of proc(5). */
static bool
leaves_out(void)
{
	FILE *mounts = geteuid() != 0 ? fopen("/proc/self/mounts", "re") : NULL;
	bool is_so = false;
	char *line = NULL;
	size_t room = 0;

	while (mounts != NULL && getline(&line, &room, mounts) > 0) {
		const char *option = strstr(line, "hidepid=");

		/* Of several, one above the other, the last is seen. */
		if (strstr(line, " /proc proc ") != NULL)
			is_so = option != NULL && strchr("12ip4", option[8]) != NULL;
	}
	free(line);
	if (mounts != NULL)
		fclose(mounts);
	return is_so;
}

void
show_processes(void)
{
	struct dirent **entries;
	int count;

	setlocale(LC_CTYPE, "");
	count = scandir("/proc", &entries, is_process, by_number);

	if (count < 0)
		fail(STATUS_OURS, "/proc: %s", strerror(errno));
	if (count == 0)
		fail(STATUS_OURS, "/proc shows no process, not even this one");
	printf("%7s %-15s %7s %7s %7s %7s %-10s  %s\n", "PID", "COMMAND", "SIZE",
	    "IN-USE", "RAM", "PRIVATE", "STOPS", "DIRECTORY");
	for (int i = 0; i < count; i++) {
		print_process(entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
	if (hidden > 0)
		fprintf(stderr, "vmmalloc: %u processes of other users are not shown:"
		    " run it as root\n", hidden);
	if (leaves_out())
		fputs("vmmalloc: /proc hides processes of other users (mount option"
		      " hidepid): run it as root\n", stderr);
}
