/* SPDX-License-Identifier: BSD-3-Clause */
/* shadow_inside.h: declarations for shadow.c, shadow_calls.c and shadow_chain.c only. */
#ifndef SHADOW_INSIDE_H
#define SHADOW_INSIDE_H

#include "libvmmalloc.h"
#include "shadow.h"

/* A multiple of this number looks random. */
#define STEP 0x9e3779b97f4a7c15U

/* The order is that of shadow_names. */
enum function {
	MALLOC, CALLOC, REALLOC_NULL, REALLOCARRAY_NULL, POSIX_MEMALIGN,
	ALIGNED_ALLOC, MEMALIGN, VALLOC, PVALLOC, MALLOCX, NEW,
	REALLOC, REALLOCARRAY, RALLOCX, XALLOCX,
	FREE, FREE_SIZED, FREE_ALIGNED_SIZED, CFREE, REALLOC_ZERO, DALLOCX,
	SDALLOCX, DELETE, USABLE_SIZE, SALLOCX, NALLOCX
};

/* The library's functions that libc does not have. They are NULL without the library. */
extern struct shadow_extra {
	__typeof__(&free_sized) free_sized;
	__typeof__(&free_aligned_sized) free_aligned_sized;
	__typeof__(&cfree) cfree;
	__typeof__(&mallocx) mallocx;
	__typeof__(&rallocx) rallocx;
	__typeof__(&xallocx) xallocx;
	__typeof__(&sallocx) sallocx;
	__typeof__(&nallocx) nallocx;
	__typeof__(&dallocx) dallocx;
	__typeof__(&sdallocx) sdallocx;
} shadow_extra;

/* Adds to a member of shadow_counts; adds 1 to its calls[function]. Both are atomic. */
void shadow_add(unsigned long *count, unsigned long number);
void shadow_called(enum function function);

/* Writes the content that follows from the block's mark. */
void shadow_write(const struct shadow_block *block);

/* Checks the first `size` bytes. `when` is for the message. */
bool shadow_is_whole_up_to(const struct shadow_block *block, size_t size,
    const char *when);

/* Checks what must be true of each block: its address, alignment and usable size. */
void shadow_check_place(const struct shadow_block *block, enum function function);

/* Whether all bytes are zero. */
bool shadow_is_zero(const unsigned char *data, size_t size);

#endif
