/* SPDX-License-Identifier: BSD-3-Clause */
/* start.c: reads the settings and opens the pool, once, at the first allocation. */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "heap/guard.h"
#include "heap/start.h"
#include "heap/stats.h"
#include "os/os.h"
#include "pool/pool.h"
#include "trace/fatal.h"
#include "trace/log.h"

static struct vmm_settings settings;

#ifdef VMMALLOC_DEBUG
static void
start_log(void)
{
	struct vmm_text error;
	int errnum;

	vmm_log_level = settings.log_level;
	if (settings.log_file[0] == '\0') {
		if (settings.log_level > 0 || settings.log_stats)
			vmm_log_keep_stderr();
		return;
	}
	errnum = vmm_log_open(settings.log_file);
	if (errnum == 0)
		return;
	vmm_text_clear(&error);
	vmm_text_str(&error, "Error (libvmmalloc): VMMALLOC_LOG_FILE=");
	vmm_text_quote(&error, settings.log_file);
	vmm_text_str(&error, ": ");
	vmm_text_errno(&error, errnum);
	vmm_text_str(&error, "\nlibvmmalloc: VMMALLOC_LOG_FILE is ");
	vmm_text_quote(&error, settings.log_file);
	vmm_text_str(&error, errnum == EBADF
	    ? ", a descriptor that is not open; accepted: an open one, or a file\n"
	    : errnum == ENXIO
	    ? ", a FIFO without a reader; start its reader before the program\n"
	    : "; accepted: a file that this user owns or can create, not through"
	      " another user's symbolic link\n");
	vmm_fatal_setup(&error);
}

/* Opens the log file for a message about wrong settings. */
static void
open_log_early(void)
{
	const char *name = vmm_os_getenv("VMMALLOC_LOG_FILE");

	if (name != NULL && name[0] != '\0')
		vmm_log_open(name);
}

static void
start_guard(void)
{
	struct vmm_text error;
	int errnum = vmm_guard_open();

	if (errnum == 0)
		return;
	vmm_text_clear(&error);
	vmm_text_str(&error, "Error (libvmmalloc): no memory for the debug"
	    " variant's records: ");
	vmm_text_errno(&error, errnum);
	vmm_text_str(&error, "\nlibvmmalloc: the records need address space of 1/64 of"
	    " VMMALLOC_POOL_SIZE; reduce that, or raise ulimit -v\n");
	vmm_fatal_setup(&error);
}

static void
write_text(void *argument, const char *text)
{
	(void)argument;
	vmm_log_write(text, strlen(text));
}

void
vmm_heap_stop(void)
{
	int saved_errno = errno;

	if (settings.log_stats)
		vmm_stats_report(write_text, NULL);
	VMM_LOG(VMM_LOG_OPERATIONS, vmm_text_str(line, "pool closed"));
	errno = saved_errno;
}
#else
#define start_log() ((void)0)
#define start_guard() ((void)0)
#define open_log_early() ((void)0)
#endif

const struct vmm_settings *
vmm_heap_start(void)
{
	static bool is_started;
	struct vmm_text error;

	if (is_started)
		return &settings;
	if (!vmm_settings_read(&settings, vmm_os_getenv, &error)) {
		open_log_early();
		vmm_fatal_setup(&error);
	}
	start_log();
	VMM_LOG(VMM_LOG_OPERATIONS, vmm_text_str(line, "opening a pool in "),
	    vmm_text_quote(line, settings.pool_dir),
	    vmm_text_str(line, ", size "),
	    vmm_text_uint(line, settings.pool_size_bytes));
	if (!vmm_pool_open(&settings, &error))
		vmm_fatal_setup(&error);
	/* VMMALLOC_FORK=0 would skip jemalloc's fork handlers; 2 and 3 would ask for a file. */
	if (vmm_pool_is_fileless())
		settings.fork = VMM_FORK_PRIVATE;
	start_guard();
	is_started = true;
	return &settings;
}
