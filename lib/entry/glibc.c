/* SPDX-License-Identifier: BSD-3-Clause */
/* glibc.c: glibc's functions that report on the heap and tune it. */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <stdio.h>

#include "entry/entry.h"
#include "heap/stats.h"
#include "jemalloc/host.h"
#include "os/os.h"

/* struct mallinfo2 of glibc 2.33; older headers do not declare it. */
struct vmm_mallinfo2 {
	size_t arena, ordblks, smblks, hblks, hblkhd, usmblks, fsmblks, uordblks,
	    fordblks, keepcost;
};

/*
 * mallinfo(3). `arena` is what the pool has allocated: `uordblks` in blocks, `fordblks` in
 * free memory, of which malloc_trim can purge `keepcost`. `ordblks` is the number of free
 * ranges in the pool. All other members are 0.
 */
static struct vmm_mallinfo2
read_info(void)
{
	struct vmm_stats stats;

	vmm_stats_read(&stats);
	return (struct vmm_mallinfo2){
		.arena = stats.in_use,
		.ordblks = stats.free_ranges,
		.uordblks = stats.allocated,
		.fordblks = stats.in_use - stats.allocated,
		.keepcost = stats.kept,
	};
}

VMM_EXPORT struct vmm_mallinfo2 vmm_mallinfo2(void) __asm__("mallinfo2");
VMM_EXPORT struct vmm_mallinfo2
vmm_mallinfo2(void)
{
	VMM_LOG_ENTER();
	return read_info();
}

/* INT_MAX for larger numbers, which glibc lets wrap around. */
static int
as_int(size_t number)
{
	return number < INT_MAX ? (int)number : INT_MAX;
}

VMM_EXPORT struct mallinfo
mallinfo(void)
{
	VMM_LOG_ENTER();
	struct vmm_mallinfo2 info = read_info();

	return (struct mallinfo){
		.arena = as_int(info.arena),
		.ordblks = as_int(info.ordblks),
		.uordblks = as_int(info.uordblks),
		.fordblks = as_int(info.fordblks),
		.keepcost = as_int(info.keepcost),
	};
}

/* malloc_info(3): writes XML as glibc does for a heap with one arena, but lists no sizes. */
VMM_EXPORT int
malloc_info(int options, FILE *stream)
{
	VMM_LOG_ENTER();
	struct vmm_stats stats;

	if (options != 0) {
		VMM_LOG(VMM_LOG_ERRORS, vmm_text_str(line, "options is not 0: "),
		    vmm_text_errno(line, EINVAL));
		return EINVAL;
	}
	vmm_stats_read(&stats);
	fprintf(stream,
	    "<malloc version=\"1\">\n"
	    "<heap nr=\"0\">\n"
	    "<sizes>\n"
	    "</sizes>\n"
	    "<total type=\"rest\" count=\"%zu\" size=\"%zu\"/>\n"
	    "<system type=\"current\" size=\"%zu\"/>\n"
	    "<aspace type=\"total\" size=\"%zu\"/>\n"
	    "</heap>\n"
	    "<total type=\"rest\" count=\"%zu\" size=\"%zu\"/>\n"
	    "<total type=\"mmap\" count=\"0\" size=\"0\"/>\n"
	    "<system type=\"current\" size=\"%zu\"/>\n"
	    "<aspace type=\"total\" size=\"%zu\"/>\n"
	    "</malloc>\n",
	    stats.free_ranges, stats.in_use - stats.allocated,
	    stats.in_use, stats.pool, stats.free_ranges,
	    stats.in_use - stats.allocated, stats.in_use, stats.pool);
	return 0;
}

static void
append_row(struct vmm_text *text, const char *name, size_t bytes)
{
	vmm_text_str(text, name);
	vmm_text_uint(text, bytes);
	vmm_text_str(text, "\n");
}

/* malloc_stats(3), on stderr: glibc's lines without "max mmap ...", and one for the pool. */
VMM_EXPORT void
malloc_stats(void)
{
	VMM_LOG_ENTER();
	int saved_errno = errno;
	struct vmm_stats stats;
	struct vmm_text text;

	vmm_stats_read(&stats);
	vmm_text_clear(&text);
	vmm_text_str(&text, "Arena 0:\n");
	append_row(&text, "system bytes     = ", stats.in_use);
	append_row(&text, "in use bytes     = ", stats.allocated);
	vmm_text_str(&text, "Total (incl. mmap):\n");
	append_row(&text, "system bytes     = ", stats.in_use);
	append_row(&text, "in use bytes     = ", stats.allocated);
	append_row(&text, "pool bytes       = ", stats.pool);
	vmm_os_write_error(text.data, text.length);
	errno = saved_errno;
}

/*
 * malloc_trim(3): returns 1 if arenas freed a range to the pool, which releases free chunks
 * to the system. Ignores `pad`, which is about the top of glibc's heap.
 */
VMM_EXPORT int
malloc_trim(size_t pad)
{
	VMM_LOG_ENTER();
	size_t before = vmm_pool_in_use();

	(void)pad;
	vmm_jehost_trim();
	return vmm_pool_in_use() < before;
}

/* mallopt(3): returns success. No parameter has a meaning for this heap. */
VMM_EXPORT int
mallopt(int parameter, int value)
{
	VMM_LOG_ENTER();
	(void)parameter;
	(void)value;
	return 1;
}
