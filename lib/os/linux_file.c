/* SPDX-License-Identifier: BSD-3-Clause */
/* linux_file.c: opens, measures, writes and copies the pool file, on Linux. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "os/linux_file.h"
#include "os/linux_sys.h"
#include "os/os.h"

/* Programs rarely use descriptors from this number on, and rarely close all up to it. */
#define FD_HIGH 1000
#define NAME_TRIES_MAX 100

int
vmm_os_path_absolute(const char *path, char *absolute, size_t size)
{
	size_t length = 0;

	if (path[0] != '/' && !vmm_os_is_memory(path)) {
		/* getcwd(2): getcwd(3) allocates if the path is "(unreachable)". */
		if (vmm_sys.getcwd(absolute, size) < 0)
			return errno == ERANGE ? ENAMETOOLONG : errno;
		if (absolute[0] != '/')
			return ENOENT;
		length = strlen(absolute);
		absolute[length++] = '/';
	}
	if (strlen(path) >= size - length)
		return ENAMETOOLONG;
	strcpy(absolute + length, path);
	return 0;
}

/* Creates a file under a random name, and unlinks it. */
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

		if (vmm_sys.getrandom(random, sizeof(random), 0) !=
		    (ssize_t)sizeof(random))
			return -1;
		for (size_t i = 0; i < sizeof(random); i++)
			path[length + i] = digits[random[i] % 32];
		path[length + sizeof(random)] = '\0';
		fd = vmm_sys.openat(AT_FDCWD, path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC |
		    O_NOFOLLOW, 0600);
		if (fd >= 0 && vmm_sys.unlinkat(AT_FDCWD, path, 0) != 0) {
			int error = errno;

			/* A file with a name would remain after the process. */
			vmm_sys.close(fd);
			errno = error;
			return -1;
		}
		if (fd >= 0)
			return fd;
		if (errno != EEXIST)
			return -1;
	}
	return -1;
}

static int
open_unlinked(const char *dir)
{
	int fd = vmm_sys.openat(AT_FDCWD, dir, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);

	/* O_TMPFILE is not known before Linux 3.11, nor on every file system (open(2)). */
	if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR))
		fd = open_named(dir);
	return fd;
}

/*
 * Duplicates a descriptor to a number that the program is unlikely to use, and that is not
 * the number of a closed stdin, stdout or stderr. A much higher number would make the kernel
 * enlarge the descriptor table of every child.
 */
static int
duplicate_high(int fd)
{
	struct rlimit limit;
	int floor = FD_HIGH;
	int high;

	if (vmm_sys.getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur <= FD_HIGH)
		floor = limit.rlim_cur > 8 ? (int)limit.rlim_cur - 4 : 3;
	high = vmm_sys.fcntl(fd, F_DUPFD_CLOEXEC, (void *)(intptr_t)floor);
	return high >= 0 ? high : vmm_sys.fcntl(fd, F_DUPFD_CLOEXEC, (void *)3);
}

int
vmm_os_file_adopt(int fd, struct vmm_os_file *file)
{
	int high = fd < 0 ? -1 : duplicate_high(fd);
	int error = high < 0 ? errno : 0;
	struct stat stat;

	*file = (struct vmm_os_file){ .fd = -1 };
	if (fd >= 0)
		vmm_sys.close(fd);
	if (error == 0 && vmm_sys.fstat(high, &stat) != 0) {
		error = errno;
		vmm_sys.close(high);
	}
	if (error != 0)
		return error;
	file->fd = high;
	file->device = stat.st_dev;
	file->inode = stat.st_ino;
	return 0;
}

void
vmm_os_file_mark(const struct vmm_os_file *file)
{
	vmm_sys.lseek(file->fd, VMM_OS_FILE_MARK, SEEK_SET);
}

int
vmm_os_file_create(const char *dir, struct vmm_os_file *file)
{
	int error;

	if (vmm_os_is_memory(dir))
		return vmm_os_memory_open(dir, file);
	error = vmm_os_file_adopt(open_unlinked(dir), file);
	if (error == ENOTDIR)
		return vmm_os_device_open(dir, file);
	if (error != 0)
		return error;
	vmm_os_fs_read(file->fd, &file->fs);
	vmm_os_file_mark(file);
	return 0;
}

bool
vmm_os_file_is_open(const struct vmm_os_file *file)
{
	struct stat stat;

	return vmm_sys.fstat(file->fd, &stat) == 0 && stat.st_dev == file->device &&
	    stat.st_ino == file->inode;
}

int
vmm_os_file_blocks(const struct vmm_os_file *file, uint64_t *bytes)
{
	struct stat stat;

	if (file->fs.device_bytes != 0)
		return EOPNOTSUPP;
	if (!vmm_os_file_is_open(file) || vmm_sys.fstat(file->fd, &stat) != 0)
		return EBADF;
	*bytes = (uint64_t)stat.st_blocks * 512;
	return 0;
}

