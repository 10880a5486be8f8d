/* SPDX-License-Identifier: BSD-3-Clause */
/* linux_device.c: opens a memory device instead of a pool file: device DAX of Linux. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/sysmacros.h>

#include "base/text.h"
#include "os/linux_file.h"
#include "os/linux_sys.h"
#include "os/os.h"

/* Sets the path of a device's attribute: /sys/dev/char/MAJOR:MINOR/NAME. */
static void
name_attribute(struct vmm_text *path, dev_t device, const char *name)
{
	vmm_text_clear(path);
	vmm_text_str(path, "/sys/dev/char/");
	vmm_text_uint(path, major(device));
	vmm_text_str(path, ":");
	vmm_text_uint(path, minor(device));
	vmm_text_str(path, "/");
	vmm_text_str(path, name);
}

/* Returns an attribute that is a decimal number, or 0 if it cannot be read. */
static uint64_t
read_attribute(dev_t device, const char *name)
{
	struct vmm_text path;
	char digits[32];
	uint64_t number = 0;
	ssize_t length;
	int fd;

	name_attribute(&path, device, name);
	fd = vmm_sys.openat(AT_FDCWD, path.data, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return 0;
	length = vmm_sys.pread(fd, digits, sizeof(digits), 0);
	vmm_sys.close(fd);
	for (ssize_t i = 0; i < length && digits[i] >= '0' && digits[i] <= '9'; i++)
		number = number * 10 + (uint64_t)(digits[i] - '0');
	return number;
}

bool
vmm_os_device_is_memory(dev_t device)
{
	static const char bus[] = "/dax";
	struct vmm_text path;
	char target[256];
	ssize_t length;

	name_attribute(&path, device, "subsystem");
	length = vmm_sys.readlinkat(AT_FDCWD, path.data, target, sizeof(target));
	return length > (ssize_t)sizeof(bus) - 1 && memcmp(target + length -
	    (sizeof(bus) - 1), bus, sizeof(bus) - 1) == 0;
}

/*
 * All users of a device use the same memory: two processes would overwrite each other's heap.
 * The lock keeps out other users of this library. It lasts until close, exit or execve(2)
 * has removed the last descriptor and mapping of the open file description (flock(2)).
 */
static int
lock_device(int fd)
{
	if (vmm_sys.flock(fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	return errno == EWOULDBLOCK ? EBUSY : errno;
}

int
vmm_os_device_open(const char *path, struct vmm_os_file *file)
{
	struct stat it;
	struct vmm_os_fs fs;
	int error;

	/* Checked before open(2): opening a device of another kind may have an effect. */
	if (vmm_sys.stat(path, &it) != 0)
		return errno;
	if (!S_ISCHR(it.st_mode) || !vmm_os_device_is_memory(it.st_rdev))
		return ENOTDIR;
	fs = (struct vmm_os_fs){
		.name = "device DAX",
		.page_size = (size_t)read_attribute(it.st_rdev, "align"),
		.device_bytes = read_attribute(it.st_rdev, "size"),
		.reserve_allocates = true,
		.is_dax = true,
		.obeys_policy = true, /* private memory after a fork */
	};
	if (fs.page_size == 0 || fs.device_bytes == 0)
		return ENODEV;
	error = vmm_os_file_adopt(
	    vmm_sys.openat(AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0), file);
	if (error != 0)
		return error;
	file->fs = fs;
	vmm_os_file_mark(file);
	error = lock_device(file->fd);
	if (error == 0 && (file->device != it.st_dev || file->inode != it.st_ino))
		error = EAGAIN;
	if (error != 0) {
		vmm_sys.close(file->fd);
		file->fd = -1;
	}
	return error;
}
