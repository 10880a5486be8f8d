/* SPDX-License-Identifier: BSD-3-Clause */
/* disk.c: for tests, the pool file, and files that fill a file system. */
#include "config.h"

#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk.h"

#define FD_MAX 4096

int
disk_pool_descriptor(const char *dir)
{
	struct stat place, stat;

	if (dir == NULL || lstat(dir, &place) != 0)
		return -1;
	for (int fd = 0; fd < FD_MAX; fd++) {
		if (fstat(fd, &stat) == 0 && stat.st_dev == place.st_dev &&
		    S_ISREG(stat.st_mode) && stat.st_nlink == 0)
			return fd;
	}
	return -1;
}

uint64_t
disk_pool_sum(void)
{
	static uint64_t buffer[8192];
	int fd = disk_pool_descriptor(getenv("VMMALLOC_POOL_DIR"));
	uint64_t sum = fd >= 0;
	off_t at = 0;
	ssize_t got;

	while (fd >= 0 && (got = pread(fd, buffer, sizeof(buffer), at)) > 0) {
		for (size_t i = 0; i < (size_t)got / sizeof(buffer[0]); i++)
			sum = sum * 31 + buffer[i];
		at += got;
	}
	return sum;
}

int
disk_fill(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	off_t end = 0;
	static char page[4096];

	/* Ever smaller steps, and then single pages that fallocate has refused. */
	for (off_t step = (off_t)1 << 30; fd >= 0 && step >= 4096; step /= 2) {
		while (posix_fallocate(fd, end, step) == 0)
			end += step;
	}
	if (fd >= 0)
		lseek(fd, 0, SEEK_END);
	while (fd >= 0 && write(fd, page, sizeof(page)) > 0)
		;
	return fd;
}
