/* SPDX-License-Identifier: BSD-3-Clause */
/* linux_cgroup.c: the limit of memory that control groups set (cgroups(7)), on Linux. */
#include "config.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "os/linux_proc.h"
#include "os/linux_sys.h"
#include "os/os.h"

/* The usual mount points, and the files with the limits. */
static const struct hierarchy {
	const char *mount, *limit;
} version_1 = { "/sys/fs/cgroup/memory", "/memory.limit_in_bytes" },
  version_2 = { "/sys/fs/cgroup", "/memory.max" };

/* Returns the limit of one group; UINT64_MAX if it has none ("max", or a huge number). */
static uint64_t
limit_of(const struct hierarchy *hierarchy, const char *group, size_t length)
{
	struct vmm_text path;
	char digits[32];
	uint64_t limit;

	vmm_text_clear(&path);
	vmm_text_str(&path, hierarchy->mount);
	if (path.length + length >= sizeof(path.data))
		return UINT64_MAX;
	memcpy(path.data + path.length, group, length);
	path.length += length;
	path.data[path.length] = '\0';
	vmm_text_str(&path, hierarchy->limit);
	if (vmm_os_proc_read(AT_FDCWD, path.data, digits, sizeof(digits)) != 0 ||
	    digits[0] < '0' || digits[0] > '9')
		return UINT64_MAX;
	limit = strtoull(digits, NULL, 10);
	return limit > INT64_MAX / 2 ? UINT64_MAX : limit;
}

/*
 * Returns the lowest limit of the group and of those above it. In a container the path may be
 * the host's, and not exist: then only the top counts, which is the container's own group.
 */
static uint64_t
lowest_limit(const struct hierarchy *hierarchy, const char *group)
{
	size_t length = strlen(group);
	uint64_t lowest = UINT64_MAX;

	for (;;) {
		uint64_t limit;

		while (length > 0 && group[length - 1] == '/')
			length--;
		limit = limit_of(hierarchy, group, length);
		if (limit < lowest)
			lowest = limit;
		if (length == 0)
			return lowest;
		while (length > 0 && group[length - 1] != '/')
			length--;
	}
}

uint64_t
vmm_os_memory_limit(void)
{
	struct vmm_os_lines lines;
	uint64_t lowest = UINT64_MAX;
	char *line;

	if (vmm_os_lines_open(&lines, AT_FDCWD, VMM_OS_SELF "cgroup") != 0)
		return lowest;
	/* Lines are NUMBER:CONTROLLERS:GROUP; version 2 has number 0 and no controllers. */
	while ((line = vmm_os_lines_next(&lines)) != NULL) {
		char *names = strchr(line, ':');
		char *group = names == NULL ? NULL : strchr(names + 1, ':');
		uint64_t limit = UINT64_MAX;

		if (group == NULL)
			continue;
		*group++ = '\0';
		/* This process is outside its cgroup namespace: its groups are not visible. */
		if (strncmp(group, "/..", 3) == 0)
			continue;
		if (names[1] == '\0')
			limit = lowest_limit(&version_2, group);
		else if (strstr(names, "memory") != NULL)
			limit = lowest_limit(&version_1, group);
		if (limit < lowest)
			lowest = limit;
	}
	vmm_os_lines_close(&lines);
	return lowest;
}
