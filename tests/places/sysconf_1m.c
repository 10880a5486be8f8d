/* SPDX-License-Identifier: BSD-3-Clause */
/* sysconf_1m.c: a library whose sysconf(3) reports pages of 1 MiB. Preloaded after the
 * library under test. */
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
