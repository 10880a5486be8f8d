/* SPDX-License-Identifier: BSD-3-Clause */
/* os_linux_file.c: os.h's backing file and its mappings, with Linux system calls. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "os.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14, glibc 2.35 */
#endif

/* Descriptors that programs neither use nor close in passing start about here. */
#define FD_HIGH 1000
/* One large fallocate(2) fails on tmpfs where several smaller ones work. */
#define RESERVE_STEP_MAX ((size_t)1 << 30)
#define NAME_TRIES_MAX 100

/*
 * O_TMPFILE is Linux 3.11 and not on every file system (open(2), EOPNOTSUPP;
 * EISDIR from kernels and file systems that do not know it).
 */
static int
open_named(const char *dir)
{
	static const char digits[] = "0123456789abcdefghijklmnopqrstuv";
	char path[PATH_MAX];
	size_t length = strlen(dir);
	static const char stem[] = "/.vmmalloc.";

	if (length + sizeof(stem) + 16 > sizeof(path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(path, dir, length);
	memcpy(path + length, stem, sizeof(stem) - 1);
	length += sizeof(stem) - 1;
	for (int tries = 0; tries < NAME_TRIES_MAX; tries++) {
		unsigned char random[16];
		int fd;

		if (getrandom(random, sizeof(random), 0) !=
		    (ssize_t)sizeof(random))
			return -1;
		for (size_t i = 0; i < sizeof(random); i++)
			path[length + i] = digits[random[i] % 32];
		path[length + sizeof(random)] = '\0';
		fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC |
		    O_NOFOLLOW, 0600);
		if (fd >= 0) {
			unlink(path);
			return fd;
		}
		if (errno != EEXIST)
			return -1;
	}
	return -1;
}

static int
open_unlinked(const char *dir)
{
	int fd = open(dir, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);

	if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR))
		fd = open_named(dir);
	return fd;
}

/*
 * A descriptor that neither the program's own low numbers nor a closed stdin,
 * stdout or stderr can be mistaken for; and not so high that the kernel has to
 * enlarge every child's table.
 */
static int
move_high(int fd)
{
	struct rlimit limit;
	int floor = FD_HIGH;
	int high;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur <= FD_HIGH)
		floor = limit.rlim_cur > 8 ? (int)limit.rlim_cur - 4 : 3;
	high = fcntl(fd, F_DUPFD_CLOEXEC, floor);
	if (high < 0)
		high = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (high < 0)
		return -1;
	close(fd);
	return high;
}

/* Whether a file's pages are the device itself: statx(2), Linux 5.8. */
static bool
is_dax(int fd)
{
#ifdef STATX_ATTR_DAX
	struct statx stat;

	return statx(fd, "", AT_EMPTY_PATH, STATX_TYPE, &stat) == 0 &&
	    (stat.stx_attributes & STATX_ATTR_DAX) != 0;
#else
	(void)fd;
	return false;
#endif
}

static void
learn_fs(int fd, struct vmm_os_fs *fs)
{
	struct statfs stat;

	*fs = (struct vmm_os_fs){
		.page_size = vmm_os_page_size(),
		.has_page_cache = !is_dax(fd),
	};
	if (fstatfs(fd, &stat) != 0)
		return;
	switch ((unsigned long)stat.f_type) {
	case HUGETLBFS_MAGIC:
		fs->page_size = (size_t)stat.f_bsize;
		fs->maps_reserve = true;
		fs->has_page_cache = false;
		break;
	case TMPFS_MAGIC:
		fs->reserve_allocates = true;
		break;
	case BTRFS_SUPER_MAGIC: {
		/* Copy-on-write would need new blocks, and fail, at a rewrite. */
		int flags = 0;

		if (ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0) {
			flags |= FS_NOCOW_FL;
			ioctl(fd, FS_IOC_SETFLAGS, &flags);
		}
		break;
	}
	default:
		break;
	}
}

int
vmm_os_file_create(const char *dir, struct vmm_os_file *file)
{
	struct stat stat;
	int high;
	int fd = open_unlinked(dir);
	int error;

	if (fd < 0)
		return errno;
	high = move_high(fd);
	if (high < 0)
		goto failed;
	fd = high;
	if (fstat(fd, &stat) != 0)
		goto failed;
	*file = (struct vmm_os_file){
		.fd = fd, .device = stat.st_dev, .inode = stat.st_ino
	};
	learn_fs(fd, &file->fs);
	return 0;

failed:
	error = errno;
	close(fd);
	return error;
}