void
vmm_os_file_limits(const struct vmm_os_file *file, struct vmm_os_limits *room)
{
	struct rlimit limit;
	struct statfs stat;

	*room = (struct vmm_os_limits){ UINT64_MAX, UINT64_MAX };
	if (file->fs.device_bytes != 0) {
		room->free_bytes = file->fs.device_bytes;
		return;
	}
	if (file->fs.is_fileless) {
		room->free_bytes = vmm_os_memory_limit();
		return;
	}
	if (vmm_sys.getrlimit(RLIMIT_FSIZE, &limit) == 0 &&
	    limit.rlim_cur != RLIM_INFINITY)
		room->limit_bytes = limit.rlim_cur;
	/* A file system without a size (tmpfs, size=0) has no limit. */
	if (vmm_sys.fstatfs(file->fd, &stat) == 0 && stat.f_blocks != 0)
		room->free_bytes = (uint64_t)stat.f_bavail * (uint64_t)stat.f_bsize;
}

#define BIND_STEP_MIN ((size_t)16 << 20)

/*
 * tmpfs stores the policy of a shared mapping in the file. It must be there before fallocate(2),
 * which allocates the pages.
 */
static int
bind_file(const struct vmm_os_file *file, size_t size)
{
	size_t step = size;

	for (size_t at = 0; vmm_os_numa_is_set() && at < size; at += step) {
		void *map;

		step = step < size - at ? step : size - at;
		map = vmm_sys.mmap(NULL, step, PROT_NONE, MAP_SHARED, file->fd, (off_t)at);
		if (map != MAP_FAILED) {
			vmm_os_numa_apply(map, step);
			vmm_sys.munmap(map, step);
		} else if (step <= BIND_STEP_MIN) {
			return errno;
		} else {
			/* Little address space is free: again, in smaller steps. */
			step = BIND_STEP_MIN;
			at -= step;
		}
	}
	return 0;
}

int
vmm_os_file_resize(const struct vmm_os_file *file, size_t size)
{
	if (file->fs.device_bytes != 0)
		return size <= file->fs.device_bytes ? 0 : ENOSPC;
	if (file->fs.is_fileless)
		return 0;
	if (vmm_sys.ftruncate(file->fd, (off_t)size) != 0)
		return errno;
	return file->fs.keeps_policy ? bind_file(file, size) : 0;
}

int
vmm_os_file_can_be_private(const struct vmm_os_file *file)
{
	if (file->fs.maps_reserve || file->fs.device_bytes != 0)
		return EOPNOTSUPP;
	return vmm_os_file_is_open(file) ? 0 : EBADF;
}

int
vmm_os_file_write(const struct vmm_os_file *file, size_t offset,
    const void *data, size_t length)
{
	if (!vmm_os_file_is_open(file))
		return EBADF;
	while (length > 0) {
		ssize_t written = vmm_sys.pwrite(file->fd, data, length, (off_t)offset);

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return written < 0 ? errno : EIO;
		data = (const char *)data + written;
		offset += (size_t)written;
		length -= (size_t)written;
	}
	return 0;
}

void
vmm_os_file_next_data(const struct vmm_os_file *file, size_t from, size_t limit,
    size_t *begin, size_t *end)
{
	off_t data = vmm_sys.lseek(file->fd, (off_t)from, SEEK_DATA);
	off_t hole;

	*begin = *end = limit;
	if (data < 0 && errno == ENXIO)
		return; /* The descriptor's offset has not changed. */
	/* lseek(2) failed: the file system does not know where there is data. */
	if (data < (off_t)from)
		data = (off_t)from;
	hole = vmm_sys.lseek(file->fd, data, SEEK_HOLE);
	if ((size_t)data < limit)
		*begin = (size_t)data;
	if (hole > data && (size_t)hole < limit)
		*end = (size_t)hole;
	vmm_os_file_mark(file);
}

int
vmm_os_file_clone(const struct vmm_os_file *to, const struct vmm_os_file *from,
    size_t offset, size_t length)
{
	struct file_clone_range range = {
		.src_fd = from->fd, .src_offset = offset,
		.src_length = length, .dest_offset = offset,
	};

	return vmm_sys.ioctl(to->fd, FICLONERANGE, &range) == 0 ? 0 : errno;
}

uint64_t
vmm_os_file_unwritten(const struct vmm_os_file *file, size_t length)
{
	struct {
		uint64_t offset, length;
	} range = { 0, length };
	struct {
		uint64_t cached, dirty, writeback, evicted, recently_evicted;
	} figures;

	if (vmm_sys.cachestat(file->fd, &range, &figures, 0) != 0)
		return 0;
	return (figures.dirty + figures.writeback) * vmm_os_page_size();
}

void
vmm_os_file_write_out(const struct vmm_os_file *file)
{
	vmm_sys.sync_file_range(file->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
}

void
vmm_os_file_replace(struct vmm_os_file *file, const struct vmm_os_file *by)
{
	int number = file->fd;
	bool is_own = vmm_os_file_is_open(file);

	*file = *by;
	if (!is_own)
		return;
	/* Keep the number: else it would change with each generation of children. */
	if (vmm_sys.dup3(by->fd, number, O_CLOEXEC) == number) {
		vmm_sys.close(by->fd);
		file->fd = number;
	} else {
		/* RLIMIT_NOFILE, for example, may be lower by now. */
		vmm_sys.close(number);
	}
}

void
vmm_os_file_close(struct vmm_os_file *file, void *address, size_t size)
{
	if (address != NULL)
		vmm_sys.munmap(address, size);
	if (vmm_os_file_is_open(file))
		vmm_sys.close(file->fd);
	file->fd = -1;
}
