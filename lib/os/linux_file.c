/* SPDX-License-Identifier: BSD-3-Clause */
/* linux_file.c: os.h's backing file and its mappings, with Linux system calls. */
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

#include "os/linux_sys.h"
#include "os/os.h"

#ifndef F2FS_SUPER_MAGIC
#define F2FS_SUPER_MAGIC 0xf2f52010
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22 /* Linux 5.14, glibc 2.35 */
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14, glibc 2.35 */
#endif

/* Descriptors that programs neither use nor close in passing start about here. */
#define FD_HIGH 1000
/* One large fallocate(2) fails on tmpfs where several smaller ones work. */
#define RESERVE_STEP_MAX ((size_t)1 << 30)
#define ZEROS_BYTES ((size_t)64 << 10)
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

			/* With a name it would outlive its process. */
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

/* Whether a file's pages are the device itself: statx(2), Linux 5.8. */
static bool
is_dax_file(int fd)
{
#ifdef STATX_ATTR_DAX
	struct statx stat;

	return vmm_sys.statx(fd, "", AT_EMPTY_PATH, STATX_TYPE, &stat) == 0 &&
	    (stat.stx_attributes & STATX_ATTR_DAX) != 0;
#else
	(void)fd;
	return false;
#endif
}

/* The names that mount(8) has for them; statfs(2) has the numbers. */
static const char *
name_of_fs(unsigned long type)
{
	static const struct {
		unsigned long type;
		const char *name;
	} names[] = {
		{ TMPFS_MAGIC, "tmpfs" }, { HUGETLBFS_MAGIC, "hugetlbfs" },
		{ EXT4_SUPER_MAGIC, "ext4" }, { XFS_SUPER_MAGIC, "xfs" },
		{ BTRFS_SUPER_MAGIC, "btrfs" }, { F2FS_SUPER_MAGIC, "f2fs" },
		{ OVERLAYFS_SUPER_MAGIC, "overlay" }, { NFS_SUPER_MAGIC, "nfs" },
		{ 0x2fc12fc1, "zfs" }, { 0x65735546, "fuse" },
		{ RAMFS_MAGIC, "ramfs" }, { PROC_SUPER_MAGIC, "proc" },
		{ SYSFS_MAGIC, "sysfs" },
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (names[i].type == type)
			return names[i].name;
	}
	return "another kind";
}

const char *
vmm_os_fs_name(const char *path)
{
	int fd = vmm_sys.openat(AT_FDCWD, path, O_PATH | O_CLOEXEC, 0);
	struct statfs stat;
	const char *name = NULL;

	if (fd >= 0 && vmm_sys.fstatfs(fd, &stat) == 0)
		name = name_of_fs((unsigned long)stat.f_type);
	if (fd >= 0)
		vmm_sys.close(fd);
	return name;
}

/* Copy-on-write would need new blocks, and fail, at a rewrite. */
static void
forbid_cow(int fd)
{
	int flags = 0;

	if (vmm_sys.ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0) {
		flags |= FS_NOCOW_FL;
		vmm_sys.ioctl(fd, FS_IOC_SETFLAGS, &flags);
	}
}

static void
learn_fs(int fd, struct vmm_os_fs *fs)
{
	struct statfs stat = { 0 };
	unsigned long type = vmm_sys.fstatfs(fd, &stat) == 0
	    ? (unsigned long)stat.f_type : 0;
	bool is_dax = is_dax_file(fd);

	*fs = (struct vmm_os_fs){
		.name = name_of_fs(type),
		.page_size = vmm_os_page_size(),
		.maps_reserve = type == HUGETLBFS_MAGIC,
		.reserve_allocates = type == TMPFS_MAGIC,
		.is_dax = is_dax,
		.has_page_cache = !is_dax && type != HUGETLBFS_MAGIC,
	};
	if (fs->maps_reserve)
		fs->page_size = (size_t)stat.f_bsize;
	if (type == BTRFS_SUPER_MAGIC)
		forbid_cow(fd);
}

int
vmm_os_file_create(const char *dir, struct vmm_os_file *file)
{
	int error = vmm_os_file_adopt(open_unlinked(dir), file);

	if (error == ENOTDIR)
		return vmm_os_device_open(dir, file);
	if (error != 0)
		return error;
	learn_fs(file->fd, &file->fs);
	vmm_os_file_mark(file);
	return 0;
}

bool
vmm_os_file_is_own(const struct vmm_os_file *file)
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
	if (!vmm_os_file_is_own(file) || vmm_sys.fstat(file->fd, &stat) != 0)
		return EBADF;
	*bytes = (uint64_t)stat.st_blocks * 512;
	return 0;
}

