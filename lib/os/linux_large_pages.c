/* SPDX-License-Identifier: BSD-3-Clause */
/* linux_large_pages.c: asks the kernel for large pages, on Linux. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "os/linux_proc.h"
#include "os/linux_sys.h"
#include "os/os.h"

int
vmm_os_collapse(void *address, size_t length)
{
	enum { COLLAPSE = 25 }; /* MADV_COLLAPSE */

	return vmm_sys.madvise(address, length, COLLAPSE) == 0 ? 0 : errno;
}

bool
vmm_os_has_2m_pages(void)
{
	static const char expected[] = "2097152";
	char size[32];

	return vmm_os_proc_read(AT_FDCWD, "/sys/kernel/mm/transparent_hugepage/hpage_pmd_size",
	    size, sizeof(size)) == 0 && strncmp(size, expected, sizeof(expected) - 1) == 0;
}

void
vmm_os_advise_large(void *address, size_t length, bool is_wanted)
{
	vmm_sys.madvise(address, length, is_wanted ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
}
