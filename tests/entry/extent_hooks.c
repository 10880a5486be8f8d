/* SPDX-License-Identifier: BSD-3-Clause */
/* extent_hooks.c: blocks of arenas with extent hooks of the program's own: as good to free(3),
 * realloc(3) and malloc_usable_size(3) as all others; run with the library preloaded. */
#include "config.h"

#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libvmmalloc.h"

#pragma weak mallocx
#pragma weak dallocx
#pragma weak mallctl

#define ARENA(arena) ((int)((arena) + 1) << 20) /* MALLOCX_ARENA */
#define NO_TCACHE (1 << 8) /* MALLOCX_TCACHE_NONE */

/* jemalloc(3), arena.<i>.extent_hooks: what is NULL is not done. */
struct hooks {
	void *(*alloc)(struct hooks *hooks, void *wanted, size_t size,
	    size_t alignment, bool *is_zero, bool *is_committed, unsigned arena);
	bool (*dalloc)(struct hooks *hooks, void *address, size_t size,
	    bool is_committed, unsigned arena);
	void (*others[7])(void);
};

/* What the hooks gave, ever. No lock: only one thread runs at a time. */
static struct {
	char *begin, *end;
} ranges[10000];
static size_t nranges;

static bool
is_of_hooks(const char *block)
{
	for (size_t i = 0; i < nranges; i++) {
		if (block >= ranges[i].begin && block < ranges[i].end)
			return true;
	}
	return false;
}

