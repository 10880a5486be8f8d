/* SPDX-License-Identifier: BSD-3-Clause */
/* fatal.h: functions that write a last message and end the process, and assertions. */
#ifndef VMM_FATAL_H
#define VMM_FATAL_H

#include "base/text.h"

/*
 * Writes `message` to stderr and ends the process with status 1, without exit handlers and
 * without a core dump (_exit(2)): for an environment in which the library cannot start.
 * The debug variant also writes to VMMALLOC_LOG_FILE. Async-signal-safe.
 */
_Noreturn void vmm_fatal_setup(const struct vmm_text *message);

/*
 * Writes "Error (libvmmalloc): ", `what` and a newline to the same places and calls
 * abort(3): for states in which going on would corrupt memory. Async-signal-safe.
 */
_Noreturn void vmm_fatal_abort(const char *what);

/* In the debug variant, aborts with a message if the condition does not hold. */
#ifdef VMMALLOC_DEBUG
#define VMM_STRING_OF(x) #x
#define VMM_STRING(x) VMM_STRING_OF(x)
#define VMM_ASSERT(condition)                                                  \
	((condition) ? (void)0                                                 \
		     : vmm_fatal_abort(__FILE__ ":" VMM_STRING(__LINE__)       \
			       ": assertion failed: " #condition))
#else
#define VMM_ASSERT(condition) ((void)0)
#endif

#endif
