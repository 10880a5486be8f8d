/* SPDX-License-Identifier: BSD-3-Clause */
/* fatal.h: the only ways in which the library ends a process. */
#ifndef VMM_FATAL_H
#define VMM_FATAL_H

#include "base/text.h"

/*
 * Prints `message` to stderr, and in the debug variant to VMMALLOC_LOG_FILE as well, and
 * ends the process with status 1, running no exit handlers and leaving no core: the
 * user's environment is wrong, at start. Async-signal-safe.
 */
_Noreturn void vmm_fatal_setup(const struct vmm_text *message);

/*
 * The same with "Error (libvmmalloc): ", `what` and a newline, and aborts the process:
 * going on would corrupt memory. Async-signal-safe.
 */
_Noreturn void vmm_fatal_abort(const char *what);

/* Checks what must hold, in the debug variant only; costs nothing in release. */
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
