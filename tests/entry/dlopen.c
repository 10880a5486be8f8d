/* SPDX-License-Identifier: BSD-3-Clause */
/* dlopen.c: the program and the libraries that it opens with dlopen(3) free each other's
 * blocks. The program runs with the library preloaded and prints TAP. Usage: dlopen DIR
 * DIR has plugin.so; tls.so, with static thread-local data; and in a folder inner.so, which
 * only the run path of plugin.so finds. */
#include "config.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../support/blocks.h"
#include "../support/in_pool.h"

#define ROUNDS 2000

static const char *dir;
static uintptr_t pool_from, pool_to;

struct plugin {
	void *handle;
	char *(*text)(int number);
	char *(*block)(size_t size);
	void (*free_it)(void *block);
	void *(*opens)(const char *name);
};

static int
open_plugin(struct plugin *plugin, const char *name, int mode)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	plugin->handle = dlopen(path, mode);
	if (plugin->handle == NULL) {
		printf("# %s\n", dlerror());
		return 0;
	}
	*(void **)&plugin->text = dlsym(plugin->handle, "plugin_text");
	*(void **)&plugin->block = dlsym(plugin->handle, "plugin_block");
	*(void **)&plugin->free_it = dlsym(plugin->handle, "plugin_free");
	*(void **)&plugin->opens = dlsym(plugin->handle, "plugin_opens");
	return 1;
}

/* is_in_pool is too slow for every block. */
static int
is_in(const void *block)
{
	return (uintptr_t)block >= pool_from && (uintptr_t)block < pool_to;
}

/* The program and the plug-in free each other's blocks. All blocks must be in the pool. */
static int
exchange(const struct plugin *plugin)
{
	int is_good = 1;

	for (int i = 0; i < ROUNDS; i++) {
		size_t size = (size_t)i * 37 % 50000;
		char *text = plugin->text(i);
		char *theirs = plugin->block(size);
		char *ours = malloc(size);
		char expected[32];

		if (text == NULL || theirs == NULL || ours == NULL)
			return 0;
		snprintf(expected, sizeof(expected), "text %d", i);
		is_good &= strcmp(text, expected) == 0;
		is_good &= is_in(text) && is_in(theirs) && is_in(ours);
		free(text);
		theirs = realloc(theirs, size + 1);
		is_good &= is_in(theirs);
		free(theirs);
		plugin->free_it(ours);
	}
	return is_good;
}

static int
exchange_with(const char *name, int mode)
{
	struct plugin plugin;

	return open_plugin(&plugin, name, mode) && exchange(&plugin) &&
	    dlclose(plugin.handle) == 0;
}

/* Blocks of a plug-in stay after dlclose(3). */
static int
blocks_outlive_plugin(void)
{
	char *blocks[100];
	int is_good = 1;

	for (int round = 0; round < 100; round++) {
		struct plugin plugin;

		if (!open_plugin(&plugin, "plugin.so", RTLD_NOW))
			return 0;
		blocks[round] = plugin.text(round);
		is_good &= dlclose(plugin.handle) == 0;
	}
	for (int round = 0; round < 100; round++) {
		char expected[32];

		snprintf(expected, sizeof(expected), "text %d", round);
		is_good &= strcmp(blocks[round], expected) == 0;
		free(blocks[round]);
	}
	return is_good;
}

/* dlopen(3) searches the run path of the library that calls it. */
static int
finds_by_run_path(void)
{
	struct plugin plugin;
	void *inner;

	if (!open_plugin(&plugin, "plugin.so", RTLD_NOW))
		return 0;
	if (dlopen("inner.so", RTLD_NOW) != NULL)
		return 0;
	inner = plugin.opens("inner.so");
	if (inner == NULL)
		printf("# %s\n", dlerror());
	return inner != NULL;
}

int
main(int argc, char **argv)
{
	dir = argc > 1 ? argv[1] : ".";
	tap_result(in_pool_span(&pool_from, &pool_to), "the process has a pool");
	tap_result(exchange_with("plugin.so", RTLD_NOW),
	    "plug-in and program free each other's blocks");
	tap_result(exchange_with("plugin.so", RTLD_NOW | RTLD_DEEPBIND),
	    "the same with RTLD_DEEPBIND");
	tap_result(exchange_with("plugin.so", RTLD_LAZY | RTLD_GLOBAL |
	    RTLD_DEEPBIND), "the same with RTLD_GLOBAL and RTLD_DEEPBIND");
	tap_result(blocks_outlive_plugin(), "blocks outlive the plug-in that allocated them");
	tap_result(finds_by_run_path(), "a plug-in opens a library in its own run path");
	tap_result(exchange_with("tls.so", RTLD_NOW),
	    "a plug-in with 1 KiB of static thread-local data can be opened");
	return tap_plan();
}
