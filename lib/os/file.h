/* SPDX-License-Identifier: BSD-3-Clause */
/* file.h: functions for the pool file, memory devices, and the lock; os.h has the rules. */
#ifndef VMM_OS_FILE_H
#define VMM_OS_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Properties of the file system of a pool file. */
struct vmm_os_fs {
	const char *name;       /* as in mount(8), "device DAX", "memory", "another kind" */
	size_t page_size;       /* of mappings of the file: larger on hugetlbfs, devices */
	bool maps_reserve;      /* mmap(2) itself reserves the pages (hugetlbfs) */
	bool reserve_allocates; /* reserving takes memory or time per byte: tmpfs, devices */
	bool is_dax;            /* its pages are memory of the storage device itself */
	bool has_page_cache;    /* unused pages are worth releasing; not with DAX, hugetlbfs */
	bool obeys_policy;      /* VMMALLOC_NUMA is accepted; on a device only for private memory */
	bool keeps_policy;      /* mbind(2) of a shared mapping is stored in the file (tmpfs) */
	bool makes_large;       /* MADV_COLLAPSE makes large pages of its small ones (tmpfs) */
	bool is_fileless;       /* ":memory:": no file, but private memory of the process */
	uint64_t device_bytes;  /* the size of a device; 0: it is a file */
};

/* An open file. The pool file is unlinked, so that it ends with the process. */
struct vmm_os_file {
	int fd;
	uint64_t device; /* st_dev and st_ino: the program may close `fd`, so that */
	uint64_t inode;  /* another file gets the number */
	struct vmm_os_fs fs;
};

/* The limits of a pool's size; UINT64_MAX: no limit, or not known. */
struct vmm_os_limits {
	uint64_t free_bytes;  /* of the file system; a device's size; the control groups' limit */
	uint64_t limit_bytes; /* RLIMIT_FSIZE */
};

/*
 * Creates an empty pool file in directory `dir`, unlinked, with mode 0600, and reads the
 * properties of its file system. The descriptor is close-on-exec, and has a high number
 * (from 1000 on, if the limit allows). ENOENT, EACCES, EROFS, EMFILE and others as open(2).
 *
 * `dir` may also be a character device of memory (kernel documentation, ABI,
 * sysfs-bus-dax). The device is locked for this process and its children: EBUSY if it is
 * locked already. ENODEV if the kernel does not report its size. ENOTDIR if `dir` is
 * neither a directory nor such a device. A device keeps its old content until it is
 * reserved. It can be mapped shared only, with ends at multiples of fs.page_size. It cannot
 * be resized, and nothing of it can be released.
 *
 * If `dir` is ":memory:", there is no file: fd is -1, and fs.is_fileless is true. If a size of
 * huge pages follows (":memory:2M"), the file is a memfd of such pages (memfd_create(2),
 * MFD_HUGETLB). EINVAL for any other text; ENODEV if the kernel lacks that size.
 */
int vmm_os_file_create(const char *dir, struct vmm_os_file *file);

/*
 * The offset of the pool file's descriptor, by which `vmmalloc ps` recognizes a pool file
 * (proc_pid_fdinfo(5)). Nothing else uses the offset.
 */
#define VMM_OS_FILE_MARK 0x766d6d616cLL /* "vmmal" */

/* Whether `dir` names a pool in memory, not a path: it begins with ":memory:". */
bool vmm_os_is_memory(const char *dir);

/*
 * Marks the range of a pool without a file, so that `vmmalloc ps` finds it: maps one page,
 * inaccessible, of a memfd whose name is VMM_OS_MEMORY_MARK, then 0xADDRESS+SIZE, with SIZE in
 * decimal (memfd_create(2)). Children of fork(2) inherit the mapping. A failure is ignored.
 * Nothing unmaps it.
 */
#define VMM_OS_MEMORY_MARK "vmmalloc."
void vmm_os_memory_mark(const void *address, size_t size);

/*
 * Makes `path` absolute, so that it stays valid after chdir(2). ENAMETOOLONG if it does not
 * fit into `size` bytes; ENOENT and others as getcwd(3). The name of a pool in memory stays.
 */
int vmm_os_path_absolute(const char *path, char *absolute, size_t size);

/* Returns fs.name of the file system that `path` is on, or NULL if `path` cannot be opened. */
const char *vmm_os_fs_name(const char *path);

/* Whether the descriptor still is the file. The program may have closed it. */
bool vmm_os_file_is_open(const struct vmm_os_file *file);

/* Closes the file, if the program has not, and unmaps `address` unless it is NULL. */
void vmm_os_file_close(struct vmm_os_file *file, void *address, size_t size);

/* Closes the file, and replaces it by `by`, with the same number if possible (dup3(2)). */
void vmm_os_file_replace(struct vmm_os_file *file, const struct vmm_os_file *by);

