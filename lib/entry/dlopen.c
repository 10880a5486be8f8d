/* SPDX-License-Identifier: BSD-3-Clause */
/* dlopen.c: dlopen(3), but for the flag that would part a library from its heap. */
#include "config.h"

#include <dlfcn.h>

#include "entry/entry.h"
#include "os/os.h"

#ifdef RTLD_DEEPBIND
/*
 * A library that is opened with RTLD_DEEPBIND looks into itself and what it needs, libc
 * among it, before it looks into what was preloaded: it would free our blocks by
 * libc's free, which aborts. Without the flag it finds what all others do.
 *
 * dlopen(3) looks at its caller, whose run path and namespace it searches. Only a jump has
 * it see ours, whether the rest is optimized or not.
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
