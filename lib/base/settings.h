/* SPDX-License-Identifier: BSD-3-Clause */
/* settings.h: the environment variables of the library. */
#ifndef VMM_SETTINGS_H
#define VMM_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/numa.h"
#include "base/text.h"

/* VMMALLOC_FORK: the heap after fork(2). */
enum vmm_fork {
	VMM_FORK_NONE = 0,    /* parent and child share the pool */
	VMM_FORK_PRIVATE = 1, /* the heap of both becomes private */
	VMM_FORK_COPY = 2,    /* the child gets a pool file of its own, or fork fails */
	VMM_FORK_ANY = 3,     /* as VMM_FORK_COPY; if impossible, as VMM_FORK_PRIVATE */
};

/* VMMALLOC_RESERVE: when the file system reserves blocks for the pool. */
enum vmm_reserve {
	VMM_RESERVE_GROW, /* in steps, ahead of use */
	VMM_RESERVE_FULL, /* all of them, before main */
};

/* VMMALLOC_LOG_LEVEL: the level of the trace. Each includes the levels below it. */
enum vmm_log_level {
	VMM_LOG_OFF = 0,
	VMM_LOG_ERRORS = 1,     /* each error, and the details that errno lacks */
	VMM_LOG_OPERATIONS = 2, /* the pool: opened, grown, exhausted, forked, closed */
	VMM_LOG_FUNCTIONS = 3,  /* calls of the library's own functions (log.h) */
	VMM_LOG_CALLS = 4,      /* every allocation and deallocation */
	VMM_LOG_MAX = VMM_LOG_CALLS,
};

/*
 * jemalloc options that VMMALLOC_CONF must not change (jemalloc(3), TUNING). Other values
 * would allocate memory outside the pool (dss, hpa), create threads, or break what
 * libvmmalloc.h says of realloc(block, 0).
 */
#define VMM_CONF_PINNED "dss:disabled,hpa:false,background_thread:false,zero_realloc:free"

/* The settings of a process. The strings are the environment's, or defaults. */
struct vmm_settings {
	const char *pool_dir;
	size_t pool_size_bytes; /* as set, not yet rounded up to pages */
	enum vmm_fork fork;
	enum vmm_reserve reserve;
	const char *conf; /* VMMALLOC_CONF, "" if not set */
	bool never_stop_threads; /* VMMALLOC_STOP_THREADS=never */
	bool never_large_pages;  /* VMMALLOC_LARGE_PAGES=never */
	struct vmm_numa numa;
	const char *numa_text;   /* VMMALLOC_NUMA, "" if not set */

	/* The unit of page ranges: 0 for the system's page size. Tests set larger ones. */
	size_t page_size_bytes;

	/* Set only in the debug variant; see log.h. */
	int log_level;
	const char *log_file; /* "" for stderr */
	bool log_stats;       /* statistics at exit */
};

/* One environment variable: a row of the table. */
struct vmm_setting {
	const char *name;
	const char *default_value; /* the default as text; NULL: required */
	const char *accepted; /* the accepted values, for messages */
	const char *help;     /* the meaning, for messages */
	/* Stores `value`. Returns false on failure, with the message in `error`. */
	bool (*parse)(const struct vmm_setting *setting, const char *value,
	    struct vmm_settings *settings, struct vmm_text *error);
};

/* The table of all environment variables that the library reads. */
extern const struct vmm_setting vmm_settings_table[];
extern const size_t vmm_settings_count;

/*
 * Reads all variables of the table into `settings`. `get` returns the value of a variable
 * or NULL, as getenv(3) does. First checks for missing required variables, then checks the
 * values. On failure returns false, with the two lines for stderr in `error`, newlines
 * included. Reads no global state and takes no lock.
 */
bool vmm_settings_read(struct vmm_settings *settings,
    const char *(*get)(const char *name), struct vmm_text *error);

/*
 * Writes to `error` the two lines for a value that was rejected after it was read.
 * `problem` completes the sentence "VARIABLE is VALUE, ...". Reads no global state and
 * takes no lock.
 */
void vmm_settings_refuse(const char *name, const char *value, const char *problem,
    struct vmm_text *error);

#endif
