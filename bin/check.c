/* SPDX-License-Identifier: BSD-3-Clause */
/* check.c: vmmalloc check DIR: reports how well DIR suits a pool. */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "command.h"
#include "libvmmalloc.h"
#include "os/os.h"

/* The directory, and the results of the trials in it. */
struct place {
	const char *dir;
	struct vmm_os_file file; /* a pool file, as the library makes it */
	struct vmm_os_limits room;
	int reserve_error; /* errno value; 0: the file system reserves blocks */
	bool shares_blocks;
	char huge[64]; /* the tmpfs mount option huge=: always, never, ... */
	int large_error; /* errno value; 0: the library can make large pages */
};

/* Reads the mount option huge= of the file's tmpfs (proc_pid_mountinfo(5)). */
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

/* Whether the file system can share blocks between two files; tries it. */
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

/*
 * Reserves `size` bytes of the file. hugetlbfs reserves only when the file is mapped.
 * Returns 0 or an errno value.
 */
static int
try_reserving(const struct place *place, size_t size)
{
	void *map;
	int error = vmm_os_file_resize(&place->file, size);

	if (error == 0)
		error = vmm_os_file_reserve(&place->file, NULL, 0, size);
	if (error == 0 && place->file.fs.maps_reserve) {
		error = vmm_os_window_map(&place->file, NULL, 0, size,
		    VMM_OS_SHARED, &map);
		if (error == 0)
			vmm_os_unmap(map, size);
	}
	return error;
}

/* Makes a large page in the file, as the library does. Returns 0 or an errno value. */
static int
try_large_page(const struct place *place)
{
	void *address, *map;
	int error = vmm_os_place_map(2 * MIB, 2 * MIB, &address);

	if (error != 0)
		return error;
	error = vmm_os_window_map(&place->file, address, 0, 2 * MIB, VMM_OS_SHARED, &map);
	if (error == 0)
		error = vmm_os_window_move(map, address, 0, 2 * MIB);
	if (error == 0)
		error = vmm_os_collapse(address, 2 * MIB);
	vmm_os_unmap(address, 2 * MIB);
	return error;
}

static void
examine(struct place *place)
{
	size_t size = 2 * MIB;

	vmm_os_file_limits(&place->file, &place->room);
	if (place->file.fs.maps_reserve)
		place->room.free_bytes = free_huge_pages(place->file.fs.page_size);
	read_huge_option(place);
	if (size < place->file.fs.page_size)
		size = place->file.fs.page_size;
	/* Without a file there is nothing to try. A trial would destroy a device's content. */
	if (place->file.fs.device_bytes != 0 || place->file.fs.is_fileless)
		return;
	/* A larger file than the limit raises SIGXFSZ (setrlimit(2)). */
	if (place->room.limit_bytes < size) {
		place->reserve_error = EFBIG;
		return;
	}
	place->reserve_error = try_reserving(place, size);
	if (place->reserve_error == 0 && place->file.fs.makes_large)
		place->large_error = try_large_page(place);
	/* VMMALLOC_FORK=2 shares blocks only on file systems with a page cache. */
	place->shares_blocks = place->file.fs.has_page_cache &&
	    place->reserve_error == 0 && try_sharing(place);
}

static bool
is_named(const struct place *place, const char *fs)
{
	return strcmp(place->file.fs.name, fs) == 0;
}

static const char *
memory_of(const struct place *place)
{
	if (place->file.fs.maps_reserve)
		return "huge pages";
	if (place->file.fs.is_fileless)
		return "private memory of the process, without a file";
	if (place->file.fs.is_dax)
		return "the device itself (DAX)";
	if (place->file.fs.reserve_allocates || is_named(place, "ramfs"))
		return "page cache, without a disk";
	if (is_named(place, "overlay"))
		return "page cache of the upper file system";
	return "page cache, written back to a disk";
}

