/* SPDX-License-Identifier: BSD-3-Clause */
/* profile.c: the backtraces of jemalloc's heap profiler. */
#include "config.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "entry/entry.h"
#include "heap/je.h"
#include "trace/log.h"

/* Begin and end of the library's code, defined by the linker (ld(1), PROVIDE). */
extern const char __ehdr_start[] __attribute__((visibility("hidden")));
extern const char etext[] __attribute__((visibility("hidden")));

/* Fills `frames` with at most `max` return addresses, the innermost first. */
typedef void backtrace_hook(void **frames, unsigned *count, unsigned max);

static backtrace_hook *whole_backtrace;
static void *own_entry;

static bool
is_own(const void *frame)
{
	return (uintptr_t)frame >= (uintptr_t)__ehdr_start &&
	    (uintptr_t)frame < (uintptr_t)etext;
}

static void
backtrace(void **frames, unsigned *count, unsigned max)
{
	unsigned own = 0;

	whole_backtrace(frames, count, max);
	while (own < *count && is_own(frames[own]))
		own++;
	if (own == 0)
		return;
	*count -= own - 1;
	memmove(frames, frames + own - 1, *count * sizeof(*frames));
	frames[0] = own_entry;
}

void
vmm_profile_start(void *entry)
{
	backtrace_hook *hook = backtrace;
	size_t length = sizeof(whole_backtrace);

	/* The first call of mallctl initialises much, so it is made only for a profile. */
	if (!je_opt_prof)
		return;
	own_entry = entry;
	/* Two calls: the new hook may run as soon as it is set, and needs the old one. */
	if (je_mallctl("experimental.hooks.prof_backtrace", &whole_backtrace,
		&length, NULL, 0) == 0)
		je_mallctl("experimental.hooks.prof_backtrace", NULL, NULL, &hook,
		    sizeof(hook));
}
