/* SPDX-License-Identifier: BSD-3-Clause */
/* linux_mappings.c: lists the mappings in the pool, with what the program has set on them, and
 * replaces one with the same settings, on Linux. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "os/linux_proc.h"
#include "os/linux_sys.h"
#include "os/os.h"

#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18 /* Linux 4.14 */
#endif

/* A line of /proc/PID/maps: "begin-end perms offset device inode path" (proc(5)). */
struct mapping {
	uintptr_t begin, end;
	char perms[5];
	uint64_t offset;
	uint64_t inode;
};

/* Returns false if the line does not begin a mapping; most lines of smaps do not. */
static bool
read_mapping(const char *line, struct mapping *mapping)
{
	char *at;

	mapping->begin = (uintptr_t)strtoull(line, &at, 16);
	if (at == line || *at != '-')
		return false;
	mapping->end = (uintptr_t)strtoull(at + 1, &at, 16);
	if (*at != ' ' || strlen(at) < 6)
		return false;
	memcpy(mapping->perms, at + 1, 4);
	mapping->perms[4] = '\0';
	mapping->offset = strtoull(at + 5, &at, 16);
	at = strchr(at + 1, ' '); /* after the device */
	mapping->inode = at == NULL ? 0 : strtoull(at, NULL, 10);
	return true;
}

/*
 * Returns the piece of a mapping in [begin, end) as a part. The part counts as the pool's if
 * it is anonymous and not shared, or if it maps a file at the offset at which the pool would.
 * A mapping of the program is unlikely to have that offset, except at the pool's first page.
 */
static struct vmm_os_part
part_of(const struct mapping *mapping, uintptr_t base, uintptr_t begin, uintptr_t end)
{
	const char *perms = mapping->perms;
	bool is_shared = perms[3] == 's';

	return (struct vmm_os_part){
		.begin = (mapping->begin > begin ? mapping->begin : begin) - base,
		.end = (mapping->end < end ? mapping->end : end) - base,
		.protection = (perms[0] == 'r' ? PROT_READ : 0) |
		    (perms[1] == 'w' ? PROT_WRITE : 0) |
		    (perms[2] == 'x' ? PROT_EXEC : 0),
		.is_shared = is_shared,
		.has_file = mapping->inode != 0,
		.is_pool = mapping->inode == 0 ? !is_shared
		    : mapping->begin - mapping->offset == base,
	};
}

int
vmm_os_parts_add(struct vmm_os_parts *parts, const struct vmm_os_part *part)
{
	size_t room = parts->bytes / sizeof(*part);
	size_t bytes = parts->bytes == 0 ? vmm_os_page_size() : 2 * parts->bytes;
	void *more;
	int error;

	if (parts->count == room) {
		error = vmm_os_map_plain(bytes, &more);
		if (error != 0)
			return error;
		if (room > 0) {
			memcpy(more, parts->list, parts->bytes);
			vmm_os_unmap(parts->list, parts->bytes);
		}
		parts->list = more;
		parts->bytes = bytes;
	}
	parts->list[parts->count++] = *part;
	return 0;
}

/*
 * Whether the kernel lists two neighbours separately that look like one mapping. The cause:
 * one has settings, or each already had private pages when they became neighbours.
 */
static bool
is_split(const struct vmm_os_part *one, const struct vmm_os_part *next)
{
	return one->end == next->begin && one->is_pool && next->is_pool &&
	    one->is_shared == next->is_shared && one->has_file == next->has_file &&
	    one->protection == next->protection;
}

/* Whether memory is locked. mlockall(2) splits no mappings, so is_split does not see it. */
static bool
has_locked(void)
{
	struct vmm_os_field locked = { "VmLck:", 10, 0 };

	vmm_os_proc_fields(AT_FDCWD, VMM_OS_SELF "status", &locked, 1);
	return locked.value > 0;
}

/* VmFlags in /proc/PID/smaps, and the advice of madvise(2) that sets each. */
static const struct {
	char letters[4];
	int advice;
} settings[] = {
	{ "dd ", MADV_DONTDUMP }, { "dc ", MADV_DONTFORK },
	{ "wf ", MADV_WIPEONFORK }, { "mg ", MADV_MERGEABLE },
	{ "hg ", MADV_HUGEPAGE }, { "nh ", MADV_NOHUGEPAGE },
	{ "sr ", MADV_SEQUENTIAL }, { "rr ", MADV_RANDOM },
};
#define NSETTINGS (sizeof(settings) / sizeof(settings[0]))

/* Reads a part's settings; true if any. Locks do not count: mlockall(2) sets them, too. */
static bool
read_flags(struct vmm_os_part *part, const char *flags)
{
	for (size_t i = 0; i < NSETTINGS; i++) {
		if (strstr(flags, settings[i].letters) != NULL)
			part->settings |= 1U << i;
	}
	part->is_dontfork = strstr(flags, "dc ") != NULL;
	part->is_locked = strstr(flags, "lo ") != NULL;
	part->is_locked_on_fault = strstr(flags, "lf ") != NULL;
	return part->settings != 0;
}