/* Why no pool is possible in the directory; NULL if one is. */
static const char *
obstacle(const struct place *place)
{
	if (place->file.fs.maps_reserve && place->reserve_error != 0)
		return "no huge page is free; raise nr_hugepages in /sys/kernel/mm/hugepages";
	if (place->room.limit_bytes < VMMALLOC_MIN_POOL)
		return "the file size limit is below the minimum of 14M; raise"
		       " ulimit -f";
	if (place->room.free_bytes < VMMALLOC_MIN_POOL)
		return place->file.fs.is_fileless
		    ? "the control group allows less than the minimum of 14M (memory.max)"
		    : "less than the minimum of 14M is free";
	if (place->reserve_error == EOPNOTSUPP)
		return "the file system cannot reserve blocks";
	if (place->reserve_error != 0)
		return "blocks cannot be reserved, see above";
	return NULL;
}

/* The choice in brackets in "always [madvise] never" (kernel documentation, transhuge). */
static const char *
thp_setting(void)
{
	static char line[64];
	FILE *stream = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "re");
	char *begin = NULL;

	if (stream != NULL && fgets(line, sizeof(line), stream) != NULL)
		begin = strchr(line, '[');
	if (stream != NULL)
		fclose(stream);
	if (begin == NULL)
		return "not known";
	begin[strcspn(begin, "]")] = '\0';
	return begin + 1;
}

/* What the directory is good for, if a pool is possible in it. */
static const char *
advice(const struct place *place)
{
	const struct vmm_os_fs *fs = &place->file.fs;

	if (fs->maps_reserve)
		return "good for programs that do not fork: large pages, but with"
		       " VMMALLOC_FORK=1 fork(2) copies the whole heap";
	if (fs->device_bytes != 0)
		return "good for one program: no other can use the device meanwhile,"
		       " and a child of fork(2) has its heap in ordinary memory";
	if (fs->is_dax)
		return "good: persistent memory, mapped without a page cache;"
		       " with VMMALLOC_FORK=2 fork(2) copies all memory in use";
	if (fs->is_fileless && strcmp(thp_setting(), "never") == 0)
		return "good, but without large pages: transparent_hugepage/enabled is never";
	if (fs->is_fileless)
		return "good: needs no mount and no privilege; fork(2) costs what it does"
		       " without the library";
	if (fs->reserve_allocates)
		return strcmp(place->huge, "never") != 0 || place->large_error == 0
		    ? "good: memory with large pages"
		    : "good; faster with large pages, on a tmpfs mounted with"
		      " huge=always";
	if (is_named(place, "overlay"))
		return "works, but without large pages and other features of the file"
		       " systems below overlayfs; a volume of its own or /dev/shm is"
		       " better";
	if (is_named(place, "btrfs"))
		return "works, but slowly: btrfs asks for space at each write; xfs"
		       " also shares blocks";
	if (place->shares_blocks)
		return "good for large heaps on a disk; VMMALLOC_FORK=2 is cheap";
	return "works: the page cache is written back to the disk; xfs would"
	       " share blocks with VMMALLOC_FORK=2";
}

/* A second thread for can_stop(): waits until the other end of the pipe is closed. */
static void *
wait_in_thread(void *pipe_end)
{
	char byte;

	return read(*(int *)pipe_end, &byte, 1) < 0 ? pipe_end : NULL;
}

/* Tries to stop a thread of this process. Returns "yes", or why that is not possible. */
static const char *
can_stop(void)
{
	pthread_t thread;
	int ends[2];
	int error;

	if (pipe(ends) != 0)
		return strerror(errno);
	error = pthread_create(&thread, NULL, wait_in_thread, &ends[0]);
	if (error != 0)
		return strerror(error);
	error = vmm_os_call_stopped(NULL, NULL, VMM_OS_STOP_OTHERS, true);
	close(ends[1]);
	pthread_join(thread, NULL);
	close(ends[0]);
	if (error == 0)
		return "yes";
	return error != EPERM ? strerror(error)
	    : "no (ptrace is refused): after a fork, a process with threads keeps its"
	      " heap in private memory";
}

