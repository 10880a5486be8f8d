/* SPDX-License-Identifier: BSD-3-Clause */
/* linux_reserve.c: reserves and releases file blocks of the pool file, on Linux. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "os/linux_proc.h"
#include "os/linux_sys.h"
#include "os/os.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22 /* Linux 5.14, glibc 2.35 */
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14, glibc 2.35 */
#endif

/* On tmpfs one large fallocate(2) fails where several smaller ones succeed. */
#define RESERVE_STEP_MAX ((size_t)1 << 30)
#define ZEROS_BYTES ((size_t)64 << 10)

int
vmm_os_populate(void *address, size_t length)
{
	int result;

	do {
		result = vmm_sys.madvise(address, length, MADV_POPULATE_WRITE);
	} while (result != 0 && (errno == EINTR || errno == EAGAIN));
	if (result == 0)
		return 0;
	/* EFAULT: a store would get SIGBUS. */
	return errno == EFAULT ? ENOSPC : errno;
}

void
vmm_os_populate_read(void *address, size_t length)
{
	vmm_sys.madvise(address, length, MADV_POPULATE_READ);
}

/*
 * For kernels without MADV_POPULATE_WRITE: writes zeros over the zeros that are there. A
 * system call fails where a store would get SIGBUS.
 */
static int
write_zeros(char *address, size_t length)
{
	static char zeros[ZEROS_BYTES];

	while (length > 0) {
		size_t step = length < sizeof(zeros) ? length : sizeof(zeros);
		struct iovec from = { zeros, step }, to = { address, step };
		/* By this thread's ID: the main thread may have ended. */
		ssize_t written = vmm_sys.process_vm_writev(vmm_os_thread(), &from, 1,
		    &to, 1, 0);

		if (written < 0 && errno == EINTR)
			continue;
		/* EFAULT: the kernel got no page. */
		if (written <= 0)
			return written == 0 || errno == EFAULT ? ENOSPC : errno;
		address += written;
		length -= (size_t)written;
	}
	return 0;
}

/* Reserves through the mapping, without the descriptor. */
static int
reserve_mapped(char *address, size_t length)
{
	int error = vmm_os_populate(address, length);

	return error == EINVAL ? write_zeros(address, length) : error;
}

/*
 * Reserves *length bytes, or reduces *length and reserves that. Some file systems undo a
 * whole fallocate(2) when a signal arrives. So each EINTR halves the length, until a call
 * can finish between two signals.
 */
static int
reserve_step(const struct vmm_os_file *file, char *address, size_t offset, size_t *length)
{
	if (!vmm_os_file_is_open(file))
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
	/* A device still holds the heap of an earlier process, which must not be read. */
	if (file->fs.device_bytes != 0) {
		memset((char *)address + offset, 0, length);
		return 0;
	}
	if (!file->fs.is_fileless && !vmm_os_file_may_reach(offset + length))
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
vmm_os_file_release(void *address, size_t length)
{
	return vmm_sys.madvise(address, length, MADV_REMOVE) == 0 ? 0 : errno;
}
