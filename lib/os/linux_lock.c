/* SPDX-License-Identifier: BSD-3-Clause */
/* linux_lock.c: the lock of the processes that need a pool file, on Linux. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#include "base/text.h"
#include "os/linux_file.h"
#include "os/linux_proc.h"
#include "os/linux_sys.h"
#include "os/os.h"

/* Makes the file of the lock, for this process and its later children. */
static int
make_lock_file(struct vmm_os_file *file)
{
	struct rlimit limit;
	int error = vmm_os_file_adopt(vmm_os_memfd("vmmalloc", 0), file);

	/* Without the lock the heap can never return. */
	if (error == EMFILE && vmm_os_nofile_raise(&limit)) {
		error = vmm_os_file_adopt(vmm_os_memfd("vmmalloc", 0), file);
		vmm_os_nofile_restore(&limit);
	}
	return error;
}

/* Opens the file again: the new open file description has locks of its own. */
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
 * The lock of an open file description lasts until the last reference to the description is
 * gone (fcntl(2), "Open file description locks"). A mapping is such a reference. fork(2)
 * passes it on, execve(2) and exit remove it, and it stays when the program closes all
 * descriptors. Each call locks a new description, maps it, and unmaps the one before. If no
 * other lock remains, no other process needs the pool file.
 *
 * The lock is on a memfd, not on the pool file: overlayfs and other stacked file systems
 * map another file than the one that was opened, and the lock would be gone at once.
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

	/* Others may hold the lock of a file that is closed here: do not replace the file. */
	if (!vmm_os_file_is_open(&lock->file))
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
	*is_alone = vmm_sys.fcntl(fd, F_OFD_GETLK, &range) == 0 && range.l_type == F_UNLCK;
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
