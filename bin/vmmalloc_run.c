/* SPDX-License-Identifier: BSD-3-Clause */
/* vmmalloc_run.c: vmmalloc COMMAND: runs it on a pool. */
#include "config.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/settings.h"
#include "libvmmalloc.h"
#include "os/os.h"
#include "vmmalloc.h"

static void
set(const char *name, const char *value)
{
	if (setenv(name, value, 1) != 0)
		fail(STATUS_OURS, "%s: %s", name, strerror(errno));
}

/* Of pools without -s: what is a multiple of a large page, and enough. */
#define LEAST_SIZE (16 * MIB)
_Static_assert(LEAST_SIZE >= VMMALLOC_MIN_POOL, "a pool has to be larger");

/* What the options say; NULL: nothing. whole_...: room for an absolute name. */
struct run {
	const char *dir;
	const char *size;
	const char *fork;
	const char *level;
	const char *log_file;
	bool is_debug;
	bool has_stats;
	char whole_dir[PATH_MAX];
	char whole_log_file[PATH_MAX];
};

/*
 * The size without -s. The variable holds for each program that the command starts, too,
 * so it has to be a part of the free space: where a pool grows, that much has to be free
 * when a program starts; where it takes all its space at its start, there can be as many
 * programs as there are parts (make, its shell, the compiler and what that runs).
 */
#define PARTS_GROWING 4
#define PARTS_FULL 32

/* What limits of the process leave: of files; of addresses, where there are others. */
static uint64_t
most_bytes(uint64_t limit_bytes)
{
	uint64_t most = sizeof(void *) == 4 ? 512 * MIB : UINT64_MAX;
	struct rlimit limit;

	if (limit_bytes < most)
		most = limit_bytes;
	if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
	    limit.rlim_cur / 4 < most)
		most = limit.rlim_cur / 4;
	return most;
}

static const char *
size_for(const char *dir)
{
	static char text[32];
	char free_text[16];
	struct vmm_os_file file;
	struct vmm_os_room room;
	const char *reserve = getenv("VMMALLOC_RESERVE");
	uint64_t parts = PARTS_GROWING, size;
	int error = vmm_os_file_create(dir, &file);

	if (error != 0)
		fail(STATUS_OURS, "%s: %s", dir, strerror(error));
	vmm_os_file_room(&file, &room);
	if (file.fs.device_bytes != 0)
		parts = 1;
	else if (file.fs.maps_reserve)
		room.free_bytes = meminfo("HugePages_Free:") * file.fs.page_size;
	else if (room.free_bytes == UINT64_MAX)
		room.free_bytes = meminfo("MemAvailable:");
	if (parts != 1 && (file.fs.maps_reserve ||
		(reserve != NULL && strcmp(reserve, "full") == 0)))
		parts = PARTS_FULL;
	size = room.free_bytes / parts;
	if (size > most_bytes(room.limit_bytes))
		size = most_bytes(room.limit_bytes);
	if (size < LEAST_SIZE)
		size = LEAST_SIZE;
	size = size / (2 * MIB) * (2 * MIB);
	if (size > room.free_bytes)
		fail(STATUS_OURS, "%s: only %s is free; without -s a pool takes at"
		    " least 16M. Give -s (at least 14M), or another directory with"
		    " -d", dir, human(room.free_bytes, free_text));
	snprintf(text, sizeof(text), "%llu", (unsigned long long)size);
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

	if (path == NULL)
		path = "/bin:/usr/bin";
	if (name[0] == '\0')
		fail(STATUS_NOT_FOUND, "the name of the command is empty");
	if (strchr(name, '/') != NULL)
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

	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1)
		return false;
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

