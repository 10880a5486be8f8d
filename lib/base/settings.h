/* SPDX-License-Identifier: BSD-3-Clause */
/* settings.h: what the user asked for through the environment. */
#ifndef VMM_SETTINGS_H
#define VMM_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"

/* What fork(2) does to the pool; the values of VMMALLOC_FORK. */
enum vmm_fork {
	VMM_FORK_NONE = 0,    /* nothing: parent and child share the pool */
	VMM_FORK_PRIVATE = 1, /* both go on over a private, copy-on-write mapping */
	VMM_FORK_COPY = 2,    /* the child gets a file of its own, or there is none */
	VMM_FORK_ANY = 3,     /* the child gets a file of its own; if not, as with 1 */
};

/* When the file system promises the pool's blocks; VMMALLOC_RESERVE. */
enum vmm_reserve {
	VMM_RESERVE_GROW, /* in steps, ahead of use */
	VMM_RESERVE_FULL, /* all of them, before main */
};

/* What VMMALLOC_LOG_LEVEL asks for; each level has those below it. */
enum vmm_log_level {
	VMM_LOG_OFF = 0,
	VMM_LOG_ERRORS = 1,     /* details of every error, besides errno */
	VMM_LOG_OPERATIONS = 2, /* the pool: opened, grown, exhausted, forked, closed */
	VMM_LOG_FUNCTIONS = 3,  /* every function of the library that is entered */
	VMM_LOG_CALLS = 4,      /* every allocation and deallocation */
	VMM_LOG_MAX = VMM_LOG_CALLS,
};

/* The settings of a process. Strings belong to the environment they came from. */
struct vmm_settings {
	const char *pool_dir;
	size_t pool_size_bytes; /* as given, not yet rounded up to pages */
	enum vmm_fork fork;
	enum vmm_reserve reserve;
	const char *conf; /* jemalloc's, "" if none */
	bool never_stops; /* VMMALLOC_STOP_THREADS=never */

	/* What page ranges are counted in: 0, the system's pages; tests take larger. */
	size_t page_size_bytes;

	/* In the debug variant only; see log.h. */
	int log_level;
	const char *log_file; /* "" for stderr */
	bool log_stats;       /* statistics at exit */
};

/* One variable of the environment: the row of a table that documents itself. */
struct vmm_setting {
	const char *name;
	const char *fallback; /* the default as text; NULL: required */
	const char *accepted; /* what is accepted, for people */
	const char *help;     /* what it is for, in one line */
	/* Stores `value`; on failure returns false with the message in `error`. */
	bool (*parse)(const struct vmm_setting *setting, const char *value,
	    struct vmm_settings *settings, struct vmm_text *error);
};

/* Every variable that the library reads, in the order in which they are checked. */
extern const struct vmm_setting vmm_settings_table[];
extern const size_t vmm_settings_count;

/*
 * Fills `settings` from the table. `get` answers getenv(3)'s question, NULL for a
 * variable that is not there. Returns true; or false with, in `error`, the two
 * lines for stderr, newlines included. Reads no global state, takes no lock.
 */
bool vmm_settings_read(struct vmm_settings *settings,
    const char *(*get)(const char *name), struct vmm_text *error);

/*
 * The two lines for a value that turns out to be bad after it was read; `problem` ends the
 * sentence "VARIABLE is VALUE, ...". No thread may have been started.
 */
void vmm_settings_refuse(const char *name, const char *value, const char *problem,
    struct vmm_text *error);

#endif
