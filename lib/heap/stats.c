/* SPDX-License-Identifier: BSD-3-Clause */
/* stats.c: statistics of the heap, from the pool and from jemalloc. */
#include "config.h"

#include <errno.h>

#include "base/text.h"
#include "heap/fail.h"
#include "heap/je.h"
#include "heap/stats.h"
#include "pool/pool.h"
#include "trace/log.h"

/* All arenas together (jemalloc(3), MALLCTL_ARENAS_ALL). */
#define ALL_ARENAS "4096"

/* One of jemalloc's statistics; 0 if it does not exist. */
static size_t
read_number(const char *name)
{
	size_t value = 0;
	size_t size = sizeof(value);

	return je_mallctl(name, &value, &size, NULL, 0) == 0 ? value : 0;
}

void
vmm_stats_read(struct vmm_stats *stats)
{
	int saved_errno = errno;
	uint64_t epoch = 1;
	struct vmm_pool_figures pool;

	/* jemalloc updates its statistics only at a write to "epoch". */
	je_mallctl("epoch", NULL, NULL, &epoch, sizeof(epoch));
	vmm_pool_read_figures(&pool);
	*stats = (struct vmm_stats){
		.pool = pool.size,
		.in_use = pool.in_use,
		.allocated = read_number("stats.allocated"),
		.kept = (read_number("stats.arenas." ALL_ARENAS ".pdirty") +
			    read_number("stats.arenas." ALL_ARENAS ".pmuzzy")) *
		    read_number("arenas.page"),
		.free_ranges = pool.free_ranges,
	};
	/* They were read at different moments. glibc.c computes in_use - allocated. */
	if (stats->allocated > stats->in_use)
		stats->allocated = stats->in_use;
	errno = saved_errno;
}

#ifdef VMMALLOC_DEBUG

#include "os/os.h"

/* A line with the name, the number of bytes, and the same number in MiB. */
static void
append_bytes(struct vmm_text *text, const char *name, uint64_t bytes)
{
	vmm_text_str(text, name);
	vmm_text_uint(text, bytes);
	vmm_text_str(text, " bytes (");
	vmm_text_uint(text, bytes >> 20);
	vmm_text_str(text, ".");
	vmm_text_uint(text, (bytes & 0xfffff) * 10 >> 20);
	vmm_text_str(text, " MiB)\n");
}

static void
append_count(struct vmm_text *text, const char *name, uint64_t count)
{
	vmm_text_str(text, name);
	vmm_text_uint(text, count);
}

static void
append_forks(struct vmm_text *text, const struct vmm_pool_figures *pool)
{
	append_count(text, "  forks:               ", pool->forks);
	vmm_text_str(text, ", which took ");
	vmm_text_uint(text, pool->forks_us);
	vmm_text_str(text, " us, the longest ");
	vmm_text_uint(text, pool->longest_fork_us);
	vmm_text_str(text, " us; failed: ");
	vmm_text_uint(text, pool->failed_forks);
	vmm_text_str(text, "\n");
}

static const char *
location(const struct vmm_pool_figures *pool)
{
	if (!pool->has_file)
		return "memory without a file";
	if (pool->is_private)
		return "private memory, since a fork; another process may"
		    " need the file";
	return pool->private_chunks > 0
	    ? "the file, and private memory since a fork" : "the file";
}

static void
append_summary(struct vmm_text *text)
{
	struct vmm_pool_figures pool;
	struct vmm_stats stats;

	vmm_stats_read(&stats);
	vmm_pool_read_figures(&pool);
	append_count(text, "libvmmalloc: statistics of process ",
	    (uint64_t)vmm_os_process());
	vmm_text_str(text, "\n  pool in:             ");
	vmm_text_quote(text, pool.dir);
	vmm_text_str(text, ", ");
	vmm_text_str(text, pool.fs);
	vmm_text_str(text, "\n");
	append_bytes(text, "  pool size:           ", pool.size);
	append_bytes(text, "  in use:              ", pool.in_use);
	append_bytes(text, "    allocated:         ", stats.allocated);
	append_bytes(text, "    kept for later:    ", stats.kept);
	append_bytes(text, "  peak:                ", pool.peak);
	append_count(text, "  free ranges:         ", pool.free_ranges);
	append_bytes(text, "\n  largest of them:     ", pool.longest_free);
	if (pool.has_blocks)
		append_bytes(text, "  blocks of the file:  ", pool.blocks);
	else if (pool.has_file)
		vmm_text_str(text, "  blocks of the file:  not known, the"
		    " program has closed its descriptor\n");
	vmm_text_str(text, "  heap is in:          ");
	vmm_text_str(text, location(&pool));
	vmm_text_str(text, "\n");
	append_forks(text, &pool);
	append_count(text, "  failed allocations:  ", vmm_fail_count());
	vmm_text_str(text, "\n");
}

void
vmm_stats_report(void (*write)(void *argument, const char *text),
    void *argument)
{
	int saved_errno = errno;
	struct vmm_text text;

	vmm_text_clear(&text);
	append_summary(&text);
	write(argument, text.data);
	/* "a" omits the tables of the single arenas (jemalloc(3), malloc_stats_print). */
	je_malloc_stats_print(write, argument, "a");
	errno = saved_errno;
}

#endif