/* Whether it is a dynamic linker itself, which reads LD_PRELOAD as a command, too. */
static bool
is_linker(const char *place)
{
	const char *slash = strrchr(place, '/');
	const char *name = slash == NULL ? place : slash + 1;

	return (strncmp(name, "ld-", 3) == 0 || strncmp(name, "ld64", 4) == 0 ||
	    strncmp(name, "ld.so", 5) == 0) && strstr(name, ".so") != NULL;
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
	if (pread(fd, &head, sizeof(head) - 1, 0) > 0 &&
	    memcmp(head.text, "#!", 2) == 0 && depth < 4) {
		char *interpreter = head.text + 2 + strspn(head.text + 2, " \t");

		interpreter[strcspn(interpreter, " \t\n")] = '\0';
		check_command(interpreter, depth + 1);
	} else if (memcmp(head.elf.ident, ELFMAG, SELFMAG) == 0) {
		/* Of a script the interpreter's privileges count (execve(2)). */
		if (fstat(fd, &stat) == 0 && gains_privileges(place, &stat))
			fail(STATUS_CANNOT, "%s: gains privileges when it is"
			    " executed (set-user-ID, set-group-ID or"
			    " capabilities), and so takes no library from"
			    " LD_PRELOAD", place);
		if (!is_our_kind(&head.elf))
			fail(STATUS_CANNOT, "%s: is for another architecture than "
			    VMM_LIBRARY, place);
		if (!is_dynamic(fd) && !is_linker(place))
			fail(STATUS_CANNOT, "%s: is statically linked, and so"
			    " takes no library from LD_PRELOAD", place);
	}
	close(fd);
}

static const char *checked_name, *checked_value;

static const char *
get_checked(const char *name)
{
	/* The others are good, so that this one alone can be refused. */
	if (strcmp(name, checked_name) == 0)
		return checked_value;
	return strcmp(name, "VMMALLOC_POOL_DIR") == 0 ? "/"
	    : strcmp(name, "VMMALLOC_POOL_SIZE") == 0 ? "14M" : NULL;
}

/* Ends if the library would refuse what an option says of that variable. */
static void
check_value(char option, const char *name, const char *value)
{
	struct vmm_settings settings;
	struct vmm_text error;
	const char *why;

	checked_name = name;
	checked_value = value;
	if (vmm_settings_read(&settings, get_checked, &error))
		return;
	/* Of two lines the second says why, behind the variable's name. */
	error.data[error.length - 1] = '\0';
	why = strstr(error.data, "\nlibvmmalloc: ");
	why = why == NULL ? error.data : why + strlen("\nlibvmmalloc: ");
	if (strncmp(why, name, strlen(name)) == 0)
		why += strlen(name);
	fail(STATUS_OURS, "-%c%s", option, why);
}

/*
 * Makes of a path, in `whole`, one that means the same after a chdir(2). `name` is the
 * option's or the variable's that has it.
 */
static const char *
absolute(const char *name, const char *path, char whole[static PATH_MAX])
{
	int error;

	if (path == NULL || path[0] == '\0')
		fail(STATUS_OURS, "%s is empty; a path is needed", name);
	error = vmm_os_path_absolute(path, whole, PATH_MAX);
	if (error != 0)
		fail(STATUS_OURS, "%s %s: %s", name, path, strerror(error));
	return whole;
}

static void
set_level(struct run *run, const char *level)
{
	run->is_debug = true;
	if (level == NULL)
		return;
	if (!is_number(level) || strlen(level) != 1 || level[0] > '4')
		fail(STATUS_OURS, "-g is %s, not supported; accepted: 0, 1, 2, 3, 4",
		    level);
	run->level = level;
}

