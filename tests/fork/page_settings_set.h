/* SPDX-License-Identifier: BSD-3-Clause */
/* page_settings_set.h: part of page_settings: settings of pages, and areas with a setting. */
#ifndef FORK_PAGE_SETTINGS_SET_H
#define FORK_PAGE_SETTINGS_SET_H

#include <stddef.h>

#include "../support/self.h"

/* An area, its setting, and its mapping just after the setting was made. */
struct spot {
	const struct setting *setting;
	char *area; /* NULL: the kernel has refused the setting */
	char mapping[SELF_TEXT];
	int fd;
	int has_child; /* the process has forked since */
};

/*
 * `set` returns 0, or -1 and sets errno. `in_parent` and `in_child` return whether that
 * process sees what it should see. `flag` is the flag of /proc/self/smaps that the area
 * has in the parent; it may be NULL.
 */
struct setting {
	const char *name;
	const char *flag;
	int (*set)(struct spot *spot);
	int (*in_parent)(struct spot *spot);
	int (*in_child)(struct spot *spot);
};

#define NSETTINGS 11
extern const struct setting settings[NSETTINGS];

/* The setting with this name, which must exist. */
const struct setting *setting_find(const char *name);

/* Makes an area and applies the setting. Returns 0, or errno if the kernel refuses. */
int spot_set(struct spot *spot, const struct setting *setting);

int is_filled(const char *area, char value);

/* All spots of a case, which are checked together. */
struct spots {
	struct spot *spot;
	size_t count;
};

/*
 * page_settings_forks.c: forks, lets the child end and the heap return, and checks all
 * spots at each step. `later`, if not NULL, is a setting to make while the child lives, when
 * the heap has left its file, on one spot more: the array `spot` needs room for it. `what`
 * begins the descriptions.
 */
void through_fork(struct spots *spots, const struct setting *later, const char *what);

#endif
