/* SPDX-License-Identifier: BSD-3-Clause */
/* log.h: the debug variant's trace; in the release variant there is nothing of it. */
#ifndef VMM_LOG_H
#define VMM_LOG_H

#include "text.h"

/* What VMMALLOC_LOG_LEVEL asks for; each level has those below it. */
enum vmm_log_level {
	VMM_LOG_OFF = 0,
	VMM_LOG_ERRORS = 1,     /* details of every error, besides errno */
	VMM_LOG_OPERATIONS = 2, /* the pool: opened, grown, exhausted, forked */
	VMM_LOG_MAX = VMM_LOG_OPERATIONS,
};

#ifdef VMMALLOC_DEBUG

/* Set once, before there are threads. */
extern int vmm_log_level;

/* The beginning of a line: its level, and where in the source it comes from. */
void vmm_log_begin(struct vmm_text *line, int level, const char *file,
    unsigned number, const char *function);

/* Ends the line and writes it to stderr, with one write(2). Keeps errno. */
void vmm_log_end(struct vmm_text *line);

/*
 * VMM_LOG(level, statements): a line of that level; the statements append the
 * message to the text `line`. They are not even compiled into the release variant.
 */
#define VMM_LOG(level, ...)                                                    \
	do {                                                                   \
		if (__builtin_expect(vmm_log_level >= (level), 0)) {           \
			struct vmm_text log_text, *line = &log_text;           \
			vmm_log_begin(line, (level), __FILE__, __LINE__,       \
			    __func__);                                         \
			__VA_ARGS__;                                           \
			vmm_log_end(line);                                     \
		}                                                              \
	} while (0)

#else

#define VMM_LOG(level, ...) ((void)0)

#endif

#endif