/* Reports how large the new file may become. */
void vmm_os_file_limits(const struct vmm_os_file *file, struct vmm_os_limits *room);

/* Whether RLIMIT_FSIZE allows a file of `end` bytes. A larger file raises SIGXFSZ. */
bool vmm_os_file_may_reach(size_t end);

/*
 * Sets the size of the new file, a multiple of fs.page_size (ftruncate(2)). The file gets
 * no file blocks. Check RLIMIT_FSIZE first: a larger size raises SIGXFSZ. ENOSPC if a
 * device is smaller. On tmpfs also gives the file the policy of vmm_os_numa_set: ENOMEM.
 * Does nothing without a file (fs.is_fileless).
 */
int vmm_os_file_resize(const struct vmm_os_file *file, size_t size);

/* Reports the bytes that the file blocks take (stat(2)). EBADF; EOPNOTSUPP for a device. */
int vmm_os_file_blocks(const struct vmm_os_file *file, uint64_t *bytes);

/*
 * Reserves the file blocks of [offset, offset + length) (fallocate(2)): a later store cannot
 * fail for space. `address` is where the file is mapped, or NULL. Clears the bytes of a
 * device, which must be mapped. Does nothing if fs.maps_reserve. Without a file, or if the
 * program has closed the descriptor, populates the mapping instead (MADV_POPULATE_WRITE),
 * where all bytes must be 0; EBADF if `address` is NULL. ENOSPC; EFBIG beyond RLIMIT_FSIZE;
 * EOPNOTSUPP.
 */
int vmm_os_file_reserve(const struct vmm_os_file *file, void *address,
    size_t offset, size_t length);

/*
 * Releases the memory and the file blocks of the mapping [address, address + length), which
 * are then no longer reserved (madvise(2), MADV_REMOVE). The bytes read as 0 afterwards.
 * Needs no descriptor. EOPNOTSUPP, EINVAL.
 */
int vmm_os_file_release(void *address, size_t length);

/* Writes all of `data` into the file (pwrite(2)). ENOSPC, EDQUOT, EIO, EBADF. */
int vmm_os_file_write(const struct vmm_os_file *file, size_t offset,
    const void *data, size_t length);

/*
 * Sets [*begin, *end) to the first data at or behind `from` (lseek(2), SEEK_DATA,
 * SEEK_HOLE), or both to `limit` if there is none before `limit`. If the file system does not
 * know its holes, all of the file is data. The kernel may examine all pages up to the hole.
 */
void vmm_os_file_next_data(const struct vmm_os_file *file, size_t from, size_t limit,
    size_t *begin, size_t *end);

/*
 * Makes both files share the file blocks of [offset, offset + length); a write to either
 * file gives that file a new block (ioctl_ficlonerange(2)). Unlike copy_file_range(2) this
 * never copies, so the caller knows that neither file has these blocks reserved. The kernel
 * writes dirty pages to disk first. EOPNOTSUPP, EINVAL, EXDEV if blocks cannot be shared.
 */
int vmm_os_file_clone(const struct vmm_os_file *to,
    const struct vmm_os_file *from, size_t offset, size_t length);

/*
 * Returns how much of the first `length` bytes is not on disk yet (cachestat(2), Linux
 * 6.5), or 0 if that is not known.
 */
uint64_t vmm_os_file_unwritten(const struct vmm_os_file *file, size_t length);

/* Starts writing dirty pages to disk, and does not wait (sync_file_range(2)). */
void vmm_os_file_write_out(const struct vmm_os_file *file);

/*
 * Returns 0 if the kernel can copy the file's pages on write (VMM_OS_PRIVATE). EBADF if the
 * program has closed the descriptor. EOPNOTSUPP for a device, and on hugetlbfs: there a
 * copy without reserved pages ends in SIGBUS (kernel documentation, hugetlbpage).
 */
int vmm_os_file_can_be_private(const struct vmm_os_file *file);

/*
 * A lock that several processes can hold: each one whose private heap is mapped from the
 * pool file. The lock is on a file of its own, so that it works on every file system.
 */
struct vmm_os_lock {
	struct vmm_os_file file;
	void *mark; /* the mapping that holds the lock, or NULL */
};

/*
 * Takes the lock for this process; its children of fork(2) hold it, too. exit, execve(2) and
 * vmm_os_lock_release release it. *is_alone is true if this process alone holds it. Needs
 * /proc. EBADF if the program has closed the lock's file, EMFILE, ENOMEM: nothing changes.
 */
int vmm_os_lock_hold(struct vmm_os_lock *lock, bool *is_alone);

/* Releases the lock for this process, and closes its file. */
void vmm_os_lock_release(struct vmm_os_lock *lock);

#endif
