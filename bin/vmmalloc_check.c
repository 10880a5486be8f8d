/* SPDX-License-Identifier: BSD-3-Clause */
/* vmmalloc_check.c: vmmalloc check: what a pool in a directory would be like. */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "libvmmalloc.h"
#include "os/os.h"
#include "vmmalloc.h"

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
	void *map;

	vmm_os_file_room(&place->file, &place->room);
	if (place->file.fs.maps_reserve)
		place->room.free_bytes = meminfo("HugePages_Free:") *
		    place->file.fs.page_size;
	read_huge_option(place);
	if (size < place->file.fs.page_size)
		size = place->file.fs.page_size;
	/* Trying would write over what is there. */
	if (place->file.fs.device_bytes != 0)
		return;
	/* Beyond the limit there would be a signal (setrlimit(2), SIGXFSZ). */
	if (place->room.limit_bytes < size) {
		place->reserve_error = EFBIG;
		return;
	}
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

/* A directory, and no file can be made in it: read-only, another user's, /proc. */
static void
show_no_file(const char *dir, const char *fs, int error)
{
	printf("directory:      %s\n", dir);
	printf("file system:    %s\n", fs);
	printf("advice:         no pool can be here: no file can be made (%s)\n",
	    strerror(error));
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
	if (place->file.fs.is_dax)
		return "the device itself (DAX)";
	if (place->file.fs.reserve_allocates || is_named(place, "ramfs"))
		return "page cache, without a disk";
	if (is_named(place, "overlay"))
		return "page cache, as the upper file system has it";
	return "page cache, written back to a disk";
}

/* The one line. */
static const char *
advice(const struct place *place)
{
	const struct vmm_os_fs *fs = &place->file.fs;

	if (fs->maps_reserve && place->reserve_error != 0)
		return "no huge page is free: raise vm.nr_hugepages";
	if (place->room.limit_bytes < VMMALLOC_MIN_POOL)
		return "the limit of file sizes is too small: a pool needs 14M at"
		       " least, raise ulimit -f";
	if (place->room.free_bytes < VMMALLOC_MIN_POOL)
		return "too little room: a pool needs 14M at least";
	if (place->reserve_error == EOPNOTSUPP)
		return "no pool can be here: the file system cannot reserve blocks";
	if (place->reserve_error != 0)
		return "no pool can be here: blocks cannot be reserved, see above";
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
	if (is_named(place, "overlay"))
		return "works; but large pages, and what else the file systems below"
		       " can do, is not had through overlayfs: a volume of its own,"
		       " or /dev/shm, is better";
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

int
show_place(const char *dir)
{
	struct place place = { .dir = dir };
	const struct vmm_os_fs *fs = &place.file.fs;
	char text[16];
	int error = vmm_os_file_create(dir, &place.file);
	const char *name = error == 0 ? fs->name : vmm_os_fs_name(dir);

	if (name == NULL || error == ENOTDIR)
		fail(1, "%s: %s", dir, strerror(error));
	if (error != 0) {
		show_no_file(dir, name, error);
		return 1;
	}
	look_at_place(&place);
	printf("directory:      %s\n", dir);
	printf("file system:    %s\n", fs->name);
	printf("memory:         %s\n", memory_of(&place));
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
	    place.room.free_bytes < VMMALLOC_MIN_POOL ||
	    place.room.limit_bytes < VMMALLOC_MIN_POOL;
}
