/* SPDX-License-Identifier: BSD-3-Clause */
/* conf.c: the configuration of the private jemalloc. */
#include "config.h"

#include <string.h>

#include "base/settings.h"
#include "base/text.h"
#include "heap/je.h"
#include "heap/start.h"
#include "jemalloc/host.h"
#include "os/os.h"
#include "pool/pool.h"
#include "trace/fatal.h"
#include "trace/log.h"

/*
 * jemalloc reads its options from five places, each overriding those before it (jemalloc(3),
 * TUNING):
 * 1. fixed when jemalloc was built;
 * 2. je_malloc_conf, below;
 * 3. the symbolic link /etc/malloc.conf: vmm_jehost_readlink returns what depends on the
 *    pool instead;
 * 4. the environment: vmm_jehost_secure_getenv returns VMMALLOC_CONF;
 * 5. je_malloc_conf_2_conf_harder, below.
 *
 * "large 1.8": with the other value, the workload `large` of `bench/run --conf` takes 1.8
 * times as long as with this value, on two cores (bench/RESULTS.md). Other units are named.
 *
 * retain:false            A purge frees extents to the pool. If the arena retained them, the
 *                         other arenas could not use them, and the pool cannot grow.
 *                         true: large 1.8, grow 1.06; memory 1.7 and 1.06.
 * oversize_threshold:0    Large blocks have no arena of their own, which would purge each
 *                         freed block at once. 8 MiB: born 1.08, no difference elsewhere.
 * dirty_decay_ms:-1       Arenas keep free extents until the pool is full or about to
 *                         grow. 10 s: large 18, born 1.6.
 * muzzy_decay_ms:0        Extents that decay go straight to the pool, which releases
 *                         their pages. Users who want decay set dirty_decay_ms.
 * lg_tcache_nslots_mul:2, tcache_nslots_small_max:600
 * tcache_gc_incr_bytes:262144 (5.3.0)
 *                         Threads cache up to three times as many small blocks, and search
 *                         their caches for unused ones a fourth as often. jemalloc's
 *                         defaults 1, 200, 65536: churn 1.04, c++ 1.03 of the instructions.
 *                         vmm_jehost_bin_fill saves short-lived threads the cost.
 *
 * For jemalloc 5.3.1:
 *
 * lg_extent_max_active_fit:30
 *                         Free extents of an arena coalesce whatever their sizes are. With
 *                         its default of 6, 5.3.1 coalesces a freed extent only up to 64
 *                         times its size: after blocks of 100 bytes, whose slabs have 28 KiB,
 *                         were freed, blocks of 1 MiB got 54 % of a pool, and 99 % with 30.
 *                         (64, the maximum, coalesces nothing: a shift by 64.)
 * experimental_tcache_gc:false, tcache_gc_incr_bytes:1048576
 *                         Caches are searched one size at a time, as in 5.3.0, and not all
 *                         sizes every 10 ms. Instructions with jemalloc's defaults: churn
 *                         1.03, mixed 1.04, c++ 1.03.
 *
 * Not set, because they made no difference: metadata_thp:auto; and narenas:1 and 2, except
 * for small pools (see arena_count).
 */
#if VMM_JEMALLOC < 50301
#define CONF_OF_VERSION "tcache_gc_incr_bytes:262144"
#else
#define CONF_OF_VERSION                                                    \
	"tcache_gc_incr_bytes:1048576,experimental_tcache_gc:false,"       \
	"lg_extent_max_active_fit:30"
#endif
const char *je_malloc_conf =
    "retain:false,oversize_threshold:0,dirty_decay_ms:-1,muzzy_decay_ms:0,"
    "lg_tcache_nslots_mul:2,tcache_nslots_small_max:600," CONF_OF_VERSION;

const char *je_malloc_conf_2_conf_harder = VMM_CONF_PINNED;

/*
 * Each arena keeps a slab of each small size, and free extents that other arenas cannot
 * use until the pool is full. At this size of the pool per arena, the loss is small.
 */
#define POOL_BYTES_PER_ARENA ((size_t)16 << 20)
#define ARENAS_PER_CPU 4 /* jemalloc's default */

static size_t
arena_count(void)
{
	size_t by_pool = vmm_pool_span.size / POOL_BYTES_PER_ARENA;
	size_t by_cpu = (size_t)vmm_os_cpu_count() * ARENAS_PER_CPU;
	size_t count = by_pool < by_cpu ? by_pool : by_cpu;

	return count > 0 ? count : 1;
}

ssize_t
vmm_jehost_readlink(const char *path, char *buffer, size_t size)
{
	struct vmm_text conf;

	(void)path;
	vmm_heap_start();
	vmm_text_clear(&conf);
	vmm_text_str(&conf, "narenas:");
	vmm_text_uint(&conf, arena_count());
	if (conf.length > size)
		return 0;
	memcpy(buffer, conf.data, conf.length);
	return (ssize_t)conf.length;
}

/* True while jemalloc reads VMMALLOC_CONF: its messages are about that value. */
static bool is_reading_conf;

/* Whether confirm_conf:true is the reason of a message. All other messages are errors. */
static bool
is_confirmation(const char *text)
{
	return strncmp(text, "malloc_conf #", 13) == 0 ||
	    strncmp(text, "-- Set conf value", 17) == 0;
}

/* Gets each message of jemalloc: whole lines, or pieces of long statistics. */
static void
handle_message(void *argument, const char *message)
{
	static const char prefix[] = "<jemalloc>: ";
	const char *text = message;
	struct vmm_text problem, error;

	(void)argument;
	if (strncmp(text, prefix, sizeof(prefix) - 1) == 0)
		text += sizeof(prefix) - 1;
	if (!is_reading_conf || is_confirmation(text)) {
		vmm_log_write(message, strlen(message));
		return;
	}
	vmm_text_clear(&problem);
	vmm_text_str(&problem, "jemalloc reports: ");
	vmm_text_str(&problem, text);
	problem.data[strcspn(problem.data, "\n")] = '\0';
	vmm_settings_refuse("VMMALLOC_CONF", vmm_heap_start()->conf, problem.data,
	    &error);
	vmm_fatal_setup(&error);
}

void
vmm_jehost_conf_end(void)
{
	is_reading_conf = false;
}

char *
vmm_jehost_secure_getenv(const char *name)
{
	const struct vmm_settings *settings = vmm_heap_start();

	je_malloc_message = handle_message;
	if (strcmp(name, "MALLOC_CONF") != 0 || *settings->conf == '\0')
		return NULL;
	is_reading_conf = true;
	return (char *)(uintptr_t)settings->conf;
}