static void *
map(struct hooks *hooks, void *wanted, size_t size, size_t alignment, bool *is_zero,
    bool *is_committed, unsigned arena)
{
	char *range;
	size_t rest;

	(void)hooks;
	(void)arena;
	if (wanted != NULL)
		return NULL;
	range = mmap(NULL, size + alignment, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (range == MAP_FAILED)
		return NULL;
	rest = -(size_t)range & (alignment - 1);
	munmap(range, rest);
	munmap(range + rest + size, alignment - rest);
	*is_zero = *is_committed = true;
	range += rest;
	if (nranges < sizeof(ranges) / sizeof(ranges[0])) {
		ranges[nranges].begin = range;
		ranges[nranges++].end = range + size;
	}
	return range;
}

static bool
unmap(struct hooks *hooks, void *address, size_t size, bool is_committed, unsigned arena)
{
	(void)hooks;
	(void)is_committed;
	(void)arena;
	errno = 77; /* free keeps it all the same. */
	return munmap(address, size) != 0;
}

/* One whose ranges come and go, and one that jemalloc keeps. */
static struct hooks unmapping = { map, unmap, { NULL } };
static struct hooks keeping = { map, NULL, { NULL } };

static const char *failed;

static void
check(bool is_so, const char *what)
{
	if (!is_so && failed == NULL)
		failed = what;
}

static void *
opaque(void *value)
{
	__asm__ volatile("" : "+r"(value));
	return value;
}

static const size_t sizes[] = { 1, 100, 5000, 20000, 300000, 5 << 20 };
#define NSIZES (sizeof(sizes) / sizeof(sizes[0]))

/* Of an arena that had extents of the pool before it got its hooks. */
static bool is_of_both;

/* A block of one arena, in each way that a program may have done with it. */
static void
all_ways(void *(*get)(size_t))
{
	for (size_t i = 0; i < NSIZES; i++) {
		size_t size = sizes[i];
		char *block = get(size);

		check(is_of_both || is_of_hooks(block), "not of own hooks");
		if (block == NULL)
			return;
		check(malloc_usable_size(block) >= size, "usable size");
		memset(opaque(block), 'x', size);
		errno = 4711;
		free(opaque(block));
		check(errno == 4711, "errno after free");

		block = get(size);
		memset(opaque(block), 'x', size);
		block = realloc(opaque(block), 2 * size);
		check(block != NULL && block[0] == 'x' && block[size - 1] == 'x',
		    "grown");
		block = reallocarray(opaque(block), 1, size);
		check(block != NULL && block[size - 1] == 'x', "shrunk");
		check(realloc(opaque(block), 0) == NULL, "to nothing");

		block = get(size);
		errno = 0;
		check(realloc(opaque(block), (size_t)-1 / 4) == NULL &&
		    errno == ENOMEM, "without room");
		dallocx(block, NO_TCACHE);
	}
}

static unsigned arena;

static void *
by_mallocx(size_t size)
{
	return mallocx(size, ARENA(arena) | NO_TCACHE);
}

static void *
by_malloc(size_t size)
{
	return malloc(size);
}

static void
create(struct hooks *hooks)
{
	size_t length = sizeof(arena);

	check(mallctl("arenas.create", &arena, &length, &hooks, sizeof(void *)) == 0,
	    "arenas.create");
}

/* What is freed is unmapped by the very free. */
static void
decays_at_once(void)
{
	static char name[64];
	ssize_t none = 0;

	snprintf(name, sizeof(name), "arena.%u.dirty_decay_ms", arena);
	check(mallctl(name, NULL, NULL, &none, sizeof(none)) == 0, name);
}

/* All that this thread asks for comes from the program's own hooks. */
static void *
in_thread(void *block)
{
	free(block);
	check(mallctl("thread.arena", NULL, NULL, &arena, sizeof(arena)) == 0,
	    "thread.arena");
	/* What was cached before is of other arenas. */
	check(mallctl("thread.tcache.flush", NULL, NULL, NULL, 0) == 0, "flush");
	all_ways(by_malloc);
	return by_malloc(5000);
}

static void
in_threads(void)
{
	for (int i = 0; i < 20; i++) {
		pthread_t thread;
		void *left = NULL;

		check(pthread_create(&thread, NULL, in_thread, by_mallocx(100)) == 0,
		    "a thread");
		check(pthread_join(thread, &left) == 0, "joined");
		free(left);
	}
}

static _Noreturn void
live_in_child(char *block)
{
	check(block[69999] == 'p', "a child's copy");
	memset(block, 'c', 70000);
	free(block);
	all_ways(by_mallocx);
	_exit(failed != NULL);
}

static void
in_child(void)
{
	char *block = by_mallocx(70000);
	pid_t child;
	int status = 1;

	memset(block, 'p', 70000);
	child = fork();
	if (child == 0)
		live_in_child(block);
	check(waitpid(child, &status, 0) == child && status == 0, "a child");
	check(block[69999] == 'p', "a child wrote into its parent's block");
	free(block);
}

/* libc's own blocks are still libc's. */
static void
of_libc(void)
{
	void *libc = dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD);
	void *(*allocate)(size_t) = NULL;

	if (libc != NULL)
		*(void **)&allocate = dlsym(libc, "malloc");
	if (allocate == NULL)
		return;
	for (size_t i = 0; i < NSIZES; i++) {
		char *block = allocate(sizes[i]);

		check(malloc_usable_size(block) >= sizes[i], "libc's usable size");
		block = realloc(opaque(block), sizes[i] + 100);
		free(opaque(block));
	}
}

/* The arena that all threads begin with: what it had stays the pool's. */
static void
everywhere(void)
{
	struct hooks *hooks = &keeping;
	void *before = malloc(300000);
	void *behind;

	check(mallctl("arena.0.extent_hooks", NULL, NULL, &hooks, sizeof(void *)) == 0,
	    "arena.0.extent_hooks");
	arena = 0;
	is_of_both = true;
	free(before);
	behind = malloc(7 << 20);
	free(behind);
	in_child();
	in_threads();
}

int
main(void)
{
	if (mallctl == NULL) {
		puts("without the library there are no such arenas");
		return 77;
	}
	create(&keeping);
	all_ways(by_mallocx);
	in_threads();
	in_child();
	of_libc();
	create(&unmapping);
	decays_at_once();
	all_ways(by_mallocx);
	in_threads();
	in_child();
	of_libc();
	everywhere();
	if (failed != NULL)
		printf("%s\n", failed);
	return failed != NULL;
}
