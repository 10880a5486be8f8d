/* SPDX-License-Identifier: BSD-3-Clause */
/* os.h: all that the library asks of the operating system; the contract of a port. */
#ifndef VMM_OS_H
#define VMM_OS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Functions that can fail return 0 or an errno value and leave results in what
 * their pointers name, on success alone. Sizes, offsets and addresses are bytes
 * and multiples of the page size of what they belong to, unless said otherwise.
 * Nothing here allocates, takes a lock or uses stdio; errno may change.
 */

/* What a file system can and cannot do, as far as a pool is concerned. */
struct vmm_os_fs {
	size_t page_size;       /* of its mappings: more than the system's on hugetlbfs */
	bool maps_reserve;      /* mmap(2) itself promises the pages (hugetlbfs) */
	bool reserve_allocates; /* reserving costs memory and time by the byte (tmpfs) */
	bool has_page_cache;    /* so that unused pages are worth returning; not DAX */
};

/* The backing file: unlinked, so that it is gone when the process is. */
struct vmm_os_file {
	int fd;
	uint64_t device; /* st_dev and st_ino, to tell the file from another */
	uint64_t inode;  /* that the program may have opened under its number */
	struct vmm_os_fs fs;
};

/* Why a pool could not be made, beyond errno. */
struct vmm_os_room {
	uint64_t needed_bytes;
	uint64_t free_bytes;  /* on the file system; UINT64_MAX: not known */
	uint64_t limit_bytes; /* RLIMIT_FSIZE; UINT64_MAX: none */
};

/* Size of a page of memory (sysconf(3)). */
size_t vmm_os_page_size(void);

/* CPUs that this process may run on, at least 1 (sched_getaffinity(2)). */
unsigned vmm_os_cpu_count(void);

/*
 * The value of an environment variable; NULL if there is none, or if the process
 * gained privileges in execve(2) and so must not trust its environment
 * (secure_getenv(3)). Works before libc has set `environ`.
 */
const char *vmm_os_getenv(const char *name);

/* Writes to stderr with write(2), all of it where that is possible. */
void vmm_os_write_error(const char *data, size_t length);

/* _exit(2): no handlers, no core. */
_Noreturn void vmm_os_exit(int status);

/* abort(3). */
_Noreturn void vmm_os_abort(void);

/* Maps zeroed ordinary memory whose pages cost nothing until they are touched. */
int vmm_os_map_plain(size_t size, void **address);

/*
 * Makes an empty file in directory `dir`: mode 0600, close-on-exec, without a name,
 * its descriptor out of the program's way; and learns about its file system.
 * ENOENT, ENOTDIR, EACCES, EROFS, EMFILE, ... as open(2) says.
 */
int vmm_os_file_create(const char *dir, struct vmm_os_file *file);

/*
 * Gives the new file its size, a multiple of fs.page_size, sparse; checks first that the file system has room
 * for it and RLIMIT_FSIZE allows it, since passing that limit raises SIGXFSZ.
 * ENOSPC, EFBIG; *room says what was there either way.
 */
int vmm_os_file_resize(struct vmm_os_file *file, size_t size,
    struct vmm_os_room *room);

/*
 * Maps the whole file, shared, readable and writable, at an address that is a
 * multiple of `alignment`, a power of two. ENOMEM, among others.
 */
int vmm_os_file_map(const struct vmm_os_file *file, size_t size,
    size_t alignment, void **address);

/*
 * Has the file system promise the blocks of [offset, offset + length), which
 * `address` + offset maps: writing there cannot fail for space any more
 * (fallocate(2)). ENOSPC; EOPNOTSUPP where the file system cannot promise.
 * Goes through the mapping if the program has closed the descriptor.
 */
int vmm_os_file_reserve(const struct vmm_os_file *file, void *address,
    size_t offset, size_t length);

/*
 * Gives the memory and the blocks of [address, address + length) back to the
 * system, and the promise of them; they read as zero afterwards (madvise(2),
 * MADV_REMOVE). Works without the descriptor. EOPNOTSUPP, EINVAL.
 */
int vmm_os_file_remove(void *address, size_t length);

/*
 * Whether vmm_os_file_map_private can work: 0; EBADF when the program has closed
 * the descriptor; EOPNOTSUPP on hugetlbfs, where copy-on-write without reserved
 * pages ends in SIGBUS (kernel documentation, hugetlbpage).
 */
int vmm_os_file_can_be_private(const struct vmm_os_file *file);

/*
 * Replaces what is mapped at `address` + offset by a private, copy-on-write mapping
 * of that part of the file, or by ordinary zeroed memory. Atomic towards other
 * threads (mmap(2), MAP_FIXED). ENOMEM, and nothing changed.
 */
int vmm_os_file_map_private(const struct vmm_os_file *file, void *address,
    size_t offset, size_t length);
int vmm_os_map_fresh(void *address, size_t length);

/*
 * For a child that cannot share: copies `used` bytes at `address` into ordinary
 * memory before fork(2) and leaves its place in *copy. ENOMEM.
 */
int vmm_os_copy_make(const void *address, size_t used, void **copy);

/*
 * In the child: moves that copy to `address` and makes the rest up to `size`
 * ordinary zeroed memory. On failure what is mapped at `address` must not be
 * written to, for it may still be the parent's.
 */
int vmm_os_copy_adopt(void *copy, void *address, size_t used, size_t size);

/* In the parent: gives the copy up. */
void vmm_os_copy_drop(void *copy, size_t used);

/* Says whether a core dump is to hold [address, address + size); advice only. */
void vmm_os_dump_set(void *address, size_t size, bool is_dumped);

/* Gives up the file's descriptor and, if `address` is not NULL, its mapping. */
void vmm_os_file_close(struct vmm_os_file *file, void *address, size_t size);

#endif
