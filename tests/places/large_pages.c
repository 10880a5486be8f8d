/* SPDX-License-Identifier: BSD-3-Clause */
/* large_pages.c: a library that has a system's pages look as large as 1 MiB. Made to be
 * preloaded, behind the library under test. */
#include "config.h"

#include <dlfcn.h>
#include <unistd.h>

long __attribute__((visibility("default")))
sysconf(int name)
{
	long (*next)(int);

	if (name == _SC_PAGESIZE)
		return 1 << 20;
	*(void **)&next = dlsym(RTLD_NEXT, "sysconf");
	return next(name);
}
