/* SPDX-License-Identifier: BSD-3-Clause */
/* linux_memory_pool.c: pools in memory (":memory:..."), and the mark by which ps finds the one
 * without a file, on Linux. */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "base/text.h"
#include "os/linux_file.h"
#include "os/linux_sys.h"
#include "os/os.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U /* Linux 6.3 */
#endif
#ifndef MFD_HUGE_SHIFT
#define MFD_HUGE_SHIFT 26
#endif

/* The prefix of all names of pools in memory. */
static const char memory[] = ":memory:";

bool
vmm_os_is_memory(const char *dir)
{
	return strncmp(dir, memory, sizeof(memory) - 1) == 0;
}

int
vmm_os_memfd(const char *name, unsigned flags)
{
	int fd = vmm_sys.memfd_create(name, flags | MFD_CLOEXEC | MFD_NOEXEC_SEAL);

	if (fd < 0 && errno == EINVAL)
		fd = vmm_sys.memfd_create(name, flags | MFD_CLOEXEC);
	return fd;
}

/* Returns the binary logarithm of a size such as "2M" or "64K"; 0 if it is none. */
static unsigned
read_log2(const char *size)
{
	unsigned number = 0, log2 = 0;

	for (; *size >= '0' && *size <= '9' && number < 1024; size++)
		number = number * 10 + (unsigned)(*size - '0');
	if (number == 0 || (number & (number - 1)) != 0 || *size == '\0' || size[1] != '\0')
		return 0;
	log2 = *size == 'K' ? 10 : *size == 'M' ? 20 : *size == 'G' ? 30 : 0;
	return log2 == 0 ? 0 : log2 + (unsigned)__builtin_ctz(number);
}

int
vmm_os_memory_open(const char *dir, struct vmm_os_file *file)
{
	const char *size = dir + sizeof(memory) - 1;
	unsigned log2 = read_log2(size);
	int error;

	*file = (struct vmm_os_file){ .fd = -1 };
	if (*size == '\0') {
		file->fs = (struct vmm_os_fs){
			.name = "memory", .page_size = vmm_os_page_size(),
			.is_fileless = true, .obeys_policy = true,
		};
		return 0;
	}
	if (log2 == 0)
		return EINVAL;
	error = vmm_os_file_adopt(vmm_os_memfd(dir, MFD_HUGETLB |
	    log2 << MFD_HUGE_SHIFT), file);
	/* The kernel has no huge pages of that size: ENODEV, or ENOENT before Linux 5.9. */
	if (error == ENOENT)
		error = ENODEV;
	if (error != 0)
		return error;
	vmm_os_fs_read(file->fd, &file->fs);
	vmm_os_file_mark(file);
	return 0;
}

void
vmm_os_memory_mark(const void *address, size_t size)
{
	struct vmm_text name;
	void *mark;
	int fd;

	vmm_text_clear(&name);
	vmm_text_str(&name, VMM_OS_MEMORY_MARK);
	vmm_text_pointer(&name, address);
	vmm_text_str(&name, "+");
	vmm_text_uint(&name, size);
	fd = vmm_os_memfd(name.data, 0);
	if (fd < 0)
		return;
	/* The mapping stays when the descriptor is closed. */
	mark = vmm_sys.mmap(NULL, vmm_os_page_size(), PROT_NONE, MAP_SHARED, fd, 0);
	(void)mark;
	vmm_sys.close(fd);
}
