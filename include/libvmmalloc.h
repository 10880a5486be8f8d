/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libvmmalloc.h: the functions of libvmmalloc, which puts the heap of a program into a
 * memory-mapped file. See libvmmalloc(7).
 *
 * Programs do not need this header: preload the library or link with it, and set
 * VMMALLOC_POOL_DIR and VMMALLOC_POOL_SIZE. It may be included before or after <stdlib.h>,
 * <malloc.h> and <jemalloc/jemalloc.h>.
 *
 * All functions are thread-safe. None is async-signal-safe (signal-safety(7)). Functions
 * that allocate return a block of the pool, aligned to 16 bytes unless stated otherwise. If
 * the pool has no memory left, or `size` exceeds PTRDIFF_MAX, they return NULL and set errno
 * to ENOMEM. A size of 0 allocates a distinct block, which may be freed.
 */
#ifndef LIBVMMALLOC_H
#define LIBVMMALLOC_H 1

#include <malloc.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Version of this interface. A new MAJOR version is incompatible with older programs. */
#define VMMALLOC_MAJOR_VERSION 1
#define VMMALLOC_MINOR_VERSION 1

/* Smallest VMMALLOC_POOL_SIZE, in bytes. */
#define VMMALLOC_MIN_POOL ((size_t)(1024 * 1024 * 14))

/* A C++ compiler requires the exception specification of libc's declarations. */
#if defined(__THROW)
#define VMMALLOC_NOTHROW __THROW
#elif defined(__cplusplus) && __cplusplus >= 201103L
#define VMMALLOC_NOTHROW noexcept
#elif defined(__cplusplus)
#define VMMALLOC_NOTHROW throw()
#else
#define VMMALLOC_NOTHROW
#endif

#if defined(__GNUC__)
#define VMMALLOC_ATTR(list) __attribute__(list)
#else
#define VMMALLOC_ATTR(list)
#endif
#define VMMALLOC_NEW VMMALLOC_ATTR((__malloc__, __warn_unused_result__))

/* C standard (7.24.3): memory management functions. */

extern void *malloc(size_t size) VMMALLOC_NOTHROW VMMALLOC_NEW
    VMMALLOC_ATTR((__alloc_size__(1)));

/* Returns zeroed memory. Fails with ENOMEM also if count * size overflows. */
extern void *calloc(size_t count, size_t size) VMMALLOC_NOTHROW VMMALLOC_NEW
    VMMALLOC_ATTR((__alloc_size__(1, 2)));

/* With a NULL block: malloc. With size 0: frees the block and returns NULL, as in glibc. */
extern void *realloc(void *block, size_t size) VMMALLOC_NOTHROW
    VMMALLOC_ATTR((__warn_unused_result__, __alloc_size__(2)));

/* Keeps errno. Ignores a NULL block. */
extern void free(void *block) VMMALLOC_NOTHROW;

/* Fails with EINVAL if `alignment` is not a power of two. Accepts every size. */
extern void *aligned_alloc(size_t alignment, size_t size) VMMALLOC_NOTHROW
    VMMALLOC_NEW VMMALLOC_ATTR((__alloc_size__(2)));

/* C23: the same as free. `size` and `alignment` must be those of the allocation. */
extern void free_sized(void *block, size_t size) VMMALLOC_NOTHROW;
extern void free_aligned_sized(void *block, size_t alignment, size_t size)
    VMMALLOC_NOTHROW;

/* POSIX. */

/*
 * Returns 0; EINVAL if `alignment` is not a power of two and a multiple of sizeof(void *);
 * or ENOMEM. Sets *block only on success. Keeps errno.
 */
extern int posix_memalign(void **block, size_t alignment, size_t size)
    VMMALLOC_NOTHROW VMMALLOC_ATTR((__nonnull__(1), __warn_unused_result__));

/* glibc and older systems: malloc(3), posix_memalign(3), malloc_usable_size(3). */

/* realloc to count * size bytes. On overflow fails with ENOMEM and keeps the block. */
extern void *reallocarray(void *block, size_t count, size_t size)
    VMMALLOC_NOTHROW VMMALLOC_ATTR((__warn_unused_result__,
	__alloc_size__(2, 3)));

