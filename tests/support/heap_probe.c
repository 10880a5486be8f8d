/* SPDX-License-Identifier: BSD-3-Clause */
/* heap_probe.c: preloaded beside the library, reports at exit where the heap was. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "in_pool.h"

/*
 * These are copied at the start. At the end some programs have no environment (php), and
 * others have overwritten their name (perl, by $0).
 */
static char path[4096];
static char name[64];

static void __attribute__((constructor))
keep_names(void)
{
	const char *file = getenv("PROBE_FILE");

	if (file != NULL && strlen(file) < sizeof(path))
		strcpy(path, file);
	snprintf(name, sizeof(name), "%s", program_invocation_short_name);
}

/*
 * Appends a line for this process to the file that PROBE_FILE names:
 *   NAME in=yes|no pool=KB pool-rss=KB brk-rss=KB other-rss=KB
 */
static void __attribute__((destructor))
report(void)
{
	struct in_pool_figures figures;
	void *block = malloc(64);
	char line[256];
	int fd, length;

	if (path[0] == '\0' || !in_pool_read(&figures))
		return;
	length = snprintf(line, sizeof(line),
	    "%s in=%s pool=%lu pool-rss=%lu brk-rss=%lu other-rss=%lu\n",
	    name, is_in_pool(block) ? "yes" : "no",
	    figures.pool_kb + figures.place_kb, figures.pool_rss_kb, figures.brk_rss_kb,
	    figures.other_rss_kb);
	free(block);
	fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	if (write(fd, line, (size_t)length) != length)
		abort();
	close(fd);
}
