/* SPDX-License-Identifier: BSD-3-Clause */
/* foreign.h: blocks outside the pool: whose they are, and who frees them. */
#ifndef VMM_FOREIGN_H
#define VMM_FOREIGN_H

#include <stdbool.h>
#include <stddef.h>

/* Functions without a note on threads are thread-safe. */

/*
 * For foreign blocks. If the program's own extent hooks allocated the block (jemalloc(3),
 * arena.<i>.extent_hooks), it goes to jemalloc. Any other goes to libc's function of the
 * same name, as libc's allocator may have allocated it (RTLD_DEEPBIND, dlmopen(3)). `free`
 * and `usable_size` accept NULL, `realloc` must not get it. `free` keeps errno. `realloc`
 * returns NULL and sets errno to ENOMEM if there is no memory; size 0 frees the block. The
 * debug variant aborts if the address is certainly not a block.
 */
void vmm_foreign_free(void *block);
void *vmm_foreign_realloc(void *block, size_t size);
size_t vmm_foreign_usable_size(void *block);

/*
 * Finds libc's functions for foreign blocks; called once, after libc is initialised. Returns
 * false if no `free` comes after the library's in the search order (dlsym(3), RTLD_NEXT):
 * then libc comes first, and no program calls the library's functions.
 */
bool vmm_foreign_find_libc(void);

#endif
