/* SPDX-License-Identifier: BSD-3-Clause */
/* library.c: finds the library to preload, and puts it into LD_PRELOAD. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "run.h"

const char *
installed_library(bool is_debug)
{
	return is_debug ? VMM_DEBUG_LIBRARY : VMM_LIBRARY;
}

/*
 * Returns the library of the build tree in which this command lies, so that a build can
 * be tried before it is installed; NULL if it lies in no build tree.
 */
static char *
built_library(bool is_debug)
{
	char self[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *library;

	if (length < 0)
		return NULL;
	self[length] = '\0';
	/* The tree is TREE in TREE/bin/vmmalloc. */
	for (int i = 0; i < 2; i++) {
		char *slash = strrchr(self, '/');

		if (slash == NULL)
			return NULL;
		*slash = '\0';
	}
	if (asprintf(&library, "%s/lib/%s.libs/libvmmalloc.so.1", self,
		is_debug ? "debug/" : "") < 0)
		fail(STATUS_OURS, "LD_PRELOAD: %s", strerror(errno));
	if (access(library, R_OK) == 0)
		return library;
	free(library);
	return NULL;
}

static const char *
choose_library(bool is_debug)
{
	const char *library = built_library(is_debug);

	if (library == NULL)
		library = installed_library(is_debug);
	if (access(library, R_OK) == 0)
		return library;
	if (is_debug)
		fail(STATUS_OURS, "%s: %s; install the debug variant, package"
		    " libvmmalloc1-debug (RPM: libvmmalloc-debug)", library,
		    strerror(errno));
	fail(STATUS_OURS, "%s: %s", library, strerror(errno));
}

void
preload_library(bool is_debug)
{
	const char *library = choose_library(is_debug);
	const char *others = getenv("LD_PRELOAD");
	char *value;

	/* ld.so(8) would take the path for two, and ignore both with a warning. */
	if (strpbrk(library, ": ") != NULL)
		fail(STATUS_OURS, "%s: LD_PRELOAD does not accept a path with a space"
		    " or a colon; install libvmmalloc in another directory", library);
	if (others == NULL || others[0] == '\0') {
		set_variable("LD_PRELOAD", library);
		return;
	}
	if (asprintf(&value, "%s:%s", library, others) < 0)
		fail(STATUS_OURS, "LD_PRELOAD: %s", strerror(errno));
	set_variable("LD_PRELOAD", value);
	free(value);
}
