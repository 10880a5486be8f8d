/* SPDX-License-Identifier: BSD-3-Clause */
/* dlopen.c: dlopen(3) without RTLD_DEEPBIND. */
#include "config.h"

#include <dlfcn.h>

#include "entry/entry.h"
#include "os/os.h"

#ifdef RTLD_DEEPBIND
/*
 * With RTLD_DEEPBIND a library searches its own dependencies, and so libc, before preloaded
 * libraries (dlopen(3)). It would pass blocks of the pool to libc's free, which aborts.
 *
 * dlopen(3) uses the run path and the namespace of its caller, found by the return address.
 * So the call must be a jump, with and without optimization.
 */
#if __has_attribute(musttail)
#define JUMP __attribute__((musttail))
#define HAS_JUMP
#else
#define JUMP
#define HAS_JUMP __attribute__((optimize("O2")))
#endif

HAS_JUMP VMM_EXPORT void *
dlopen(const char *file, int mode)
{
	VMM_LOG_ENTER();
	JUMP return vmm_os_dlopen()(file, mode & ~RTLD_DEEPBIND);
}
#endif
