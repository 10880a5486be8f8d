/* SPDX-License-Identifier: BSD-3-Clause */
/* log.h: the debug variant's trace; in the release variant there is nothing of it. */
#ifndef VMM_LOG_H
#define VMM_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/settings.h"
#include "base/text.h"

#ifdef VMMALLOC_DEBUG

/* Set once, before there are threads. */
extern int vmm_log_level;

/* A value in a line, with its name. */
struct vmm_log_value {
	const char *name;
	uintptr_t value;
	bool is_pointer; /* hexadecimal, and not decimal */
};
#define VMM_NUMBER(number) { #number, (uintptr_t)(number), false }
#define VMM_POINTER(pointer) { #pointer, (uintptr_t)(pointer), true }
#define VMM_RESULT(number) { "", (uintptr_t)(number), false }
#define VMM_RESULT_POINTER(pointer) { "", (uintptr_t)(pointer), true }

/* Where in the source a line comes from. */
struct vmm_log_place {
	const char *file;
	unsigned line;
	const char *function;
};
#define VMM_LOG_PLACE(function)                                                \
	(&(const struct vmm_log_place){ __FILE__, __LINE__, (function) })

/* The beginning of a line: its level, and where it comes from. */
void vmm_log_begin(struct vmm_text *line, int level,
    const struct vmm_log_place *place);

/* Ends the line and writes it, with one write(2). Keeps errno. */
void vmm_log_end(struct vmm_text *line);

/* A line that says that the function is entered. Keeps errno. */
void vmm_log_enter(const struct vmm_log_place *place);

/*
 * A line for one call of the program's: its `count` arguments, and its result,
 * NULL for none. Keeps errno.
 */
void vmm_log_call(const struct vmm_log_place *place,
    const struct vmm_log_value *arguments, size_t count,
    const struct vmm_log_value *result);

/*
 * Where lines go (log_file.c): to stderr, or to the file that VMMALLOC_LOG_FILE
 * names. `open` is called once, before the first line: 0, or what open(2) says;
 * EPERM or EMLINK for a file of another user's, or one with several names; ELOOP for
 * a name that is another user's symbolic link; EBADF for the number of a descriptor that
 * is not open (/dev/fd/N). `write` puts one or several
 * whole lines there; what cannot be written is lost. Both may be called by any
 * thread, in any child, and in any state of its descriptors. errno may change.
 */
int vmm_log_open(const char *name);
void vmm_log_write(const char *data, size_t length);

/*
 * In a child of fork(2), whose only thread this is, before its first line: it may have the
 * same process ID as its parent has, in a namespace of its own.
 */
void vmm_log_in_child(void);

/*
 * From now on what is for stderr reaches it also when the program has closed it, as many do
 * at exit. Called once, where anything is asked for.
 */
void vmm_log_keep_stderr(void);

/* Writes to stderr, and to the file as well if there is one. */
void vmm_log_say(const char *data, size_t length);

/*
 * Set while this thread waits for a helper that has its thread-local data (os.h,
 * vmm_os_call_stopped): the trace is written by processes, each under its own name.
 */
extern __thread bool vmm_log_is_quiet __attribute__((tls_model("initial-exec")));

#define VMM_LOG_IS(level)                                                      \
	(__builtin_expect(vmm_log_level >= (level), 0) && !vmm_log_is_quiet)
#define VMM_LOG_QUIET(is_quiet) ((void)(vmm_log_is_quiet = (is_quiet)))

/*
 * VMM_LOG(level, statements): a line of that level; the statements append the
 * message to the text `line`. They are not even compiled into the release variant,
 * nor is anything that the other macros are given.
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

/* At the head of a function. */
#define VMM_LOG_ENTER()                                                        \
	do {                                                                   \
		if (VMM_LOG_IS(VMM_LOG_FUNCTIONS))                             \
			vmm_log_enter(VMM_LOG_PLACE(__func__));                \
	} while (0)

/*
 * VMM_LOG_CALL(result, arguments): a call of a function that the program knows as
 * the one it is in; VMM_LOG_CALL_AS says another name. The result is VMM_RESULT...,
 * an argument VMM_NUMBER or VMM_POINTER. VMM_LOG_GIVEN has no result.
 */
#define VMM_LOG_CALL(result, ...)                                              \
	VMM_LOG_CALL_WITH(__func__, (&(const struct vmm_log_value)result),     \
	    __VA_ARGS__)
#define VMM_LOG_CALL_AS(name, result, ...)                                     \
	VMM_LOG_CALL_WITH(name, (&(const struct vmm_log_value)result),         \
	    __VA_ARGS__)
#define VMM_LOG_GIVEN(...) VMM_LOG_CALL_WITH(__func__, NULL, __VA_ARGS__)
#define VMM_LOG_GIVEN_AS(name, ...) VMM_LOG_CALL_WITH(name, NULL, __VA_ARGS__)
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
#define VMM_LOG_GIVEN(...) ((void)0)
#define VMM_LOG_GIVEN_AS(name, ...) ((void)0)
#define VMM_LOG_QUIET(is_quiet) ((void)0)
#define vmm_log_in_child() ((void)0)
#define vmm_log_say(data, length) vmm_os_write_error(data, length)
#define vmm_log_write(data, length) vmm_os_write_error(data, length)

#endif

#endif
