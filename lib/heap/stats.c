/* SPDX-License-Identifier: BSD-3-Clause */
/* stats.c: what the pool and jemalloc know about the heap, put together. */
#include "config.h"

#include <errno.h>

#include "base/text.h"
#include "heap/alloc.h"
#include "heap/je.h"
#include "heap/stats.h"
#include "pool/pool.h"
#include "trace/log.h"

/* 4096 stands for all arenas (jemalloc(3), MALLCTL_ARENAS_ALL). */
#define ALL_ARENAS "4096"

/* A figure of jemalloc's; 0 if it has none. */
static size_t
ask(const char *name)
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

	/* Has jemalloc add up its figures. */
	je_mallctl("epoch", NULL, NULL, &epoch, sizeof(epoch));
	vmm_pool_read_figures(&pool);
	*stats = (struct vmm_stats){
		.pool = pool.size,
		.in_use = pool.in_use,
		.allocated = ask("stats.allocated"),
		.kept = (ask("stats.arenas." ALL_ARENAS ".pdirty") +
			    ask("stats.arenas." ALL_ARENAS ".pmuzzy")) *
		    ask("arenas.page"),
		.free_ranges = pool.free_ranges,
	};
	/* The two are read one after the other, and must not cross. */
	if (stats->allocated > stats->in_use)
		stats->allocated = stats->in_use;
	errno = saved_errno;
}

#ifdef VMMALLOC_DEBUG

#include "os/os.h"

/* NAME, a number of bytes, and the same in MiB. */
static void
bytes_row(struct vmm_text *text, const char *name, uint64_t bytes)
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
count_row(struct vmm_text *text, const char *name, uint64_t count)
{
	vmm_text_str(text, name);
	vmm_text_uint(text, count);
}

static void
forks_row(struct vmm_text *text, const struct vmm_pool_figures *pool)
{
	count_row(text, "  forks:               ", pool->forks);
	vmm_text_str(text, ", which took ");
	vmm_text_uint(text, pool->forks_us);
	vmm_text_str(text, " us, the longest ");
	vmm_text_uint(text, pool->longest_fork_us);
	vmm_text_str(text, " us; failed: ");
	vmm_text_uint(text, pool->failed_forks);
	vmm_text_str(text, "\n");
}

static const char *
whose(const struct vmm_pool_figures *pool)
{
	if (pool->is_private)
		return "private memory, since a fork; another process may"
		    " need the file";
	return pool->private_chunks > 0
	    ? "the file, and private memory since a fork" : "the file";
}

static void
summary(struct vmm_text *text)
{
	struct vmm_pool_figures pool;
	struct vmm_stats stats;

	vmm_stats_read(&stats);
	vmm_pool_read_figures(&pool);
	count_row(text, "libvmmalloc: statistics of process ",
	    (uint64_t)vmm_os_process());
	vmm_text_str(text, "\n  pool in:             ");
	vmm_text_quote(text, pool.dir);
	vmm_text_str(text, ", ");
	vmm_text_str(text, pool.fs);
	vmm_text_str(text, "\n");
	bytes_row(text, "  pool size:           ", pool.size);
	bytes_row(text, "  in use:              ", pool.in_use);
	bytes_row(text, "    allocated:         ", stats.allocated);
	bytes_row(text, "    kept for later:    ", stats.kept);
	bytes_row(text, "  peak:                ", pool.peak);
	count_row(text, "  free ranges:         ", pool.free_ranges);
	bytes_row(text, "\n  largest of them:     ", pool.longest_free);
	if (pool.has_blocks)
		bytes_row(text, "  blocks of the file:  ", pool.blocks);
	else
		vmm_text_str(text, "  blocks of the file:  not known, the"
		    " program has closed its descriptor\n");
	vmm_text_str(text, "  heap is in:          ");
	vmm_text_str(text, whose(&pool));
	vmm_text_str(text, "\n");
	forks_row(text, &pool);
	count_row(text, "  failed allocations:  ", vmm_alloc_failures());
	vmm_text_str(text, "\n");
}

void
vmm_stats_report(void (*write)(void *argument, const char *text),
    void *argument)
{
	int saved_errno = errno;
	struct vmm_text text;

	vmm_text_clear(&text);
	summary(&text);
	write(argument, text.data);
	/* Without a table for each arena: those of all are added up. */
	je_malloc_stats_print(write, argument, "a");
	errno = saved_errno;
}

#endif
