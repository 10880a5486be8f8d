/* SPDX-License-Identifier: BSD-3-Clause */
/* linux_io.c: whether the Linux kernel may write to this process's memory by itself. */
#include "config.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "os/linux_proc.h"
#include "os/linux_sys.h"
#include "os/os.h"

#ifndef AF_XDP
#define AF_XDP 44
#endif

/*
 * Character devices whose drivers copy what they deliver, so that no write is under way
 * when a call has returned: memory (null, zero, random), terminals, input, sound, and,
 * but for some, the miscellaneous ones (FUSE, TUN). Any other driver may have been given
 * buffers that its device writes to (VFIO, RDMA, V4L2, SCSI, GPUs).
 */
static bool
is_plain_device(dev_t device, const char *path)
{
	enum { MEMORY = 1, TERMINALS = 2, TERMINALS_END = 5, MISC = 10, INPUT = 13,
		SOUND = 116, PTYS = 136, PTYS_END = 143 };
	unsigned number = major(device);

	if (number == MISC)
		return strstr(path, "vhost") == NULL &&
		    strstr(path, "vfio") == NULL && strstr(path, "kvm") == NULL &&
		    strstr(path, "rdma") == NULL &&
		    strstr(path, "userfaultfd") == NULL;
	return number == MEMORY || number == INPUT || number == SOUND ||
	    (number >= TERMINALS && number <= TERMINALS_END) ||
	    (number >= PTYS && number <= PTYS_END);
}

/* `argument` is a descriptor of the directory of descriptors. */
static bool
descriptor_writes(void *argument, const char *name)
{
	int descriptors = *(const int *)argument;
	char target[64];
	struct stat stat;
	int domain = 0;
	socklen_t size = sizeof(domain);
	int fd = 0;
	ssize_t length = vmm_sys.readlinkat(descriptors, name, target,
	    sizeof(target) - 1);

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
	    S_ISCHR(stat.st_mode) && !is_plain_device(stat.st_rdev, target) &&
	    strncmp(target, "/dev/dax", 8) != 0;
}

static bool
any_descriptor_writes(void)
{
	int fd = vmm_os_proc_open(AT_FDCWD, VMM_OS_SELF "fd", O_RDONLY | O_DIRECTORY);
	bool writes = fd < 0 || vmm_os_proc_each(fd, descriptor_writes, &fd);

	if (fd >= 0)
		vmm_sys.close(fd);
	return writes;
}

/* The context of io_setup(2) is a mapping; that of io_uring_setup(2) may be no more. */
static bool
any_mapping_writes(void)
{
	struct vmm_os_lines lines;
	bool writes = false;
	char *line;

	if (vmm_os_lines_open(&lines, AT_FDCWD, VMM_OS_SELF "maps") != 0)
		return true;
	while (!writes && (line = vmm_os_lines_next(&lines)) != NULL)
		writes = strstr(line, "/[aio]") != NULL ||
		    strstr(line, "[io_uring]") != NULL;
	vmm_os_lines_close(&lines);
	return writes || lines.error != 0;
}

bool
vmm_os_kernel_writes(void)
{
	return any_mapping_writes() || any_descriptor_writes();
}