/* Reads the options; what is left is COMMAND and its arguments. */
static char **
read_options(int argc, char **argv, struct run *run)
{
	static const struct option long_options[] = {
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	opterr = 0;
	while ((option = getopt_long(argc, argv, "+:d:s:f:g::l:Sh", long_options,
		NULL)) != -1) {
		switch (option) {
		case 'd': run->dir = absolute("-d", optarg, run->whole_dir); break;
		case 's': run->size = optarg; break;
		case 'f': run->fork = optarg; break;
		case 'l':
			run->log_file = absolute("-l", optarg, run->whole_log_file);
			run->is_debug = true;
			break;
		case 'S': run->is_debug = run->has_stats = true; break;
		case 'g':
			/* Its value may be a word of its own. */
			if (optarg == NULL && is_number(argv[optind]))
				optarg = argv[optind++];
			set_level(run, optarg);
			break;
		case 'h': fputs(usage, stdout); flush_output(); exit(0);
		case 'V': puts("vmmalloc " PACKAGE_VERSION); flush_output(); exit(0);
		case ':': fail(STATUS_OURS, "-%c: a value is missing", optopt);
		default:
			if (optopt != 0 && argv[optind - 1][1] != '-')
				fail(STATUS_OURS, "-%c: no such option; see vmmalloc"
				    " --help", optopt);
			fail(STATUS_OURS, "%s: no such option; see vmmalloc --help",
			    argv[optind - 1]);
		}
	}
	if (run->size != NULL)
		check_value('s', "VMMALLOC_POOL_SIZE", run->size);
	if (run->fork != NULL)
		check_value('f', "VMMALLOC_FORK", run->fork);
	/* A trace is wanted, if there is a place for it; or statistics alone. */
	if (run->log_file != NULL && run->level == NULL && !run->has_stats &&
	    getenv("VMMALLOC_LOG_LEVEL") == NULL)
		run->level = "2";
	return argv + optind;
}

/* What has no format of its own is for the shell, as execvp(3) has it. */
static void
run_by_shell(char *place, char **command)
{
	size_t count = 0;
	char **words;

	while (command[count] != NULL)
		count++;
	words = calloc(count + 2, sizeof(*words));
	if (words == NULL)
		return;
	words[0] = (char *)(uintptr_t)"sh";
	words[1] = place;
	for (size_t i = 1; i < count; i++)
		words[i + 1] = command[i];
	execv("/bin/sh", words);
	free(words);
}

static const char *
first_of(const char *option, const char *variable, const char *otherwise)
{
	if (option == NULL)
		option = getenv(variable);
	return option != NULL ? option : otherwise;
}

static const char *
choose_library(bool is_debug)
{
	const char *library = built_library(is_debug);

	if (library == NULL)
		library = is_debug ? VMM_DEBUG_LIBRARY : VMM_LIBRARY;
	if (is_debug && access(library, R_OK) != 0)
		fail(STATUS_OURS, "%s: %s; the debug variant is a package of its own:"
		    " libvmmalloc1-debug, of RPMs libvmmalloc-debug", library,
		    strerror(errno));
	return library;
}

/* The library's variables, for the command and what it starts. */
static void
set_variables(const struct run *run)
{
	set("VMMALLOC_POOL_DIR", run->dir);
	set("VMMALLOC_POOL_SIZE",
	    run->size != NULL ? run->size : size_for(run->dir));
	if (run->fork != NULL)
		set("VMMALLOC_FORK", run->fork);
	if (run->level != NULL)
		set("VMMALLOC_LOG_LEVEL", run->level);
	if (run->log_file != NULL)
		set("VMMALLOC_LOG_FILE", run->log_file);
	if (run->has_stats)
		set("VMMALLOC_LOG_STATS", "1");
}

_Noreturn void
run_command(int argc, char **argv)
{
	static struct run run;
	char **command = read_options(argc, argv, &run);
	struct stat stat_of_dir;
	char *place;

	if (command[0] == NULL) {
		fputs(usage, stderr);
		exit(STATUS_OURS);
	}
	if (run.dir == NULL)
		run.dir = absolute("VMMALLOC_POOL_DIR",
		    first_of(NULL, "VMMALLOC_POOL_DIR", "/dev/shm"), run.whole_dir);
	if (stat(run.dir, &stat_of_dir) != 0)
		fail(STATUS_OURS, "%s: %s", run.dir, strerror(errno));
	if (!S_ISDIR(stat_of_dir.st_mode) && !S_ISCHR(stat_of_dir.st_mode))
		fail(STATUS_OURS, "%s: %s", run.dir, strerror(ENOTDIR));
	place = find_command(command[0]);
	check_command(place, 0);
	run.size = first_of(run.size, "VMMALLOC_POOL_SIZE", NULL);
	set_variables(&run);
	preload(choose_library(run.is_debug));
	execv(place, command);
	if (errno == ENOEXEC)
		run_by_shell(place, command);
	fail(STATUS_CANNOT, "%s: %s", place, strerror(errno));
}
