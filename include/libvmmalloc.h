/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libvmmalloc.h: the functions of libvmmalloc, which takes the heap of a program
 * from a memory-mapped file. See libvmmalloc(7).
 *
 * A program needs none of this: it is enough to preload the library, or to link
 * with it, and to set VMMALLOC_POOL_DIR and VMMALLOC_POOL_SIZE. The header may be
 * included before or after <stdlib.h>, <malloc.h> and <jemalloc/jemalloc.h>.
 *
 * Every function may be called by any thread at any time, but by none from a
 * signal handler that may have interrupted another of them. A block comes from the
 * pool and is aligned for any type (16 bytes), unless said otherwise. Where there
 * is no room in the pool, or `size` is larger than PTRDIFF_MAX, the result is NULL
 * with errno ENOMEM. A size of 0 gives a block of its own that may be freed.
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

/* Version of this interface; a change of MAJOR breaks programs. */
#define VMMALLOC_MAJOR_VERSION 1
#define VMMALLOC_MINOR_VERSION 1

/* Smallest VMMALLOC_POOL_SIZE, in bytes. */
#define VMMALLOC_MIN_POOL ((size_t)(1024 * 1024 * 14))

/* As libc declares them: a C++ compiler insists on the same. */
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

/* Zeroed; NULL with errno ENOMEM also when count * size overflows. */
extern void *calloc(size_t count, size_t size) VMMALLOC_NOTHROW VMMALLOC_NEW
    VMMALLOC_ATTR((__alloc_size__(1, 2)));

/* A NULL block: malloc. Size 0: frees the block and returns NULL, as in glibc. */
extern void *realloc(void *block, size_t size) VMMALLOC_NOTHROW
    VMMALLOC_ATTR((__warn_unused_result__, __alloc_size__(2)));

/* Leaves errno as it was; a NULL block is no error. */
extern void free(void *block) VMMALLOC_NOTHROW;

/* EINVAL when `alignment` is not a power of two; any size will do. */
extern void *aligned_alloc(size_t alignment, size_t size) VMMALLOC_NOTHROW
    VMMALLOC_NEW VMMALLOC_ATTR((__alloc_size__(2)));

/* C23: free, told how the block was allocated; a wrong size is undefined. */
extern void free_sized(void *block, size_t size) VMMALLOC_NOTHROW;
extern void free_aligned_sized(void *block, size_t alignment, size_t size)
    VMMALLOC_NOTHROW;

/* POSIX. */

/*
 * Returns 0, EINVAL when `alignment` is not a power of two and a multiple of
 * sizeof(void *), or ENOMEM; *block is written on success alone, errno never.
 */
extern int posix_memalign(void **block, size_t alignment, size_t size)
    VMMALLOC_NOTHROW VMMALLOC_ATTR((__nonnull__(1), __warn_unused_result__));

/* glibc and older systems; see malloc(3), posix_memalign(3), malloc_usable_size(3). */

/* realloc of count * size bytes; ENOMEM, the block untouched, on overflow. */
extern void *reallocarray(void *block, size_t count, size_t size)
    VMMALLOC_NOTHROW VMMALLOC_ATTR((__warn_unused_result__,
	__alloc_size__(2, 3)));

/* Any alignment; one that is no power of two counts as the next. */
extern void *memalign(size_t alignment, size_t size) VMMALLOC_NOTHROW
    VMMALLOC_NEW VMMALLOC_ATTR((__alloc_size__(2)));

/* Aligned to the system's page; pvalloc also rounds the size up to pages. */
extern void *valloc(size_t size) VMMALLOC_NOTHROW VMMALLOC_NEW
    VMMALLOC_ATTR((__alloc_size__(1)));
extern void *pvalloc(size_t size) VMMALLOC_NOTHROW VMMALLOC_NEW;

/* Bytes that the block can hold, at least its size; 0 for NULL. */
extern size_t malloc_usable_size(void *block) VMMALLOC_NOTHROW;

/* The same as free. */
extern void cfree(void *block) VMMALLOC_NOTHROW;

#ifdef __GLIBC__
/*
 * glibc's questions about the heap (mallinfo(3), malloc_info(3), malloc_stats(3)),
 * answered for the pool: `arena` is what it has handed out, `ordblks` its free ranges,
 * `uordblks` what is allocated, `fordblks` the rest, `keepcost` what malloc_trim can
 * give back. mallinfo has INT_MAX where a number is larger; malloc_info has no sizes.
 */
extern struct mallinfo mallinfo(void) VMMALLOC_NOTHROW;
#if __GLIBC_PREREQ(2, 33)
extern struct mallinfo2 mallinfo2(void) VMMALLOC_NOTHROW;
#endif
extern int malloc_info(int options, FILE *stream) VMMALLOC_NOTHROW;
extern void malloc_stats(void) VMMALLOC_NOTHROW;

/* Gives back what is kept for later; 1 if that was anything. `pad` means nothing. */
extern int malloc_trim(size_t pad) VMMALLOC_NOTHROW;

/* Accepts everything, and changes nothing: 1. */
extern int mallopt(int parameter, int value) VMMALLOC_NOTHROW;
#endif

/*
 * jemalloc's extended interface, for programs written for it; <jemalloc/jemalloc.h>
 * has the flags and jemalloc(3) says what each does. Blocks of these functions and
 * of those above are of one kind. The library creates no thread: mallctl returns
 * EPERM where "background_thread" is set to true.
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

/* The C++ operators new and delete, in all their forms, are in the library, too. */

#ifdef __cplusplus
}
#endif

#endif
