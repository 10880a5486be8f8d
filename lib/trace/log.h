/* SPDX-License-Identifier: BSD-3-Clause */
/* log.h: messages, and the trace. In the release variant the trace's macros are empty. */
#ifndef VMM_LOG_H
#define VMM_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/settings.h"
#include "base/text.h"

#ifdef VMMALLOC_DEBUG

/* VMMALLOC_LOG_LEVEL; set once, before the first thread is created. */
extern int vmm_log_level;

/* A named value in a line. */
struct vmm_log_value {
	const char *name;
	uintptr_t value;
	bool is_pointer; /* printed in hexadecimal, not in decimal */
};
#define VMM_NUMBER(number) { #number, (uintptr_t)(number), false }
#define VMM_POINTER(pointer) { #pointer, (uintptr_t)(pointer), true }
#define VMM_RESULT(number) { "", (uintptr_t)(number), false }
#define VMM_RESULT_POINTER(pointer) { "", (uintptr_t)(pointer), true }

/* The place in the source that writes a line. */
struct vmm_log_place {
	const char *file;
	unsigned line;
	const char *function;
};
#define VMM_LOG_PLACE(function)                                                \
	(&(const struct vmm_log_place){ __FILE__, __LINE__, (function) })

/* Begins a line with its level and its place. */
void vmm_log_begin(struct vmm_text *line, int level,
    const struct vmm_log_place *place);

/* Ends the line and writes it with one write(2). Keeps errno. */
void vmm_log_end(struct vmm_text *line);

/* Writes a line that reports the entry of a function. Keeps errno. */
void vmm_log_enter(const struct vmm_log_place *place);

/*
 * The table of the functions of pool/, heap/ and jemalloc/ that level 3 reports.
 * functions.awk generates it. These folders are compiled with -finstrument-functions
 * (gcc(1)): each function begins with a call of __cyg_profile_func_enter (functions.c).
 */
struct vmm_traced_function {
	const void *address; /* NULL if the function is not linked */
	struct vmm_log_place place;
};
extern const struct vmm_traced_function vmm_traced_functions[];
extern const size_t vmm_traced_count;

/*
 * Writes a line that reports a call by the program: `count` arguments, and the result or
 * NULL for none. Keeps errno.
 */
void vmm_log_call(const struct vmm_log_place *place,
    const struct vmm_log_value *arguments, size_t count,
    const struct vmm_log_value *result);

/*
 * Opens the file `name` (VMMALLOC_LOG_FILE) for all further lines; called at most once,
 * before the first line. Returns 0 or an errno value: EPERM for another user's file, EMLINK
 * for one with several names, ELOOP for another user's symbolic link, EBADF for a closed
 * descriptor (/dev/fd/N) other than stderr, or an error of open(2). Not thread-safe.
 */
int vmm_log_open(const char *name);

/*
 * Writes one or more whole lines to that file, or to stderr if none was opened. Lines that
 * cannot be written are lost. Thread-safe; works in children of fork(2) and after the
 * program has closed descriptors. May change errno.
 */
void vmm_log_write(const char *data, size_t length);

/*
 * Must be called in a child of fork(2) before its first line. In a PID namespace of its own
 * a child can have its parent's process ID, so log_file.c cannot tell the two apart.
 */
void vmm_log_in_child(void);

/*
 * Duplicates stderr, so that lines reach it after the program has closed it, as many
 * programs do at exit. Called once, if the trace or statistics go to stderr.
 */
void vmm_log_keep_stderr(void);

/* As vmm_log_write, but always to stderr, and to the file, too, if one was opened. */
void vmm_log_report(const char *data, size_t length);

/*
 * True while this thread waits for the helper process, which uses the same thread-local
 * data (vmm_os_call_stopped). The trace must not have lines of that process.
 */
extern __thread bool vmm_log_is_quiet __attribute__((tls_model("initial-exec")));

#define VMM_LOG_IS(level)                                                      \
	(__builtin_expect(vmm_log_level >= (level), 0) && !vmm_log_is_quiet)
#define VMM_LOG_QUIET(is_quiet) ((void)(vmm_log_is_quiet = (is_quiet)))

/*
 * VMM_LOG(level, statements): writes a line of that level. The statements append the
 * message to the text `line`. The release variant does not evaluate the arguments of these
 * macros.
 */
#define VMM_LOG(level, ...)                                                    \
	do {                                                                   \
		if (VMM_LOG_IS(level)) {                                       \
			struct vmm_text log_text, *line = &log_text;           \
			vmm_log_begin(line, (level), VMM_LOG_PLACE(__func__)); \
			__VA_ARGS__;                                           \
			vmm_log_end(line);                                     \
		}                                                              \
	} while (0)

/* Reports the entry of the function that contains it: for functions of entry/. */
#define VMM_LOG_ENTER()                                                        \
	do {                                                                   \
		if (VMM_LOG_IS(VMM_LOG_FUNCTIONS))                             \
			vmm_log_enter(VMM_LOG_PLACE(__func__));                \
	} while (0)

/*
 * VMM_LOG_CALL(result, arguments): reports that the program has called the function that
 * contains the macro. VMM_LOG_CALL_AS reports a call of the function `name`. The result is
 * VMM_RESULT or VMM_RESULT_POINTER, each argument VMM_NUMBER or VMM_POINTER. The macros with
 * VOID in their names are for functions without a result.
 */
#define VMM_LOG_CALL(result, ...)                                              \
	VMM_LOG_CALL_WITH(__func__, (&(const struct vmm_log_value)result),     \
	    __VA_ARGS__)
#define VMM_LOG_CALL_AS(name, result, ...)                                     \
	VMM_LOG_CALL_WITH(name, (&(const struct vmm_log_value)result),         \
	    __VA_ARGS__)
#define VMM_LOG_CALL_VOID(...) VMM_LOG_CALL_WITH(__func__, NULL, __VA_ARGS__)
#define VMM_LOG_CALL_VOID_AS(name, ...) VMM_LOG_CALL_WITH(name, NULL, __VA_ARGS__)
#define VMM_LOG_CALL_WITH(name, result, ...)                                   \
	do {                                                                   \
		if (VMM_LOG_IS(VMM_LOG_CALLS)) {                               \
			const struct vmm_log_value log_values[] = {            \
				__VA_ARGS__                                    \
			};                                                     \
			vmm_log_call(VMM_LOG_PLACE(name), log_values,          \
			    sizeof(log_values) / sizeof(log_values[0]),        \
			    result);                                           \
		}                                                              \
	} while (0)

#else

#define VMM_LOG(level, ...) ((void)0)
#define VMM_LOG_ENTER() ((void)0)
#define VMM_LOG_CALL(result, ...) ((void)0)
#define VMM_LOG_CALL_AS(name, result, ...) ((void)0)
#define VMM_LOG_CALL_VOID(...) ((void)0)
#define VMM_LOG_CALL_VOID_AS(name, ...) ((void)0)
#define VMM_LOG_QUIET(is_quiet) ((void)0)
#define vmm_log_in_child() ((void)0)
#define vmm_log_report(data, length) vmm_os_write_error(data, length)
#define vmm_log_write(data, length) vmm_os_write_error(data, length)

#endif

#endif
