/* SPDX-License-Identifier: BSD-3-Clause */
/* vmmalloc.c: the command: runs a program on a pool, and shows pools. vmmalloc(1). */
#include "config.h"

#include <ctype.h>
#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "libvmmalloc.h"
#include "os.h"

/* Statuses as env(1), nice(1) and others have them. */
#define STATUS_OURS 125
#define STATUS_CANNOT 126
#define STATUS_NOT_FOUND 127

#define MIB ((uint64_t)1 << 20)

static const char usage[] =
    "vmmalloc [OPTION...] [--] COMMAND [ARG...]   run COMMAND on a pool\n"
    "vmmalloc ps                                  every process on a pool\n"
    "vmmalloc check DIR                           what a pool there would be like\n"
    "\n"
    "  -d DIR      where the pool's file is made (VMMALLOC_POOL_DIR, or /dev/shm)\n"
    "  -s SIZE     how large it is: bytes, or a number and one of K, M, G, T\n"
    "              (VMMALLOC_POOL_SIZE, or half of what is free there)\n"
    "  -f 0|1|2|3  what becomes of it at fork(2) (VMMALLOC_FORK, or 1)\n"
    "  -g [LEVEL]  the debug variant; LEVEL 1 to 4: with a trace on stderr\n"
    "  -l FILE     the trace goes there; implies -g\n"
    "  -S          statistics at exit; implies -g\n"
    "  --help      this\n"
    "  --version   the version\n"
    "\n"
    "To run a command that is called ps or check: vmmalloc -- ps\n";

static _Noreturn void __attribute__((format(printf, 2, 3)))
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

static void
set(const char *name, const char *value)
{
	if (setenv(name, value, 1) != 0)
		fail(STATUS_OURS, "%s: %s", name, strerror(errno));
}

/* A number of bytes for people, in at most 6 columns. */
static const char *
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

/* The number behind `name` in /proc/meminfo, in bytes; 0 if there is none. */
static uint64_t
memory(const char *name)
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

/*
 * vmmalloc COMMAND
 */

struct run {
	const char *dir;
	const char *size;
	const char *fork;
	const char *level;
	const char *log_file;
	bool is_debug;
	bool has_stats;
};

/* Half of what is free in `dir`, and where that has no limit, of memory; a device. */
static const char *
size_for(const char *dir)
{
	static char text[32];
	struct vmm_os_file file;
	struct vmm_os_room room;
	uint64_t half;
	int error = vmm_os_file_create(dir, &file);

	if (error != 0)
		fail(STATUS_OURS, "%s: %s", dir, strerror(error));
	vmm_os_file_room(&file, &room);
	/* Nobody else can have the other half. */
	if (file.fs.device_bytes != 0)
		room.free_bytes *= 2;
	else if (file.fs.maps_reserve)
		room.free_bytes = memory("HugePages_Free:") * file.fs.page_size;
	else if (room.free_bytes == UINT64_MAX)
		room.free_bytes = memory("MemAvailable:");
	half = room.free_bytes / 2 / (2 * MIB) * (2 * MIB);
	if (half < VMMALLOC_MIN_POOL)
		fail(STATUS_OURS, "%s: half of the %llu bytes that are free there"
		    " is less than a pool needs (14M); name a size with -s, or"
		    " another directory with -d", dir,
		    (unsigned long long)room.free_bytes);
	snprintf(text, sizeof(text), "%llu", (unsigned long long)half);
	return text;
}

/*
 * The library beside this command where make has built both, or NULL: what was built is
 * tried before it is installed.
 */
