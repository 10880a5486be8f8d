/* SPDX-License-Identifier: BSD-3-Clause */
/* linux_io.c: whether the kernel writes to memory outside of system calls, on Linux. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "os/linux_file.h"
#include "os/linux_proc.h"
#include "os/linux_sys.h"
#include "os/os.h"

#ifndef AF_XDP
#define AF_XDP 44
#endif

/*
 * Whether the driver of a character device copies its data, so that it writes nothing after
 * a system call has returned: memory (null, zero, random), terminals, input, sound, most
 * miscellaneous devices (FUSE, TUN). The device of any other driver may write to buffers of
 * the process (VFIO, RDMA, V4L2, SCSI, GPUs).
 */
static bool
is_copying_device(dev_t device, const char *path)
{
	/* Major numbers: Documentation/admin-guide/devices.txt of the kernel. */
	enum { MEMORY = 1, PTYS_OLD = 2, CONSOLES = 5, VCS = 7, MISC = 10, INPUT = 13, I2C = 89,
		SOUND = 116, PTYS = 136, PTYS_END = 143, SPI = 153 };
	/* Terminals and others with many or dynamic numbers. */
	static const char *const copying[] = { "/dev/tty", "/dev/hvc", "/dev/rtc", "/dev/ptp",
		"/dev/hidraw", "/dev/pps", "/dev/gpiochip", "/dev/watchdog", "/dev/ppp" };
	static const char *const writing[] = { "vhost", "vfio", "kvm", "rdma",
		"userfaultfd" };
	unsigned number = major(device);

	for (size_t i = 0; i < sizeof(copying) / sizeof(copying[0]); i++) {
		if (strncmp(path, copying[i], strlen(copying[i])) == 0)
			return true;
	}
	for (size_t i = 0; number == MISC && i < sizeof(writing) / sizeof(writing[0]); i++) {
		if (strstr(path, writing[i]) != NULL)
			return false;
	}
	return number == MEMORY || (number >= PTYS_OLD && number <= CONSOLES) ||
	    number == VCS || number == MISC || number == INPUT || number == I2C ||
	    number == SOUND || (number >= PTYS && number <= PTYS_END) || number == SPI;
}

/* Whether the kernel may write to memory for a descriptor. `argument`: open /proc/PID/fd. */
static bool
descriptor_writes(void *argument, const char *name)
{
	int descriptors = *(const int *)argument;
	char target[64];
	struct stat stat;
	int domain = 0;
	socklen_t size = sizeof(domain);
	int fd = 0;
	ssize_t length = vmm_sys.readlinkat(descriptors, name, target, sizeof(target) - 1);

	for (const char *digit = name; *digit >= '0' && *digit <= '9'; digit++)
		fd = fd * 10 + *digit - '0';
	if (length <= 0)
		return false;
	target[length] = '\0';
	if (strncmp(target, "socket:", 7) == 0)
		return vmm_sys.getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain,
			   &size) == 0 && domain == AF_XDP;
	if (strncmp(target, "anon_inode:", 11) == 0)
		return strstr(target, "io_uring") != NULL ||
		    strstr(target, "kvm") != NULL ||
		    strstr(target, "vfio") != NULL ||
		    strstr(target, "infiniband") != NULL ||
		    strstr(target, "userfaultfd") != NULL;
	return target[0] == '/' && vmm_sys.fstat(fd, &stat) == 0 &&
	    S_ISCHR(stat.st_mode) && !is_copying_device(stat.st_rdev, target) &&
	    strncmp(target, "/dev/dax", 8) != 0 && !vmm_os_device_is_memory(stat.st_rdev);
}

static int
any_descriptor_writes(void)
{
	int fd = vmm_os_proc_open(AT_FDCWD, VMM_OS_SELF "fd", O_RDONLY | O_DIRECTORY);
	bool writes;

	if (fd < 0)
		return errno;
	writes = vmm_os_proc_each(fd, descriptor_writes, &fd);
	vmm_sys.close(fd);
	return writes ? EBUSY : 0;
}

/* io_setup(2) leaves only a mapping; so does io_uring_setup(2) with a closed descriptor. */
static int
any_mapping_writes(void)
{
	struct vmm_os_lines lines;
	bool writes = false;
	char *line;
	int error = vmm_os_lines_open(&lines, AT_FDCWD, VMM_OS_SELF "maps");

	if (error != 0)
		return error;
	while (!writes && (line = vmm_os_lines_next(&lines)) != NULL)
		writes = strstr(line, "/[aio]") != NULL ||
		    strstr(line, "[io_uring]") != NULL;
	vmm_os_lines_close(&lines);
	return writes ? EBUSY : lines.error;
}

int
vmm_os_kernel_writes(void)
{
	int error = any_mapping_writes();

	return error == 0 ? any_descriptor_writes() : error;
}
