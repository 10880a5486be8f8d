/* SPDX-License-Identifier: BSD-3-Clause */
/* linux_fs.c: the kind of a file system and its properties, on Linux. */
#include "config.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <sys/ioctl.h>

#include "os/linux_file.h"
#include "os/linux_sys.h"
#include "os/os.h"

#ifndef F2FS_SUPER_MAGIC
#define F2FS_SUPER_MAGIC 0xf2f52010
#endif

/* Whether a file's pages are memory of the storage device (statx(2), Linux 5.8). */
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

/* Returns the name in mount(8) of a type of file system (statfs(2), f_type). */
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

/* With copy-on-write a store needs a new file block: without space it raises SIGBUS. */
static void
forbid_cow(int fd)
{
	int flags = 0;

	if (vmm_sys.ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0) {
		flags |= FS_NOCOW_FL;
		vmm_sys.ioctl(fd, FS_IOC_SETFLAGS, &flags);
	}
}

void
vmm_os_fs_read(int fd, struct vmm_os_fs *fs)
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
		.obeys_policy = type == TMPFS_MAGIC || type == HUGETLBFS_MAGIC,
		.keeps_policy = type == TMPFS_MAGIC,
		.makes_large = type == TMPFS_MAGIC,
	};
	if (fs->maps_reserve)
		fs->page_size = (size_t)stat.f_bsize;
	if (type == BTRFS_SUPER_MAGIC)
		forbid_cow(fd);
}
