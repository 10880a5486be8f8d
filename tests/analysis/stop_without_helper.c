/* SPDX-License-Identifier: BSD-3-Clause */
/* stop_without_helper.c: replaces os/linux_stop*.c and os/linux_task.c for ThreadSanitizer.
 * The sanitizer does not know the helper process, which shares memory without being a thread.
 * Here the calling thread does the work itself. */
#include "config.h"

#include "os/os.h"

bool
vmm_os_has_threads(void)
{
	return false;
}

int
vmm_os_may_stop(enum vmm_os_others others)
{
	(void)others;
	return 0;
}

int
vmm_os_call_stopped(void (*work)(void *argument), void *argument,
    enum vmm_os_others others, bool stack_stays)
{
	(void)others;
	(void)stack_stays;
	work(argument);
	return 0;
}
