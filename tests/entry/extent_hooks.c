/* SPDX-License-Identifier: BSD-3-Clause */
/* extent_hooks.c: a program with extent hooks of its own. Blocks of arenas with these hooks
 * must work with free(3), realloc(3) and malloc_usable_size(3). The library is preloaded. */
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

/* jemalloc(3), arena.<i>.extent_hooks. A NULL hook refuses its operation. */
struct hooks {
	void *(*alloc)(struct hooks *hooks, void *wanted, size_t size,
	    size_t alignment, bool *is_zero, bool *is_committed, unsigned arena);
	bool (*dalloc)(struct hooks *hooks, void *address, size_t size,
	    bool is_committed, unsigned arena);
	void (*others[7])(void);
};

/* All ranges that the hooks have allocated. Only one thread runs at a time: no lock. */
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
	errno = 77; /* free(3) must not show this value */
	return munmap(address, size) != 0;
}

/* `unmapping` frees ranges. With `keeping`, jemalloc keeps them. */
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

/* True if the arena had extents of the pool before it got its hooks. */
static bool is_mixed;

/* Resizes and frees blocks of one arena, by several functions. `get` allocates them. */
static void
test_blocks(void *(*get)(size_t))
{
	for (size_t i = 0; i < NSIZES; i++) {
		size_t size = sizes[i];
		char *block = get(size);

		check(is_mixed || is_of_hooks(block), "block not from the program's hooks");
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
		    "realloc to a larger size");
		block = reallocarray(opaque(block), 1, size);
		check(block != NULL && block[size - 1] == 'x', "reallocarray to a smaller size");
		check(realloc(opaque(block), 0) == NULL, "realloc to 0");

		block = get(size);
		errno = 0;
		check(realloc(opaque(block), (size_t)-1 / 4) == NULL &&
		    errno == ENOMEM, "realloc without memory");
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

/* Makes free(3) unmap memory at once. */
static void
set_no_decay(void)
{
	static char name[64];
	ssize_t none = 0;

	snprintf(name, sizeof(name), "arena.%u.dirty_decay_ms", arena);
	check(mallctl(name, NULL, NULL, &none, sizeof(none)) == 0, name);
}

/* A thread that allocates only from the arena with hooks. */
static void *
in_thread(void *block)
{
	bool has_cache = false;
	size_t length = sizeof(has_cache);

	free(block);
	check(mallctl("thread.arena", NULL, NULL, &arena, sizeof(arena)) == 0,
	    "thread.arena");
	check(mallctl("opt.tcache", &has_cache, &length, NULL, 0) == 0, "opt.tcache");
	/* The cache may have blocks of other arenas. */
	check(mallctl("thread.tcache.flush", NULL, NULL, NULL, 0) ==
	    (has_cache ? 0 : EFAULT), "flush");
	test_blocks(by_malloc);
	return by_malloc(5000);
}

static void
in_threads(void)
{
	for (int i = 0; i < 20; i++) {
		pthread_t thread;
		void *left = NULL;

		check(pthread_create(&thread, NULL, in_thread, by_mallocx(100)) == 0,
		    "pthread_create");
		check(pthread_join(thread, &left) == 0, "pthread_join");
		free(left);
	}
}

static _Noreturn void
live_in_child(char *block)
{
	check(block[69999] == 'p', "the child has the block's content");
	memset(block, 'c', 70000);
	free(block);
	test_blocks(by_mallocx);
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
	check(waitpid(child, &status, 0) == child && status == 0, "the child succeeds");
	check(block[69999] == 'p', "the parent's block keeps its content");
	free(block);
}

/* Blocks of libc's own allocator still go back to libc. */
static void
libc_blocks(void)
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

/* Sets hooks for arena 0, the main thread's. Its earlier extents stay the pool's. */
static void
hooks_in_default_arena(void)
{
	struct hooks *hooks = &keeping;
	void *before = malloc(300000);
	void *behind;

	check(mallctl("arena.0.extent_hooks", NULL, NULL, &hooks, sizeof(void *)) == 0,
	    "arena.0.extent_hooks");
	arena = 0;
	is_mixed = true;
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
		puts("needs the library preloaded");
		return 77;
	}
	create(&keeping);
	test_blocks(by_mallocx);
	in_threads();
	in_child();
	libc_blocks();
	create(&unmapping);
	set_no_decay();
	test_blocks(by_mallocx);
	in_threads();
	in_child();
	libc_blocks();
	hooks_in_default_arena();
	if (failed != NULL)
		printf("failed: %s\n", failed);
	return failed != NULL;
}
