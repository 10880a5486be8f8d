/* SPDX-License-Identifier: BSD-3-Clause */
/* start.c: the constructor and the destructor of the library. */
#include "config.h"

#include "entry/entry.h"
#include "heap/start.h"
#include "libvmmalloc.h"
#include "os/os.h"

/* For a program that is not linked with this library, but uses a library that is. */
static const char behind_libc[] = "libvmmalloc: the library has no effect, because the"
    " dynamic linker finds malloc in libc first. Link the program with -lvmmalloc, or set"
    " LD_PRELOAD=libvmmalloc.so.1\n";

/* Opens the pool, so that an error in the environment is reported before main begins. */
static void __attribute__((constructor))
start(void)
{
	if (!vmm_foreign_find_libc()) {
		vmm_os_write_error(behind_libc, sizeof(behind_libc) - 1);
		return;
	}
	je_free(je_malloc(1));
	vmm_profile_start((void *)malloc);
}

#ifdef VMMALLOC_DEBUG
/*
 * Runs at exit(3), and when the last thread ends (pthread_exit(3)). The pool stays open:
 * other destructors may follow.
 */
static void __attribute__((destructor))
stop(void)
{
	vmm_heap_stop();
}
#endif
