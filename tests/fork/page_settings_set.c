/* SPDX-License-Identifier: BSD-3-Clause */
/* page_settings_set.c: part of the program page_settings: the settings: mlock(2),
 * madvise(2), mprotect(2), and the program's own mappings over pages of its heap. */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "page_settings.h"
#include "page_settings_set.h"
#include "../support/self.h"

int
is_filled(const char *area, char value)
{
	for (size_t i = 0; i < AREA_BYTES; i++) {
		if (area[i] != value)
			return 0;
	}
	return 1;
}

/* The area has the flag, and its neighbours do not. */
static int
has_flag_alone(const struct spot *spot)
{
	const char *flag = spot->setting->flag, *area = spot->area;

	return self_has_flag(area, flag) == 1 &&
	    self_has_flag(area + AREA_BYTES - 1, flag) == 1 &&
	    self_has_flag(area - 1, flag) == 0 &&
	    self_has_flag(area + AREA_BYTES, flag) == 0;
}

static int
flag_and_content(struct spot *spot)
{
	return has_flag_alone(spot) && is_filled(spot->area, 'x');
}

static int
content_without_flag(struct spot *spot)
{
	return self_has_flag(spot->area, spot->setting->flag) == 0 &&
	    is_filled(spot->area, 'x');
}

static int
flag_and_zeros(struct spot *spot)
{
	return has_flag_alone(spot) && is_filled(spot->area, 0);
}

static int
nothing_there(struct spot *spot)
{
	return !can_read(spot->area) && !can_read(spot->area + AREA_BYTES - 1) &&
	    self_has_flag(spot->area, "rd") == -1;
}

static int
set_mlock(struct spot *spot)
{
	return mlock(spot->area, AREA_BYTES);
}

static int
locked(struct spot *spot)
{
	return flag_and_content(spot) &&
	    self_status_kb("VmLck") >= (long)AREA_BYTES / 1024;
}

static int
set_mlock_onfault(struct spot *spot)
{
	return mlock2(spot->area, AREA_BYTES, MLOCK_ONFAULT);
}

static int
not_locked(struct spot *spot)
{
	return content_without_flag(spot) && self_status_kb("VmLck") == 0;
}

static int
set_dontdump(struct spot *spot)
{
	return madvise(spot->area, AREA_BYTES, MADV_DONTDUMP);
}

static int
set_dontfork(struct spot *spot)
{
	return madvise(spot->area, AREA_BYTES, MADV_DONTFORK);
}

static int
set_wipeonfork(struct spot *spot)
{
	return madvise(spot->area, AREA_BYTES, MADV_WIPEONFORK);
}

static int
set_hugepage(struct spot *spot)
{
	return madvise(spot->area, AREA_BYTES, MADV_HUGEPAGE);
}

static int
set_nohugepage(struct spot *spot)
{
	return madvise(spot->area, AREA_BYTES, MADV_NOHUGEPAGE);
}

/* A guard page. The rest of the area keeps its content. */
#define GUARD_BYTES ((size_t)sysconf(_SC_PAGESIZE))

static int
set_guard(struct spot *spot)
{
	return mprotect(spot->area, GUARD_BYTES, PROT_NONE);
}

static int
guarded(struct spot *spot)
{
	char *end = spot->area + GUARD_BYTES;

	return !can_read(spot->area) && !can_read(end - 1) &&
	    !can_write(spot->area) && can_read(end) && *end == 'x' &&
	    can_read(spot->area - 1);
}

static int
set_readonly(struct spot *spot)
{
	return mprotect(spot->area, AREA_BYTES, PROT_READ);
}

static int
readonly(struct spot *spot)
{
	return is_filled(spot->area, 'x') && !can_write(spot->area) &&
	    !can_write(spot->area + AREA_BYTES - 1);
}

/* Offsets of bytes that the parent and the child write. In own_shared, the child's byte must
 * be in the file and in the parent's memory at once; in own_private, only in the child. */
#define PARENT_AT 1
#define CHILD_AT 2

static int
set_own_shared(struct spot *spot)
{
	spot->fd = memfd_create("own", MFD_CLOEXEC);
	if (spot->fd < 0 || ftruncate(spot->fd, AREA_BYTES) != 0 ||
	    mmap(spot->area, AREA_BYTES, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_FIXED, spot->fd, 0) == MAP_FAILED)
		return -1;
	memset(spot->area, 'x', AREA_BYTES);
	return 0;
}

static int
set_own_private(struct spot *spot)
{
	if (mmap(spot->area, AREA_BYTES, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
		return -1;
	memset(spot->area, 'x', AREA_BYTES);
	return 0;
}

static int
has_its_mapping(const struct spot *spot)
{
	char now[SELF_TEXT];

	return self_mapping(spot->area, now) && strcmp(now, spot->mapping) == 0 &&
	    spot->area[0] == 'x' && spot->area[AREA_BYTES - 1] == 'x';
}

static int
own_shared(struct spot *spot)
{
	char in_file[CHILD_AT + 1];

	spot->area[PARENT_AT]++;
	return has_its_mapping(spot) &&
	    spot->area[CHILD_AT] == (spot->has_child ? 'c' : 'x') &&
	    pread(spot->fd, in_file, sizeof(in_file), 0) == sizeof(in_file) &&
	    memcmp(in_file, spot->area, sizeof(in_file)) == 0;
}

static int
own_shared_in_child(struct spot *spot)
{
	spot->area[CHILD_AT] = 'c';
	return has_its_mapping(spot);
}

/* Anonymous memory has no inode, and may be merged with private memory of the heap. */
static int
own_private(struct spot *spot)
{
	return has_its_mapping(spot) && spot->area[CHILD_AT] == 'x';
}

static int
own_private_in_child(struct spot *spot)
{
	spot->area[CHILD_AT] = 'c';
	return has_its_mapping(spot);
}

const struct setting settings[NSETTINGS] = {
	{ "mlock", "lo", set_mlock, locked, not_locked },
	{ "mlock_onfault", "lf", set_mlock_onfault, locked, not_locked },
	{ "dontdump", "dd", set_dontdump, flag_and_content, flag_and_content },
	{ "dontfork", "dc", set_dontfork, flag_and_content, nothing_there },
	{ "wipeonfork", "wf", set_wipeonfork, flag_and_content, flag_and_zeros },
	{ "hugepage", "hg", set_hugepage, flag_and_content, flag_and_content },
	{ "nohugepage", "nh", set_nohugepage, flag_and_content, flag_and_content },
	{ "guard", NULL, set_guard, guarded, guarded },
	{ "readonly", NULL, set_readonly, readonly, readonly },
	{ "own_shared", NULL, set_own_shared, own_shared, own_shared_in_child },
	{ "own_private", NULL, set_own_private, own_private, own_private_in_child },
};

const struct setting *
setting_find(const char *name)
{
	const struct setting *setting = settings;

	while (strcmp(setting->name, name) != 0)
		setting++;
	return setting;
}

int
spot_set(struct spot *spot, const struct setting *setting)
{
	*spot = (struct spot){ .setting = setting, .area = area_make(), .fd = -1 };
	memset(spot->area, 'x', AREA_BYTES);
	errno = 0;
	if (setting->set(spot) != 0)
		return errno;
	return self_mapping(spot->area, spot->mapping) ? 0 : EFAULT;
}