static int
read_settings(struct vmm_os_parts *parts, uintptr_t base)
{
	struct vmm_os_lines lines;
	struct mapping mapping = { 0 };
	size_t next = 0;
	char *line;
	int error = vmm_os_lines_open(&lines, AT_FDCWD, VMM_OS_SELF "smaps");

	if (error != 0)
		return error;
	while (next < parts->count && (line = vmm_os_lines_next(&lines)) != NULL) {
		if (read_mapping(line, &mapping))
			continue;
		while (next < parts->count &&
		    base + parts->list[next].end <= mapping.begin)
			next++;
		if (next < parts->count && strncmp(line, "VmFlags:", 8) == 0 &&
		    mapping.begin <= base + parts->list[next].begin &&
		    mapping.end > base + parts->list[next].begin)
			parts->has_settings |= read_flags(&parts->list[next++], line);
	}
	vmm_os_lines_close(&lines);
	return lines.error;
}

/* If `earlier` lists the same mappings, copies their settings and returns true. */
static bool
copy_settings(struct vmm_os_parts *parts, const struct vmm_os_parts *earlier)
{
	if (earlier == NULL || earlier->count != parts->count)
		return false;
	for (size_t i = 0; i < parts->count; i++) {
		const struct vmm_os_part *a = &parts->list[i], *b = &earlier->list[i];

		if (a->begin != b->begin || a->end != b->end ||
		    a->protection != b->protection ||
		    a->is_shared != b->is_shared || a->has_file != b->has_file)
			return false;
		/* The program has mapped its own file. The caller checks anonymous parts. */
		if (a->has_file && a->is_pool != b->is_pool)
			return false;
	}
	memcpy(parts->list, earlier->list, parts->count * sizeof(*parts->list));
	parts->has_settings = earlier->has_settings;
	return true;
}

/*
 * Whether an error of opening a file of /proc is temporary. Any other error means that there
 * is no /proc. ESRCH: a sandbox has used chroot(2) into the directory of an ended process.
 */
static bool
is_shortage(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOMEM || error == EINTR;
}

/*
 * Adds the parts in [begin, end) from the lines of maps, and sets *is_any_split to whether
 * two neighbours are split. The mappings just outside count for that, because the whole
 * range may lie within one mapping.
 */
static int
read_parts(struct vmm_os_lines *lines, uintptr_t base, uintptr_t begin, uintptr_t end,
    struct vmm_os_parts *parts, bool *is_any_split)
{
	struct vmm_os_part part, whole, before = { .is_pool = false };
	struct mapping mapping;
	bool is_inside = false;
	char *line;
	int error = 0;

	*is_any_split = false;
	while (error == 0 && (line = vmm_os_lines_next(lines)) != NULL) {
		bool was_inside = is_inside;

		if (!read_mapping(line, &mapping) || mapping.begin < base)
			continue;
		is_inside = mapping.begin < end && mapping.end > begin;
		whole = part_of(&mapping, base, mapping.begin, mapping.end);
		if (is_inside || was_inside)
			*is_any_split |= is_split(&before, &whole);
		if (mapping.begin >= end)
			break;
		before = whole;
		if (!is_inside)
			continue;
		part = part_of(&mapping, base, begin, end);
		parts->has_settings |= !part.is_pool ||
		    part.protection != (PROT_READ | PROT_WRITE);
		error = vmm_os_parts_add(parts, &part);
	}
	return error;
}

int
vmm_os_parts_read(const void *address, size_t offset, size_t length,
    const struct vmm_os_parts *earlier, struct vmm_os_parts *parts)
{
	uintptr_t base = (uintptr_t)address, begin = base + offset;
	struct vmm_os_lines lines;
	bool is_any_split;
	int error = vmm_os_lines_open(&lines, AT_FDCWD, VMM_OS_SELF "maps");

	*parts = (struct vmm_os_parts){ .list = NULL };
	if (error != 0)
		return is_shortage(error) ? error : ENOENT;
	error = read_parts(&lines, base, begin, begin + length, parts, &is_any_split);
	vmm_os_lines_close(&lines);
	if (error == 0)
		error = lines.error != 0 ? lines.error : parts->count == 0 ? ENOENT : 0;
	if (error == 0 && !copy_settings(parts, earlier) &&
	    (parts->has_settings || is_any_split || has_locked()))
		error = read_settings(parts, base);
	if (error != 0)
		vmm_os_parts_free(parts);
	return error;
}

void
vmm_os_parts_free(struct vmm_os_parts *parts)
{
	if (parts->bytes > 0)
		vmm_os_unmap(parts->list, parts->bytes);
	*parts = (struct vmm_os_parts){ .list = NULL };
}

/* Gives a window the advice and the protection of the part that it will replace. */
static int
copy_to_window(const struct vmm_os_part *part, void *window)
{
	size_t size = part->end - part->begin;

	for (size_t i = 0; i < NSETTINGS; i++) {
		if ((part->settings & 1U << i) != 0)
			vmm_sys.madvise(window, size, settings[i].advice);
	}
	if (part->protection != (PROT_READ | PROT_WRITE) &&
	    vmm_sys.mprotect(window, size, part->protection) != 0)
		return errno;
	return 0;
}

int
vmm_os_part_replace(const struct vmm_os_part *part, void *address, void *window)
{
	char *place = (char *)address + part->begin;
	size_t size = part->end - part->begin;
	int error = copy_to_window(part, window);

	if (error == 0 && vmm_sys.mremap(window, size, size,
		MREMAP_MAYMOVE | MREMAP_FIXED, place) == MAP_FAILED)
		error = errno;
	if (error != 0) {
		vmm_os_unmap(window, size);
		return error;
	}
	/* Locked only now: while both mappings existed, both would count (RLIMIT_MEMLOCK). */
	if (part->is_locked_on_fault)
		vmm_sys.mlock2(place, size, MLOCK_ONFAULT);
	else if (part->is_locked)
		vmm_sys.mlock(place, size);
	return 0;
}
