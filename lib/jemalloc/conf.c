/* SPDX-License-Identifier: BSD-3-Clause */
/* conf.c: how the private jemalloc is configured, and who may change what of it. */
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
 * jemalloc reads its configuration from five places, each overruling those
 * before it (jemalloc(3), TUNING): the first was fixed when jemalloc was built; the
 * second and the last are variables, which the library defines; the third is a symbolic
 * link, in whose place stands what depends on the pool; the fourth is the environment, the
 * user's.
 *
 * What is behind each is what bench/run --conf says of the alternative, on two cores
 * (bench/RESULTS.md): time, if not said otherwise.
 *
 * retain:false            An arena gives back what it does not need; kept, it
 *                         would be lost to the other arenas of a pool that cannot
 *                         grow. true: large 1.8, grow 1.06; memory 1.7 and 1.06.
 * oversize_threshold:0    No arena of their own for large blocks, which would
 *                         purge each at once. 8 MiB: born 1.08, the rest alike.
 * dirty_decay_ms:-1       Free ranges stay with their arena until the pool runs out,
 *                         or is to grow. 10 s: large 18, born 1.6.
 * muzzy_decay_ms:0        Who would rather have the system get them back sets it
 *                         otherwise: the pool returns what it is given.
 * lg_tcache_nslots_mul:2, tcache_nslots_small_max:600
 * tcache_gc_incr_bytes:262144 (5.3.0)
 *                         Threads cache up to three times as many small blocks, and
 *                         look through them a fourth as often. jemalloc's own 1,
 *                         200, 65536: churn 1.04, c++ 1.03 of the instructions. What
 *                         short-lived threads would pay for it, vmm_jehost_bin_fill
 *                         saves.
 *
 * And with jemalloc 5.3.1:
 *
 * lg_extent_max_active_fit:30
 *                         Free ranges of an arena join whatever their size is. 5.3.1
 *                         joins them only up to 64 times that of the smaller, by its
 *                         default of 6: behind blocks of 100 bytes, whose slabs have 28
 *                         KiB, blocks of 1 MiB got 54 % of a pool, and 99 % with 30.
 *                         (64, its largest, joins nothing: a shift by 64.)
 * experimental_tcache_gc:false, tcache_gc_incr_bytes:1048576
 *                         Caches are looked through one size at a time, as 5.3.0 does,
 *                         and not all sizes every 10 ms. Instructions with jemalloc's own:
 *                         churn 1.03, mixed 1.04, c++ 1.03.
 *
 * Not set, since it made no difference: metadata_thp:auto; and, but for small pools (see
 * arena_count), narenas:1 and 2.
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

/*
 * What a user cannot change, since it would take memory from elsewhere (dss, hpa),
 * create threads, or break what the entry points promise (zero_realloc).
 */
const char *je_malloc_conf_2_conf_harder =
    "dss:disabled,hpa:false,background_thread:false,zero_realloc:free";

/*
 * An arena of this size still packs well: it keeps a slab of each small size, and
 * free ranges that others cannot use until the pool runs out.
 */
#define POOL_BYTES_PER_ARENA ((size_t)16 << 20)
#define ARENAS_PER_CPU 4 /* jemalloc's own default */

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

/* jemalloc reads what the user has set. */
static bool reads_conf;

/* What confirm_conf:true has it say of every setting; all else is a complaint. */
static bool
is_confirmation(const char *text)
{
	return strncmp(text, "malloc_conf #", 13) == 0 ||
	    strncmp(text, "-- Set conf value", 17) == 0;
}

/* What jemalloc says, in whole lines. */
static void
take_message(void *argument, const char *message)
{
	static const char prefix[] = "<jemalloc>: ";
	const char *text = message;
	struct vmm_text problem, error;

	(void)argument;
	if (strncmp(text, prefix, sizeof(prefix) - 1) == 0)
		text += sizeof(prefix) - 1;
	if (!reads_conf || is_confirmation(text)) {
		vmm_log_write(message, strlen(message));
		return;
	}
	vmm_text_clear(&problem);
	vmm_text_str(&problem, text);
	problem.data[strcspn(problem.data, "\n")] = '\0';
	vmm_settings_refuse("VMMALLOC_CONF", vmm_heap_start()->conf, problem.data,
	    &error);
	vmm_fatal_setup(&error);
}

void
vmm_jehost_conf_end(void)
{
	reads_conf = false;
}

char *
vmm_jehost_secure_getenv(const char *name)
{
	const struct vmm_settings *settings = vmm_heap_start();

	je_malloc_message = take_message;
	if (strcmp(name, "MALLOC_CONF") != 0 || *settings->conf == '\0')
		return NULL;
	reads_conf = true;
	return (char *)(uintptr_t)settings->conf;
}
