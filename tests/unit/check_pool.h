/* SPDX-License-Identifier: BSD-3-Clause */
/* check_pool.h: declarations for the files of check_pool. */
#ifndef CHECK_POOL_H
#define CHECK_POOL_H

#include "check_main.h"
#include "pool/pool.h"

#define MIB ((size_t)1 << 20)
#define POOL_SIZE (16 * MIB)

/* Most tests run once for each of these page sizes. 0 is the system's page size. */
#define NPAGE_SIZES 3
extern const size_t page_sizes[NPAGE_SIZES];

/* The size of the pages of the open pool. Every range is aligned to it. */
extern size_t page_size;

/* The last figures that a test has read. */
extern struct vmm_pool_figures figures;

/* A directory for pools. */
const char *pool_dir(void);

/* Opens the pool with pages of page_sizes[number]. */
void open_pool(const char *dir, enum vmm_reserve reserve, int number);

/*
 * Whether an emulator of one process (qemu-user) runs this program. The emulator has threads
 * of its own, so the pool cannot see that the program has only one. The emulator also ignores
 * MADV_REMOVE.
 */
bool is_emulated(void);

/* Makes the library's table of system calls writable, and returns it (os/linux_sys.h). */
struct vmm_sys *writable_calls(void);

/* Each function adds the tests of one file. */
void add_open_tests(TCase *tcase);
void add_reserve_tests(TCase *tcase);
void add_large_pages_tests(TCase *tcase);
void add_memory_tests(TCase *tcase);
void add_space_tests(TCase *tcase);
void add_fork_tests(TCase *tcase);
void add_os_tests(TCase *tcase);
void add_private_pages_tests(TCase *tcase);

#endif
