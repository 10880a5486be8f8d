/* SPDX-License-Identifier: BSD-3-Clause */
/* fork.c: fork(2) and the registration of the program's fork handlers. */
#include "config.h"

#include <unistd.h>

#include "entry/entry.h"
#include "heap/fork.h"
#include "os/os.h"

/* No header of glibc declares it. */
int __register_atfork(void (*prepare)(void), void (*parent)(void),
    void (*child)(void), void *library);

/* POSIX. fork must fail if the child cannot get its heap; a fork handler cannot fail. */

VMM_EXPORT pid_t
fork(void)
{
	VMM_LOG_ENTER();
	return vmm_fork();
}

/*
 * glibc. pthread_atfork(3) is linked into each program and library, and calls this function,
 * which starts the heap first: handlers that were registered before the heap's would run
 * while the heap's locks are held, and could not allocate.
 */

VMM_EXPORT int
__register_atfork(void (*prepare)(void), void (*parent)(void),
    void (*child)(void), void *library)
{
	VMM_LOG_ENTER();
	je_free(je_malloc(1));
	return vmm_os_atfork(prepare, parent, child, library);
}
