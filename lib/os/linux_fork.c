/* SPDX-License-Identifier: BSD-3-Clause */
/* linux_fork.c: os.h's ways to copy and share a file, and who needs it, on Linux. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/text.h"
#include "os/linux_proc.h"
#include "os/linux_sys.h"
#include "os/os.h"

/* Entries of /proc/PID/pagemap (kernel documentation, admin-guide/mm/pagemap). */
#define PAGEMAP_PRESENT ((uint64_t)1 << 63)
#define PAGEMAP_SWAPPED ((uint64_t)1 << 62)
#define PAGEMAP_FILE ((uint64_t)1 << 61)
#define PAGEMAP_STEP 64
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U /* Linux 6.3 */
#endif

int
vmm_os_file_can_be_private(const struct vmm_os_file *file)
{
	if (file->fs.maps_reserve || file->fs.device_bytes != 0)
		return EOPNOTSUPP;
	return vmm_os_file_is_own(file) ? 0 : EBADF;
}

void
vmm_os_discard(void *address, size_t length)
{
	vmm_sys.madvise(address, length, MADV_DONTNEED);
}

int
vmm_os_file_write(const struct vmm_os_file *file, size_t offset,
    const void *data, size_t length)
{
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
		return; /* The descriptor stands where it stood. */
	/* A file system that cannot tell has data everywhere. */
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
	bool is_own = vmm_os_file_is_own(file);

	*file = *by;
	/* The same number, so that it does not wander from child to child. */
	if (is_own && vmm_sys.dup3(by->fd, number, O_CLOEXEC) == number) {
		vmm_sys.close(by->fd);
		file->fd = number;
	}
}

static int
make_memory_file(void)
{
	int fd = vmm_sys.memfd_create("vmmalloc", MFD_CLOEXEC | MFD_NOEXEC_SEAL);

	if (fd < 0 && errno == EINVAL)
		fd = vmm_sys.memfd_create("vmmalloc", MFD_CLOEXEC);
	return fd;
}

/* A file in memory that all processes which may need the pool's file have in common. */
static int
make_lock_file(struct vmm_os_file *file)
{
	struct rlimit limit;
	int error = vmm_os_file_adopt(make_memory_file(), file);

	/* Without it the heap would never return. */
	if (error == EMFILE && vmm_os_nofile_raise(&limit)) {
		error = vmm_os_file_adopt(make_memory_file(), file);
		vmm_os_nofile_restore(&limit);
	}
	return error;
}

/* A new open file description of the file: its locks are its own. */
static int
reopen(const struct vmm_os_file *file)
{
	struct vmm_text path;

	vmm_text_clear(&path);
	vmm_text_str(&path, VMM_OS_SELF "fd/");
	vmm_text_uint(&path, (uint64_t)file->fd);
	return vmm_os_proc_open(AT_FDCWD, path.data, O_RDWR);
}

/*
 * A lock of an open file description lasts until the last reference to it is gone
 * (fcntl(2), "Open file description locks"), and a mapping is a reference: one that
 * fork(2) hands on, that execve(2) and exit drop, and that a program which closes
 * all descriptors keeps. Who finds no lock but that of a description made just
 * now, and drops the one before, is alone. The file is a memfd, and not the pool's:
 * overlayfs and other stacked file systems put another file into a mapping, and the
 * lock would be gone at once.
 */
int
vmm_os_lock_hold(struct vmm_os_lock *lock, bool *is_alone)
{
	struct flock range = { .l_type = F_RDLCK, .l_whence = SEEK_SET,
		.l_start = 0, .l_len = 1 };
	size_t size = vmm_os_page_size();
	void *map;
	int error = 0;
	int fd;

	/* Others may hold the one that is lost: another must not take its place. */
	if (!vmm_os_file_is_own(&lock->file))
		error = lock->mark != NULL ? EBADF : make_lock_file(&lock->file);
	if (error != 0)
		return error;
	fd = reopen(&lock->file);
	if (fd < 0)
		return errno;
	if (vmm_sys.fcntl(fd, F_OFD_SETLK, &range) != 0)
		goto failed;
	map = vmm_sys.mmap(NULL, size, PROT_NONE, MAP_PRIVATE, fd, 0);
	if (map == MAP_FAILED)
		goto failed;
	if (lock->mark != NULL)
		vmm_sys.munmap(lock->mark, size);
	lock->mark = map;
	range.l_type = F_WRLCK;
	*is_alone = vmm_sys.fcntl(fd, F_OFD_GETLK, &range) == 0 &&
	    range.l_type == F_UNLCK;
	vmm_sys.close(fd);
	return 0;

failed:
	error = errno;
	vmm_sys.close(fd);
	return error;
}

void
vmm_os_lock_release(struct vmm_os_lock *lock)
{
	if (lock->mark != NULL)
		vmm_sys.munmap(lock->mark, vmm_os_page_size());
	lock->mark = NULL;
	vmm_os_file_close(&lock->file, NULL, 0);
}

void
vmm_os_private_pages(const void *address, size_t npages,
    unsigned char *is_private)
{
	uint64_t entries[PAGEMAP_STEP];
	uintptr_t first = (uintptr_t)address / vmm_os_page_size();
	int fd = vmm_os_proc_open(AT_FDCWD, VMM_OS_SELF "pagemap", O_RDONLY);

	memset(is_private, 1, npages);
	for (size_t done = 0; fd >= 0 && done < npages;) {
		size_t count = npages - done < PAGEMAP_STEP ? npages - done
							    : PAGEMAP_STEP;
		size_t size = count * sizeof(entries[0]);

		if (vmm_sys.pread(fd, entries, size, (off_t)((first + done) *
			sizeof(entries[0]))) != (ssize_t)size)
			break;
		for (size_t i = 0; i < count; i++)
			is_private[done + i] = (entries[i] &
			    (PAGEMAP_PRESENT | PAGEMAP_SWAPPED)) != 0 &&
			    (entries[i] & PAGEMAP_FILE) == 0;
		done += count;
	}
	if (fd >= 0)
		vmm_sys.close(fd);
}
