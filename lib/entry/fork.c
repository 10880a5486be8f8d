/* SPDX-License-Identifier: BSD-3-Clause */
/* fork.c: fork(2) as the program calls it, and the registration of its handlers. */
#include "config.h"

#include <unistd.h>

#include "entry/entry.h"
#include "heap/fork.h"
#include "os/os.h"

/* In no header of glibc's. */
int __register_atfork(void (*prepare)(void), void (*parent)(void),
    void (*child)(void), void *library);

/* POSIX: fork(2), so that a heap which cannot be copied is a failure like others. */

VMM_EXPORT pid_t
fork(void)
{
	VMM_LOG_ENTER();
	return vmm_fork();
}

/*
 * glibc: what pthread_atfork(3) calls, from the part of it that is linked into each
 * program and library. Handlers of a library that is set up before anybody has
 * allocated would otherwise come before the heap's, and find its locks taken.
 */

VMM_EXPORT int
__register_atfork(void (*prepare)(void), void (*parent)(void),
    void (*child)(void), void *library)
{
	VMM_LOG_ENTER();
	je_free(je_malloc(1));
	return vmm_os_atfork(prepare, parent, child, library);
}