bool
vmm_os_file_is_own(const struct vmm_os_file *file)
{
	struct stat stat;

	return fstat(file->fd, &stat) == 0 && stat.st_dev == file->device &&
	    stat.st_ino == file->inode;
}

void
vmm_os_file_room(const struct vmm_os_file *file, struct vmm_os_room *room)
{
	struct rlimit limit;
	struct statfs stat;

	*room = (struct vmm_os_room){ UINT64_MAX, UINT64_MAX };
	if (getrlimit(RLIMIT_FSIZE, &limit) == 0 &&
	    limit.rlim_cur != RLIM_INFINITY)
		room->limit_bytes = limit.rlim_cur;
	/* A file system without a size of its own (tmpfs, size=0) has no limit. */
	if (fstatfs(file->fd, &stat) == 0 && stat.f_blocks != 0)
		room->free_bytes = (uint64_t)stat.f_bavail *
		    (uint64_t)stat.f_bsize;
}

int
vmm_os_file_resize(const struct vmm_os_file *file, size_t size)
{
	return ftruncate(file->fd, (off_t)size) == 0 ? 0 : errno;
}

/* Room in the address space, aligned and inaccessible; NULL with errno if none. */
static char *
map_nothing(size_t size, size_t alignment)
{
	size_t whole = size + alignment;
	size_t lead;
	char *map;

	if (whole < size) {
		errno = ENOMEM;
		return NULL;
	}
	map = mmap(NULL, whole, PROT_NONE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (map == MAP_FAILED)
		return NULL;
	lead = -(uintptr_t)map & (alignment - 1);
	if (lead != 0)
		munmap(map, lead);
	munmap(map + lead + size, alignment - lead);
	return map + lead;
}

int
vmm_os_file_map(const struct vmm_os_file *file, size_t size, size_t alignment,
    void **address)
{
	char *place = map_nothing(size, alignment);

	if (place == NULL)
		return errno;
	if (mmap(place, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		file->fd, 0) == MAP_FAILED) {
		int error = errno;

		munmap(place, size);
		return error;
	}
	*address = place;
	return 0;
}

int
vmm_os_file_map_at(const struct vmm_os_file *file, void *address, size_t offset,
    size_t length)
{
	void *map = mmap((char *)address + offset, length,
	    PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file->fd,
	    (off_t)offset);

	return map == MAP_FAILED ? errno : 0;
}

int
vmm_os_populate(void *address, size_t length)
{
	int result;

	do {
		result = madvise(address, length, MADV_POPULATE_WRITE);
	} while (result != 0 && (errno == EINTR || errno == EAGAIN));
	if (result == 0)
		return 0;
	/* An errno where a store would get SIGBUS. */
	return errno == EFAULT ? ENOSPC : errno;
}

static int
reserve_step(const struct vmm_os_file *file, void *address, size_t offset,
    size_t length)
{
	int result;

	if (!vmm_os_file_is_own(file))
		return vmm_os_populate((char *)address + offset, length);
	do {
		result = fallocate(file->fd, 0, (off_t)offset, (off_t)length);
	} while (result != 0 && errno == EINTR);
	return result == 0 ? 0 : errno;
}

int
vmm_os_file_reserve(const struct vmm_os_file *file, void *address,
    size_t offset, size_t length)
{
	if (file->fs.maps_reserve)
		return 0;
	while (length > 0) {
		size_t step = length < RESERVE_STEP_MAX ? length
							: RESERVE_STEP_MAX;
		int error = reserve_step(file, address, offset, step);

		if (error != 0)
			return error;
		offset += step;
		length -= step;
	}
	return 0;
}

int
vmm_os_file_remove(void *address, size_t length)
{
	return madvise(address, length, MADV_REMOVE) == 0 ? 0 : errno;
}

void
vmm_os_dump_set(void *address, size_t size, bool is_dumped)
{
	if (size > 0)
		madvise(address, size, is_dumped ? MADV_DODUMP : MADV_DONTDUMP);
}

void
vmm_os_file_close(struct vmm_os_file *file, void *address, size_t size)
{
	if (address != NULL)
		munmap(address, size);
	if (vmm_os_file_is_own(file))
		close(file->fd);
	file->fd = -1;
}