/* Rounds `alignment` up to a power of two. Fails with EINVAL if there is none. */
extern void *memalign(size_t alignment, size_t size) VMMALLOC_NOTHROW
    VMMALLOC_NEW VMMALLOC_ATTR((__alloc_size__(2)));

/* Align to the page size of the system. pvalloc also rounds the size up to pages. */
extern void *valloc(size_t size) VMMALLOC_NOTHROW VMMALLOC_NEW
    VMMALLOC_ATTR((__alloc_size__(1)));
extern void *pvalloc(size_t size) VMMALLOC_NOTHROW VMMALLOC_NEW;

/* Returns the usable bytes of a block, at least its size; 0 for NULL. */
extern size_t malloc_usable_size(void *block) VMMALLOC_NOTHROW;

/* The same as free. */
extern void cfree(void *block) VMMALLOC_NOTHROW;

#ifdef __GLIBC__
/*
 * glibc's statistics (mallinfo(3), malloc_info(3), malloc_stats(3)), for the pool: `arena`
 * is what the pool has allocated; `uordblks` of it is in blocks and `fordblks` is free;
 * malloc_trim can purge `keepcost`. `ordblks` is the number of free ranges in the pool.
 * mallinfo returns INT_MAX for larger numbers. malloc_info lists no sizes.
 */
extern struct mallinfo mallinfo(void) VMMALLOC_NOTHROW;
#if __GLIBC_PREREQ(2, 33)
extern struct mallinfo2 mallinfo2(void) VMMALLOC_NOTHROW;
#endif
extern int malloc_info(int options, FILE *stream) VMMALLOC_NOTHROW;
extern void malloc_stats(void) VMMALLOC_NOTHROW;

/* Purges all arenas. Returns 1 if that freed memory, else 0. Ignores `pad`. */
extern int malloc_trim(size_t pad) VMMALLOC_NOTHROW;

/* Accepts every parameter, changes nothing and returns 1. */
extern int mallopt(int parameter, int value) VMMALLOC_NOTHROW;
#endif

/*
 * jemalloc's extended interface, for programs that use it. <jemalloc/jemalloc.h> has the
 * flags, jemalloc(3) the documentation. Unlike the functions above, these do not set errno
 * to ENOMEM, and a size of 0 is not allowed. Blocks of these functions may be passed to those
 * above, and vice versa. The library creates no thread: mallctl and mallctlbymib fail with
 * EPERM if they would set "background_thread" to true.
 */
extern void *mallocx(size_t size, int flags)
    VMMALLOC_ATTR((__nothrow__, __malloc__, __alloc_size__(1)));
extern void *rallocx(void *block, size_t size, int flags)
    VMMALLOC_ATTR((__nothrow__, __alloc_size__(2)));
extern size_t xallocx(void *block, size_t size, size_t extra, int flags)
    VMMALLOC_ATTR((__nothrow__));
extern size_t sallocx(const void *block, int flags) VMMALLOC_ATTR((__nothrow__, __pure__));
extern void dallocx(void *block, int flags)
    VMMALLOC_ATTR((__nothrow__));
extern void sdallocx(void *block, size_t size, int flags)
    VMMALLOC_ATTR((__nothrow__));
extern size_t nallocx(size_t size, int flags) VMMALLOC_ATTR((__nothrow__, __pure__));
extern int mallctl(const char *name, void *oldp, size_t *oldlenp, void *newp,
    size_t newlen) VMMALLOC_ATTR((__nothrow__));
extern int mallctlnametomib(const char *name, size_t *mibp, size_t *miblenp)
    VMMALLOC_ATTR((__nothrow__));
extern int mallctlbymib(const size_t *mib, size_t miblen, void *oldp,
    size_t *oldlenp, void *newp, size_t newlen) VMMALLOC_ATTR((__nothrow__));
extern void malloc_stats_print(void (*write_cb)(void *, const char *),
    void *cbopaque, const char *opts) VMMALLOC_ATTR((__nothrow__));

/*
 * The library also defines all forms of the C++ operators new and delete. It replaces
 * fork(2), dlopen(3), and the function that pthread_atfork(3) calls.
 */

#ifdef __cplusplus
}
#endif

#endif