static void
print_huge_pages(const struct place *place)
{
	const struct vmm_os_fs *fs = &place->file.fs;
	char text[16];

	printf("huge pages:     ");
	if (fs->is_fileless)
		printf("%s (transparent_hugepage/enabled)\n", thp_setting());
	else if (fs->maps_reserve || fs->device_bytes != 0)
		printf("all, of %s\n", human(fs->page_size, text));
	else if (fs->reserve_allocates && strcmp(place->huge, "never") != 0)
		printf("%s (mount option huge=)\n", place->huge);
	else if (fs->reserve_allocates && place->large_error == 0)
		printf("made by the library, beyond the first 32M of a heap\n");
	else if (fs->reserve_allocates)
		printf("never (mount option huge=); the library can make none: %s\n",
		    strerror(place->large_error));
	else
		printf("%s\n", fs->is_dax
		    ? "where the file system has free space in such large pieces"
		    : "no");
}

/* What limits a pool without a file. */
static void
print_memory(const struct place *place)
{
	char text[16];

	printf("free memory:    %s\n", human(meminfo("/proc/meminfo", "MemAvailable:"), text));
	if (place->room.free_bytes == UINT64_MAX)
		printf("limit:          none\n");
	else
		printf("limit:          %s (control group, memory.max)\n",
		    human(place->room.free_bytes, text));
}

static void
print_room(const struct place *place)
{
	char text[16];

	if (place->room.free_bytes == UINT64_MAX)
		printf("free space:     no limit\n");
	else
		printf("free space:     %s\n", human(place->room.free_bytes, text));
	if (place->room.limit_bytes != UINT64_MAX)
		printf("size limit:     %s (ulimit -f)\n",
		    human(place->room.limit_bytes, text));
}

/* Whether VMMALLOC_NUMA is accepted for a pool here, and what it does. */
static const char *
numa_use(const struct place *place)
{
	struct vmm_numa_nodes nodes;

	if (!place->file.fs.obeys_policy)
		return "no: the kernel places these pages itself";
	if (vmm_os_numa_nodes(&nodes) != 0)
		return "no: the kernel, or a seccomp filter, does not allow it";
	return place->file.fs.device_bytes != 0 ? "for private memory after a fork(2)" : "yes";
}

static void
print_trials(const struct place *place)
{
	printf("reserves:       %s\n", place->reserve_error == 0 ? "yes"
	    : strerror(place->reserve_error));
	printf("shares blocks:  %s\n", place->shares_blocks
	    ? "yes (VMMALLOC_FORK=2 and 3)" : "no");
	printf("stops threads:  %s\n", can_stop());
}

static void
print_place(const struct place *place)
{
	const char *why_not = obstacle(place);

	printf("memory:         %s\n", memory_of(place));
	print_huge_pages(place);
	if (place->file.fs.is_fileless)
		print_memory(place);
	else
		print_room(place);
	print_nodes();
	printf("VMMALLOC_NUMA:  %s\n", numa_use(place));
	if (!place->file.fs.is_fileless)
		print_trials(place);
	if (why_not != NULL)
		printf("advice:         no pool is possible: %s\n", why_not);
	else
		printf("advice:         %s\n", advice(place));
}

int
show_place(const char *dir)
{
	struct place place = { .dir = dir, .large_error = ENOTSUP };
	int error = vmm_os_file_create(dir, &place.file);
	const char *name = error == 0 ? place.file.fs.name : vmm_os_fs_name(dir);

	if (name == NULL || error == ENOTDIR)
		fail(1, "%s: %s", dir, strerror(error));
	printf("directory:      %s\n", dir);
	printf("file system:    %s\n", name);
	/* For example on a read-only file system, in another user's directory, in /proc. */
	if (error != 0) {
		printf("advice:         no pool is possible: cannot make a file (%s)\n",
		    strerror(error));
		return 1;
	}
	examine(&place);
	print_place(&place);
	vmm_os_file_close(&place.file, NULL, 0);
	return obstacle(&place) != NULL;
}
