/* SPDX-License-Identifier: BSD-3-Clause */
/* start.c: what happens when the library is loaded, and at exit. */
#include "config.h"

#include "entry/entry.h"
#include "entry/profile.h"
#include "heap/start.h"
#include "libvmmalloc.h"
#include "os/os.h"

/* Where a shared library is linked with this one, and the program is not. */
static const char behind_libc[] = "libvmmalloc: has no effect: the dynamic linker finds"
    " libc's malloc first. Link the program itself with -lvmmalloc, or preload the"
    " library\n";

/* Opens the pool before main at the latest: a bad environment is said at start. */
static void __attribute__((constructor))
start(void)
{
	if (!vmm_alloc_find_libc()) {
		vmm_os_write_error(behind_libc, sizeof(behind_libc) - 1);
		return;
	}
	je_free(je_malloc(1));
	vmm_profile_start((void *)malloc);
}

#ifdef VMMALLOC_DEBUG
/*
 * At exit(3), wherever it was called, and when the last of several threads ends
 * (pthread_exit(3)). The pool stays: other destructors may follow.
 */
static void __attribute__((destructor))
stop(void)
{
	vmm_heap_stop();
}
#endif
