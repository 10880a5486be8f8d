/* SPDX-License-Identifier: BSD-3-Clause */
/* find_pool.c: finds the pool of a process in /proc. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "os/os.h"
#include "ps.h"

/* A line of /proc/PID/maps (proc_pid_maps(5)); in smaps, a mapping's first line. */
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

FILE *
open_proc(const char *pid, const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "/proc/%s/%s", pid, name);
	return fopen(path, "re");
}

/* Copies `path` up to its last slash, thus without the kernel's " (deleted)". */
static void
directory_of(const char *path, char dir[static PATH_MAX])
{
	const char *slash = strrchr(path, '/');

	if (slash == path)
		slash++;
	snprintf(dir, PATH_MAX, "%.*s",
	    slash == NULL ? 0 : (int)(slash - path), path);
}

/* Whether a device is mapped: VMMALLOC_POOL_DIR is then the name of the device. */
static bool
is_device(const struct mapping *mapping)
{
	return strncmp(mapping->path, "/dev/dax", 8) == 0;
}

/* Reads the name of the mapping that marks a pool without a file (vmm_os_memory_mark). */
static bool
read_mark(const struct mapping *mapping, struct pool *pool)
{
	unsigned long long base, size;

	if (sscanf(mapping->path, "/memfd:" VMM_OS_MEMORY_MARK "%llx+%llu", &base,
		&size) != 2)
		return false;
	pool->base = base;
	pool->size = pool->file_size = size;
	pool->has_file = false;
	strcpy(pool->dir, ":memory:");
	return true;
}

/* The kernel's prefix of a memfd's name. */
static const char memfd[] = "/memfd:";

/* Whether a memfd of huge pages is mapped: its name is VMMALLOC_POOL_DIR. */
static bool
is_huge_memory(const struct mapping *mapping)
{
	return strncmp(mapping->path, memfd, sizeof(memfd) - 1) == 0 &&
	    vmm_os_is_memory(mapping->path + sizeof(memfd) - 1);
}

/* Sets what VMMALLOC_POOL_DIR was. */
static void
read_dir(const struct mapping *mapping, struct pool *pool)
{
	const char *name = mapping->path + sizeof(memfd) - 1;

	if (is_device(mapping))
		snprintf(pool->dir, PATH_MAX, "%s", mapping->path);
	else if (is_huge_memory(mapping))
		snprintf(pool->dir, PATH_MAX, "%.*s", (int)strcspn(name, " "), name);
	else
		directory_of(mapping->path, pool->dir);
}

/* Whether the path is one that only an unlinked pool file, or a device, has. */
static bool
may_be_pool(const struct mapping *mapping)
{
	const char *slash = strrchr(mapping->path, '/');

	return is_device(mapping) || is_huge_memory(mapping) ||
	    (slash != NULL && strstr(slash, " (deleted)") != NULL &&
		(slash[1] == '#' || strncmp(slash, "/.vmmalloc.", 11) == 0));
}

/* The file offset of a descriptor (proc_pid_fdinfo(5)); -1 if it cannot be read. */
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

/*
 * Finds the pool file among the open files of the process, by VMM_OS_FILE_MARK. Leaves
 * pool->inode 0 if the process has closed the file.
 */
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

/*
 * Finds where the pool is mapped. While the process has a descriptor of the pool file, the
 * mappings with the file's inode are the pool. (Their device number can differ: on btrfs and
 * overlayfs it does.) Otherwise the pool is, of the mappings that may be one, the mapping that
 * reaches farthest into its file; the process must have loaded the library. After a fork only
 * parts of the file may be mapped: address minus file offset is the base for each of them. A pool
 * without a file is found by its mark (vmm_os_memory_mark).
 */
static bool
find_mapping(const char *pid, struct pool *pool, bool *is_hidden)
{
	FILE *maps = open_proc(pid, "maps");
	struct mapping mapping;
	bool has_library = pool->inode != 0;
	uint64_t covered;
	char *line = NULL;
	size_t room = 0;

	*is_hidden = maps == NULL && (errno == EACCES || errno == EPERM);
	while (maps != NULL && getline(&line, &room, maps) > 0) {
		if (!read_mapping(line, &mapping))
			continue;
		if (strstr(mapping.path, "/libvmmalloc.so") != NULL)
			has_library = true;
		/* Private memory and the place for growth follow directly, without a file. */
		if (pool->size > 0 && mapping.inode == 0 &&
		    mapping.begin == pool->base + pool->size)
			pool->size += mapping.end - mapping.begin;
		/* Only the library makes this mapping, which may lie below the library. */
		if (read_mark(&mapping, pool)) {
			has_library = true;
			break;
		}
		covered = mapping.offset + (mapping.end - mapping.begin);
		if (!may_be_pool(&mapping) || covered <= pool->size ||
		    (pool->inode != 0 && mapping.inode != pool->inode))
			continue;
		pool->size = covered;
		pool->base = mapping.begin - mapping.offset;
		read_dir(&mapping, pool);
	}
	free(line);
	if (maps != NULL)
		fclose(maps);
	if (pool->file_size != 0)
		pool->size = pool->file_size;
	return has_library && pool->base != 0;
}

/* Sums up the memory in the pool's address range (proc_pid_smaps(5)). */
static void
read_memory(const char *pid, struct pool *pool)
{
	static const char *const in_ram[] = { "Rss:", "Shared_Hugetlb:",
		"Private_Hugetlb:" };
	static const char *const large[] = { "AnonHugePages:", "ShmemPmdMapped:",
		"FilePmdMapped:", "Shared_Hugetlb:", "Private_Hugetlb:" };
	FILE *smaps = open_proc(pid, "smaps");
	struct mapping mapping;
	bool is_inside = false;
	char *line = NULL;
	size_t room = 0;

	while (smaps != NULL && getline(&line, &room, smaps) > 0) {
		char name[32];
		unsigned long long kib;

		if (read_mapping(line, &mapping)) {
			/* The kernel may merge a mapping below the pool with the pool's. */
			is_inside = mapping.end > pool->base &&
			    mapping.begin < pool->base + pool->size;
			continue;
		}
		if (!is_inside || sscanf(line, "%31s %llu kB", name, &kib) != 2)
			continue;
		for (size_t i = 0; i < sizeof(in_ram) / sizeof(in_ram[0]); i++) {
			if (strcmp(name, in_ram[i]) == 0)
				pool->ram_bytes += kib * 1024;
		}
		if (strcmp(name, "Anonymous:") == 0 && pool->has_file)
			pool->private_bytes += kib * 1024;
		for (size_t i = 0; i < sizeof(large) / sizeof(large[0]); i++) {
			if (strcmp(name, large[i]) == 0)
				pool->large_bytes += kib * 1024;
		}
	}
	free(line);
	if (smaps != NULL)
		fclose(smaps);
}

bool
find_pool(const char *pid, struct pool *pool, bool *is_hidden)
{
	pool->has_file = true;
	find_file(pid, pool);
	if (!find_mapping(pid, pool, is_hidden))
		return false;
	read_memory(pid, pool);
	return true;
}