static char *
built_library(bool is_debug)
{
	char self[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *library;

	if (length < 0)
		return NULL;
	self[length] = '\0';
	/* Of TREE/bin/vmmalloc, the tree. */
	for (int i = 0; i < 2; i++) {
		char *slash = strrchr(self, '/');

		if (slash == NULL)
			return NULL;
		*slash = '\0';
	}
	if (asprintf(&library, "%s/lib/%s.libs/libvmmalloc.so.1", self,
		is_debug ? "debug/" : "") < 0)
		fail(STATUS_OURS, "LD_PRELOAD: %s", strerror(errno));
	if (access(library, R_OK) == 0)
		return library;
	free(library);
	return NULL;
}

/* The library comes first, before what else is preloaded. */
static void
preload(const char *library)
{
	const char *others = getenv("LD_PRELOAD");
	char *value;

	if (access(library, R_OK) != 0)
		fail(STATUS_OURS, "%s: %s", library, strerror(errno));
	/* ld.so(8) would take it for two, and go on without either. */
	if (strpbrk(library, ": ") != NULL)
		fail(STATUS_OURS, "%s: cannot be preloaded from a directory with a"
		    " space or a colon in its name", library);
	if (others == NULL || others[0] == '\0') {
		set("LD_PRELOAD", library);
		return;
	}
	if (asprintf(&value, "%s:%s", library, others) < 0)
		fail(STATUS_OURS, "LD_PRELOAD: %s", strerror(errno));
	set("LD_PRELOAD", value);
	free(value);
}

/* Where execvp(3) finds `name`; it has the reason if there is none. */
static char *
find_command(const char *name)
{
	const char *path = getenv("PATH");
	const char *end;
	char *place;
	int error = ENOENT;

	if (path == NULL || strchr(name, '/') != NULL)
		path = "";
	for (;; path = end + 1) {
		struct stat stat_of_it;
		int length;

		end = path + strcspn(path, ":");
		length = (int)(end - path);
		if (asprintf(&place, "%.*s%s%s", length, path,
			length > 0 ? "/" : "", name) < 0)
			fail(STATUS_OURS, "%s: %s", name, strerror(errno));
		if (stat(place, &stat_of_it) == 0) {
			if (S_ISREG(stat_of_it.st_mode) && access(place, X_OK) == 0)
				return place;
			error = EACCES;
		}
		free(place);
		if (*end == '\0')
			break;
	}
	fail(error == ENOENT ? STATUS_NOT_FOUND : STATUS_CANNOT, "%s: %s", name,
	    error == ENOENT ? "command not found" : "is no program that this"
	    " user may execute");
}

/* Whether execve(2) gives the program privileges: ld.so then drops our variables. */
static bool
gains_privileges(const char *place, const struct stat *stat)
{
	struct statvfs fs;

	if (statvfs(place, &fs) == 0 && (fs.f_flag & ST_NOSUID) != 0)
		return false;
	if ((stat->st_mode & S_ISUID) != 0 && stat->st_uid != getuid())
		return true;
	if ((stat->st_mode & S_ISGID) != 0 && (stat->st_mode & S_IXGRP) != 0 &&
	    stat->st_gid != getgid())
		return true;
	return getuid() != 0 &&
	    getxattr(place, "security.capability", NULL, 0) > 0;
}

/* What of an ELF file says how it is run; both classes have these places. */
struct elf {
	unsigned char ident[EI_NIDENT];
	uint16_t type;
	uint16_t machine;
};

/* Whether the file names a dynamic linker. */
static bool
is_dynamic(int fd)
{
#if __SIZEOF_POINTER__ == 8
	Elf64_Ehdr header;
	Elf64_Phdr segment;
#else
	Elf32_Ehdr header;
	Elf32_Phdr segment;
#endif

	if (pread(fd, &header, sizeof(header), 0) != (ssize_t)sizeof(header))
		return false;
	for (unsigned i = 0; i < header.e_phnum; i++) {
		off_t at = (off_t)(header.e_phoff +
		    (size_t)i * header.e_phentsize);

		if (pread(fd, &segment, sizeof(segment), at) ==
			(ssize_t)sizeof(segment) && segment.p_type == PT_INTERP)
			return true;
	}
	return false;
}

/* Whether programs of that kind can have the library in them, which is of our kind. */
static bool
is_our_kind(const struct elf *elf)
{
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	struct elf own;
	bool is_ours = fd < 0 ||
	    pread(fd, &own, sizeof(own), 0) != (ssize_t)sizeof(own) ||
	    (own.machine == elf->machine &&
		own.ident[EI_CLASS] == elf->ident[EI_CLASS] &&
		own.ident[EI_DATA] == elf->ident[EI_DATA]);

	if (fd >= 0)
		close(fd);
	return is_ours;
}

/*
 * Ends with a message where the preload would be ignored, in silence or after execve(2).
 * What cannot be read is not known, and tried.
 */
static void
check_command(const char *place, int depth)
{
	int fd = open(place, O_RDONLY | O_CLOEXEC);
	struct stat stat;
	union {
		struct elf elf;
		char text[256];
	} head = { .text = "" };

	if (fd < 0)
		return;
	if (fstat(fd, &stat) == 0 && gains_privileges(place, &stat) &&
	    depth == 0)
		fail(STATUS_CANNOT, "%s: gains privileges when it is executed"
		    " (set-user-ID, set-group-ID or capabilities), and so takes"
		    " no library from LD_PRELOAD", place);
	if (pread(fd, &head, sizeof(head) - 1, 0) > 0 &&
	    memcmp(head.text, "#!", 2) == 0 && depth < 4) {
		char *interpreter = head.text + 2 + strspn(head.text + 2, " \t");

		interpreter[strcspn(interpreter, " \t\n")] = '\0';
		check_command(interpreter, depth + 1);
	} else if (memcmp(head.elf.ident, ELFMAG, SELFMAG) == 0) {
		if (!is_our_kind(&head.elf))
			fail(STATUS_CANNOT, "%s: is for another architecture than "
			    VMM_LIBRARY, place);
		if (!is_dynamic(fd))
			fail(STATUS_CANNOT, "%s: is statically linked, and so"
			    " takes no library from LD_PRELOAD", place);
	}
	close(fd);
}

static bool
is_number(const char *text)
{
	return text != NULL && text[0] != '\0' &&
	    text[strspn(text, "0123456789")] == '\0';
}

/* Reads the options; what is left is COMMAND and its arguments. */
static char **
read_options(char **argv, struct run *run)
{
	for (; argv[0] != NULL && argv[0][0] == '-'; argv++) {
		const char *option = argv[0];
		const char *value = option[1] != '\0' && option[2] != '\0'
		    ? option + 2 : NULL;

		if (strcmp(option, "--") == 0)
			return argv + 1;
		if (strcmp(option, "-S") == 0) {
			run->is_debug = run->has_stats = true;
			continue;
		}
		if (option[1] == 'g') {
			run->is_debug = true;
			if (value == NULL && is_number(argv[1]))
				value = *++argv;
			if (value != NULL)
				run->level = value;
			continue;
		}
		if (option[1] == '\0' || strchr("dsfl", option[1]) == NULL)
			fail(STATUS_OURS, "%s: no such option; see vmmalloc"
			    " --help", option);
		if (value == NULL)
			value = *++argv;
		if (value == NULL)
			fail(STATUS_OURS, "%s: a value is missing", option);
		switch (option[1]) {
		case 'd': run->dir = value; break;
		case 's': run->size = value; break;
		case 'f': run->fork = value; break;
		case 'l': run->log_file = value; run->is_debug = true; break;
		}
	}
	return argv;
}

static const char *
first_of(const char *option, const char *variable, const char *otherwise)
{
	if (option == NULL)
		option = getenv(variable);
	return option != NULL ? option : otherwise;
}

static _Noreturn void
run_command(char **argv)
{
	struct run run = { 0 };
	char **command = read_options(argv, &run);
	struct stat stat_of_dir;
	const char *library;
	char *place;

	if (command[0] == NULL) {
		fputs(usage, stderr);
		exit(STATUS_OURS);
	}
	run.dir = first_of(run.dir, "VMMALLOC_POOL_DIR", "/dev/shm");
	if (stat(run.dir, &stat_of_dir) != 0)
		fail(STATUS_OURS, "%s: %s", run.dir, strerror(errno));
	if (!S_ISDIR(stat_of_dir.st_mode) && !S_ISCHR(stat_of_dir.st_mode))
		fail(STATUS_OURS, "%s: %s", run.dir, strerror(ENOTDIR));
	place = find_command(command[0]);
	check_command(place, 0);
	run.size = first_of(run.size, "VMMALLOC_POOL_SIZE", NULL);
	set("VMMALLOC_POOL_DIR", run.dir);
	set("VMMALLOC_POOL_SIZE",
	    run.size != NULL ? run.size : size_for(run.dir));
	if (run.fork != NULL)
		set("VMMALLOC_FORK", run.fork);
	if (run.level != NULL)
		set("VMMALLOC_LOG_LEVEL", run.level);
	if (run.log_file != NULL)
		set("VMMALLOC_LOG_FILE", run.log_file);
	if (run.has_stats)
		set("VMMALLOC_LOG_STATS", "1");
	library = built_library(run.is_debug);
	if (library == NULL)
		library = run.is_debug ? VMM_DEBUG_LIBRARY : VMM_LIBRARY;
	preload(library);
	execv(place, command);
	fail(STATUS_CANNOT, "%s: %s", place, strerror(errno));
}

/*
 * vmmalloc ps
 */

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

/*
 * The pool that the process has mapped: of the files without a name the largest. Where
 * a fork has left holes in it, an offset still says where it begins.
 */
static bool
find_pool(const char *pid, struct pool *pool)
{
	FILE *maps = open_proc(pid, "maps");
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

static int
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
	return 0;
}

/*
 * vmmalloc check
 */

/* What a pool in a directory would be like. */
struct place {
	const char *dir;
	struct vmm_os_file file;
	struct vmm_os_room room;
	int reserve_error;
	bool shares_blocks;
	char huge[64]; /* when tmpfs has large pages: always, never, ... */
};

/* The option huge= of the tmpfs that `dir` is on, from /proc/self/mountinfo. */
static void
read_huge_option(struct place *place)
{
	FILE *stream = fopen("/proc/self/mountinfo", "re");
	char *line = NULL;
	size_t room = 0;

	strcpy(place->huge, "never");
	while (stream != NULL && getline(&line, &room, stream) > 0) {
		unsigned major_number, minor_number;
		const char *option = strstr(line, "huge=");

		if (sscanf(line, "%*d %*d %u:%u", &major_number,
			&minor_number) != 2 || makedev(major_number,
			minor_number) != place->file.device || option == NULL)
			continue;
		snprintf(place->huge, sizeof(place->huge), "%.*s",
		    (int)strcspn(option + 5, ", \n"), option + 5);
	}
	free(line);
	if (stream != NULL)
		fclose(stream);
}

/* Whether two files there can share a block: tried, with one. */
static bool
try_sharing(const struct place *place)
{
	struct vmm_os_file other;
	size_t size = 65536;
	char *data = calloc(1, size);
	bool is_shared;

	if (data == NULL || vmm_os_file_create(place->dir, &other) != 0) {
		free(data);
		return false;
	}
	is_shared = vmm_os_file_resize(&other, size) == 0 &&
	    vmm_os_file_write(&place->file, 0, data, size) == 0 &&
	    vmm_os_file_clone(&other, &place->file, 0, size) == 0;
	vmm_os_file_close(&other, NULL, 0);
	free(data);
	return is_shared;
}

static void
look_at_place(struct place *place)
{
	size_t size = 2 * MIB;
	int error = vmm_os_file_create(place->dir, &place->file);
	void *map;

	if (error != 0)
		fail(1, "%s: %s: no pool can be made there", place->dir,
		    strerror(error));
	vmm_os_file_room(&place->file, &place->room);
	if (place->file.fs.maps_reserve)
		place->room.free_bytes = memory("HugePages_Free:") *
		    memory("Hugepagesize:");
	read_huge_option(place);
	if (size < place->file.fs.page_size)
		size = place->file.fs.page_size;
	/* Trying would write over what is there. */
	if (place->file.fs.device_bytes != 0)
		return;
	place->reserve_error = vmm_os_file_resize(&place->file, size);
	if (place->reserve_error == 0)
		place->reserve_error = vmm_os_file_reserve(&place->file, NULL, 0,
		    size);
	if (place->reserve_error == 0 && place->file.fs.maps_reserve) {
		place->reserve_error = vmm_os_window_map(&place->file, NULL, 0, size,
		    VMM_OS_SHARED, &map);
		if (place->reserve_error == 0)
			vmm_os_unmap(map, size);
	}
	/* A fork shares them where there is a page cache to write them first. */
	place->shares_blocks = place->file.fs.has_page_cache &&
	    place->reserve_error == 0 && try_sharing(place);
}

static bool
is_named(const struct place *place, const char *fs)
{
	return strcmp(place->file.fs.name, fs) == 0;
}

/* The one line. */
static const char *
advice(const struct place *place)
{
	const struct vmm_os_fs *fs = &place->file.fs;

	if (fs->maps_reserve && place->reserve_error != 0)
		return "no huge page is free: raise vm.nr_hugepages";
	if (place->reserve_error != 0)
		return "no pool can be here: the file system cannot reserve blocks";
	if (place->room.free_bytes < VMMALLOC_MIN_POOL)
		return "too little room: a pool needs 14M at least";
	if (fs->maps_reserve)
		return "good for programs that do not fork: large pages, but under"
		       " VMMALLOC_FORK=1 a child gets a whole copy";
	if (fs->device_bytes != 0)
		return "good for one program: nobody else can have the device, and a"
		       " child of fork(2) gets a copy in memory";
	if (fs->is_dax)
		return place->shares_blocks
		    ? "good: persistent memory, mapped without a page cache"
		    : "good: persistent memory, mapped without a page cache;"
		      " VMMALLOC_FORK=2 copies what is in use";
	if (fs->reserve_allocates)
		return strcmp(place->huge, "never") != 0
		    ? "good: memory with large pages"
		    : "good, and faster with large pages: a tmpfs mounted with"
		      " huge=always";
	if (is_named(place, "btrfs"))
		return "works, slowly: btrfs asks for room at each write; xfs shares"
		       " blocks as well";
	if (place->shares_blocks)
		return "good for large heaps on a disk, and VMMALLOC_FORK=2 is cheap";
	return "works: the page cache is written back to the disk; xfs would share"
	       " blocks under VMMALLOC_FORK=2";
}

/* By this very process, which has a second thread for it. */
static void *
wait_in_thread(void *pipe_end)
{
	char byte;

	return read(*(int *)pipe_end, &byte, 1) < 0 ? pipe_end : NULL;
}

/* Whether a process that is started here could stop its threads. */
static const char *
stops_here(void)
{
	pthread_t thread;
	int ends[2];
	int error;

	if (pipe(ends) != 0)
		return strerror(errno);
	error = pthread_create(&thread, NULL, wait_in_thread, &ends[0]);
	if (error != 0)
		return strerror(error);
	error = vmm_os_call_stopped(NULL, NULL, VMM_OS_STOP_OTHERS);
	close(ends[1]);
	pthread_join(thread, NULL);
	close(ends[0]);
	if (error == 0)
		return "yes";
	return error != EPERM ? strerror(error)
	    : "no (ptrace is refused): a process with threads keeps private memory"
	      " after a fork";
}

static int
show_place(const char *dir)
{
	struct place place = { .dir = dir };
	const struct vmm_os_fs *fs = &place.file.fs;
	char text[16];

	look_at_place(&place);
	printf("directory:      %s\n", dir);
	printf("file system:    %s\n", fs->name);
	printf("memory:         %s\n", fs->maps_reserve ? "huge pages"
	    : fs->is_dax ? "the device itself (DAX)"
	    : fs->reserve_allocates ? "page cache, without a disk"
				    : "page cache, written back to a disk");
	printf("huge pages:     ");
	if (fs->maps_reserve || fs->device_bytes != 0)
		printf("all, of %s\n", human(fs->page_size, text));
	else if (fs->reserve_allocates)
		printf("%s (mount option huge=)\n", place.huge);
	else
		printf("%s\n", fs->is_dax ? "where the file system has room in"
		    " such pieces" : "no");
	if (place.room.free_bytes == UINT64_MAX)
		printf("free space:     no limit of its own\n");
	else
		printf("free space:     %s\n", human(place.room.free_bytes, text));
	if (place.room.limit_bytes != UINT64_MAX)
		printf("limit of sizes: %s (ulimit -f)\n",
		    human(place.room.limit_bytes, text));
	printf("reserves:       %s\n", place.reserve_error == 0 ? "yes"
	    : strerror(place.reserve_error));
	printf("shares blocks:  %s\n", place.shares_blocks
	    ? "yes (VMMALLOC_FORK=2 and 3)" : "no");
	printf("stops threads:  %s\n", stops_here());
	printf("advice:         %s\n", advice(&place));
	vmm_os_file_close(&place.file, NULL, 0);
	return place.reserve_error != 0 ||
	    place.room.free_bytes < VMMALLOC_MIN_POOL;
}

int
main(int argc, char **argv)
{
	const char *first = argc > 1 ? argv[1] : "";

	if (strcmp(first, "--help") == 0) {
		fputs(usage, stdout);
		return 0;
	}
	if (strcmp(first, "--version") == 0) {
		puts("vmmalloc " PACKAGE_VERSION);
		return 0;
	}
	if (strcmp(first, "ps") == 0 && argc == 2)
		return show_processes();
	if (strcmp(first, "check") == 0 && argc == 3)
		return show_place(argv[2]);
	if (strcmp(first, "ps") == 0 || strcmp(first, "check") == 0) {
		fputs(usage, stderr);
		return STATUS_OURS;
	}
	run_command(argv + 1);
}
