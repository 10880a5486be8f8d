/* SPDX-License-Identifier: BSD-3-Clause */
/* linux_private_pages.c: finds the pages of a private mapping that this process has written
 * to, on Linux. */
#include "config.h"

#include <fcntl.h>
#include <string.h>

#include "os/linux_proc.h"
#include "os/linux_sys.h"
#include "os/os.h"

/* Entries of /proc/PID/pagemap (kernel documentation, admin-guide/mm/pagemap). */
#define PAGEMAP_PRESENT ((uint64_t)1 << 63)
#define PAGEMAP_SWAPPED ((uint64_t)1 << 62)
#define PAGEMAP_FILE ((uint64_t)1 << 61)
#define PAGEMAP_STEP 64

void
vmm_os_private_pages(const void *address, size_t npages, unsigned char *is_private)
{
	uint64_t entries[PAGEMAP_STEP];
	uintptr_t first = (uintptr_t)address / vmm_os_page_size();
	int fd = vmm_os_proc_open(AT_FDCWD, VMM_OS_SELF "pagemap", O_RDONLY);

	memset(is_private, 1, npages);
	for (size_t done = 0; fd >= 0 && done < npages;) {
		size_t count = npages - done < PAGEMAP_STEP ? npages - done : PAGEMAP_STEP;
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
