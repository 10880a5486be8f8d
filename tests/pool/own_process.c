/* SPDX-License-Identifier: BSD-3-Clause */
/* own_process.c: prints the number of threads of its process; the descriptors, the mode, the
 * size and the blocks of the pool file; and the number of files in the pool's directory. */
#include "config.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int
entries(const char *path)
{
	DIR *dir = opendir(path);
	int n = 0;

	if (dir == NULL)
		return -1;
	for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
		n += entry->d_name[0] != '.' || strlen(entry->d_name) > 2;
	closedir(dir);
	return n;
}

int
main(void)
{
	const char *pool_dir = getenv("VMMALLOC_POOL_DIR");
	struct stat stat, dir;
	int found = 0, high = 0, cloexec = 0;
	long limit = sysconf(_SC_OPEN_MAX);
	unsigned mode = 0;
	unsigned long blocks_kb = 0, size_kb = 0;

	free(malloc(1000000));
	if (pool_dir == NULL || lstat(pool_dir, &dir) != 0)
		return 1;
	/* The pool file has no name and is on the file system of the pool directory. */
	for (int fd = 0; fd < 4096; fd++) {
		if (fstat(fd, &stat) != 0 || stat.st_dev != dir.st_dev ||
		    stat.st_nlink != 0)
			continue;
		found++;
		/* Programs rarely use, close or pass on such high descriptors. */
		high += fd >= 1000 || fd >= limit - 8;
		cloexec += (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0;
		mode = stat.st_mode & 07777;
		blocks_kb = (unsigned long)stat.st_blocks / 2;
		size_kb = (unsigned long)(stat.st_size / 1024);
	}
	printf("threads %d\n", entries("/proc/self/task"));
	printf("descriptors %d high %d cloexec %d mode %o\n", found, high,
	    cloexec, mode);
	printf("size %lu KiB\n", size_kb);
	printf("%s\n", blocks_kb >= size_kb ? "all reserved"
		: blocks_kb <= size_kb / 4 ? "a little reserved"
					   : "some reserved");
	printf("names %d\n", entries(pool_dir));
	return 0;
}