void
vmm_os_file_room(const struct vmm_os_file *file, struct vmm_os_room *room)
{
	struct rlimit limit;
	struct statfs stat;

	*room = (struct vmm_os_room){ UINT64_MAX, UINT64_MAX };
	if (file->fs.device_bytes != 0) {
		room->free_bytes = file->fs.device_bytes;
		return;
	}
	if (vmm_sys.getrlimit(RLIMIT_FSIZE, &limit) == 0 &&
	    limit.rlim_cur != RLIM_INFINITY)
		room->limit_bytes = limit.rlim_cur;
	/* A file system without a size of its own (tmpfs, size=0) has no limit. */
	if (vmm_sys.fstatfs(file->fd, &stat) == 0 && stat.f_blocks != 0)
		room->free_bytes = (uint64_t)stat.f_bavail *
		    (uint64_t)stat.f_bsize;
}

int
vmm_os_file_resize(const struct vmm_os_file *file, size_t size)
{
	if (file->fs.device_bytes != 0)
		return size <= file->fs.device_bytes ? 0 : ENOSPC;
	return vmm_sys.ftruncate(file->fd, (off_t)size) == 0 ? 0 : errno;
}

int
vmm_os_populate(void *address, size_t length)
{
	int result;

	do {
		result = vmm_sys.madvise(address, length, MADV_POPULATE_WRITE);
	} while (result != 0 && (errno == EINTR || errno == EAGAIN));
	if (result == 0)
		return 0;
	/* An errno where a store would get SIGBUS. */
	return errno == EFAULT ? ENOSPC : errno;
}

void
vmm_os_populate_read(void *address, size_t length)
{
	vmm_sys.madvise(address, length, MADV_POPULATE_READ);
}

/*
 * For kernels that cannot populate: writes zeros, which is what is there, by a system call,
 * which fails where a store would get SIGBUS.
 */
static int
write_zeros(char *address, size_t length)
{
	static char zeros[ZEROS_BYTES];

	while (length > 0) {
		size_t step = length < sizeof(zeros) ? length : sizeof(zeros);
		struct iovec from = { zeros, step }, to = { address, step };
		ssize_t written = vmm_sys.process_vm_writev(vmm_os_process(), &from, 1,
		    &to, 1, 0);

		if (written < 0 && errno == EINTR)
			continue;
		/* EFAULT: there was no page to be had. */
		if (written <= 0)
			return written == 0 || errno == EFAULT ? ENOSPC : errno;
		address += written;
		length -= (size_t)written;
	}
	return 0;
}

/* Without the descriptor, through the mapping. */
static int
reserve_mapped(char *address, size_t length)
{
	int error = vmm_os_populate(address, length);

	return error == EINVAL ? write_zeros(address, length) : error;
}

/*
 * Reserves *length bytes, or fewer. Some file systems undo all that fallocate(2) has done
 * when a signal comes, so after each EINTR the length is halved, until a call can end
 * between two signals.
 */
static int
reserve_step(const struct vmm_os_file *file, char *address, size_t offset,
    size_t *length)
{
	if (!vmm_os_file_is_own(file))
		return address == NULL ? EBADF : reserve_mapped(address + offset, *length);
	while (vmm_sys.fallocate(file->fd, 0, (off_t)offset, (off_t)*length) != 0) {
		if (errno != EINTR)
			return errno;
		if (*length > file->fs.page_size)
			*length = (*length / 2 + file->fs.page_size - 1) &
			    -file->fs.page_size;
	}
	return 0;
}

bool
vmm_os_file_may_reach(size_t end)
{
	struct rlimit limit;

	return vmm_sys.getrlimit(RLIMIT_FSIZE, &limit) != 0 ||
	    limit.rlim_cur == RLIM_INFINITY || end <= limit.rlim_cur;
}

int
vmm_os_file_reserve(const struct vmm_os_file *file, void *address,
    size_t offset, size_t length)
{
	size_t step = RESERVE_STEP_MAX;

	if (file->fs.maps_reserve)
		return 0;
	/* Nobody's heap is to be read in the next one's. */
	if (file->fs.device_bytes != 0) {
		memset((char *)address + offset, 0, length);
		return 0;
	}
	if (!vmm_os_file_may_reach(offset + length))
		return EFBIG;
	while (length > 0) {
		int error;

		if (step > length)
			step = length;
		error = reserve_step(file, address, offset, &step);
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
	return vmm_sys.madvise(address, length, MADV_REMOVE) == 0 ? 0 : errno;
}

void
vmm_os_file_close(struct vmm_os_file *file, void *address, size_t size)
{
	if (address != NULL)
		vmm_sys.munmap(address, size);
	if (vmm_os_file_is_own(file))
		vmm_sys.close(file->fd);
	file->fd = -1;
}
