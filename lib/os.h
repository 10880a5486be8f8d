/* SPDX-License-Identifier: BSD-3-Clause */
/* os.h: all that the library asks of the operating system; the contract of a port. */
#ifndef VMM_OS_H
#define VMM_OS_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Functions that can fail return 0 or an errno value and leave results in what
 * their pointers name, on success alone. Sizes, offsets and addresses are bytes
 * and multiples of the page size of what they belong to, unless said otherwise.
 * Nothing here allocates, takes a lock or uses stdio; errno may change.
 */

/* What a file system can and cannot do, as far as a pool is concerned. */
struct vmm_os_fs {
	const char *name;       /* as in mount(8); "another kind" where not known */
	size_t page_size;       /* of its mappings: more than the system's on hugetlbfs */
	bool maps_reserve;      /* mmap(2) itself promises the pages (hugetlbfs) */
	bool reserve_allocates; /* reserving costs memory and time by the byte (tmpfs) */
	bool is_dax;            /* its pages are the device's own */
	bool has_page_cache;    /* so that unused pages are worth returning; not DAX */
	uint64_t device_bytes;  /* of a device that is the file; 0: a file as others */
};

/* The backing file: unlinked, so that it is gone when the process is. */
struct vmm_os_file {
	int fd;
	uint64_t device; /* st_dev and st_ino, to tell the file from another */
	uint64_t inode;  /* that the program may have opened under its number */
	struct vmm_os_fs fs;
};

/* How much a file may be given; UINT64_MAX: no limit, or not known. */
struct vmm_os_room {
	uint64_t free_bytes;  /* on the file system */
	uint64_t limit_bytes; /* RLIMIT_FSIZE */
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

/*
 * An absolute path for `path`, for use after a chdir(2). ENAMETOOLONG, or what
 * getcwd(3) says.
 */
int vmm_os_path_absolute(const char *path, char *absolute, size_t size);

/* Around what no signal handler may interrupt: blocks all of the thread's. */
void vmm_os_signals_block(sigset_t *saved);
void vmm_os_signals_restore(const sigset_t *saved);

/* Around calls that are cancellation points (pthreads(7)), which malloc is not. */
int vmm_os_cancel_disable(void);
void vmm_os_cancel_restore(int state);

/* Time since some moment, in microseconds, that nobody sets (clock_gettime(2)). */
uint64_t vmm_os_now_us(void);

/* getpid(2). */
pid_t vmm_os_process(void);

/* Lets other threads run (sched_yield(2)). */
void vmm_os_yield(void);

/* Whether the process has one thread alone, by the kernel's count (/proc). */
bool vmm_os_is_single_threaded(void);

/*
 * Makes a byte that is 1 in this process and, until it is set again, 0 in every
 * copy of it, however that was made (madvise(2), MADV_WIPEONFORK, Linux 4.14); a
 * child that shares memory, vfork(2)'s, sees 1. On older kernels it is always 1.
 */
int vmm_os_own_make(volatile unsigned char **own);

/*
 * What pthread_atfork(3) does; `library` is the handle of the one whose handlers they
 * are, upon whose dlclose(3) they go (__dso_handle, the Linux Standard Base).
 */
int vmm_os_atfork(void (*prepare)(void), void (*parent)(void),
    void (*child)(void), void *library);

/* The dlopen(3) that comes after the library's: libc's, as a rule. Never NULL. */
void *(*vmm_os_dlopen(void))(const char *file, int mode);

/* The fork(2) that comes after the library's: libc's, as a rule. */
pid_t vmm_os_fork(void);

/* Waits for that child to end (waitpid(2)), and forgets how it did. */
void vmm_os_reap(pid_t child);

/* mmap(2), for jemalloc, which knows its flags and MAP_FAILED by itself. */
void *vmm_os_mmap(void *address, size_t size, int protection, int flags, int fd,
    off_t offset);

/* Maps zeroed ordinary memory whose pages cost nothing until they are touched. */
int vmm_os_map_plain(size_t size, void **address);

/*
 * Makes an empty file in directory `dir`: mode 0600, close-on-exec, without a name,
 * its descriptor out of the program's way; and learns about its file system.
 * ENOENT, ENOTDIR, EACCES, EROFS, EMFILE, ... as open(2) says. Where `dir` is no
 * directory, the same as vmm_os_device_open.
 */
int vmm_os_file_create(const char *dir, struct vmm_os_file *file);

/*
 * Opens a character device of memory (kernel documentation, ABI, sysfs-bus-dax) as the
 * file, for this process and its children alone: EBUSY while another has it. ENOTDIR
 * if it is none, ENODEV where the kernel does not say how large it is. What it holds
 * is what others have left there, until it is reserved. Its mappings are shared, and
 * their ends multiples of fs.page_size; it cannot be resized, nor give anything back.
 */
int vmm_os_device_open(const char *path, struct vmm_os_file *file);

/*
 * Has a descriptor that the program does not know out of its way: *fd becomes another,
 * close-on-exec. EMFILE, and nothing changed.
 */
int vmm_os_fd_move_high(int *fd);

/*
 * Opens the file of that absolute path for appending, or makes it, mode 0600. Follows
 * symbolic links of the superuser's and this user's alone (ELOOP), and takes no file
 * of another user's (EPERM), nor one with several names (EMLINK). EACCES, ENOENT, ...
 * as open(2) says. One caller at a time.
 */
int vmm_os_log_open(const char *path, struct vmm_os_file *file);

/*
 * Appends, with one write(2): whole, whatever other processes append. Lost, if there
 * is no room or the limit of file sizes is reached.
 */
void vmm_os_log_write(const struct vmm_os_file *file, const char *data,
    size_t length);

/* Whether the descriptor still is the file: the program may have closed it. */
bool vmm_os_file_is_own(const struct vmm_os_file *file);

/* How much of the file has blocks, in bytes (stat(2)). EBADF; EOPNOTSUPP of a device. */
int vmm_os_file_blocks(const struct vmm_os_file *file, uint64_t *bytes);

/* How large the new file may become. */
void vmm_os_file_room(const struct vmm_os_file *file, struct vmm_os_room *room);

/*
 * Gives the new file its size, a multiple of fs.page_size, sparse. Look at the limit
 * first, since passing it raises SIGXFSZ (ftruncate(2)).
 */
int vmm_os_file_resize(const struct vmm_os_file *file, size_t size);

/*
 * Maps the whole file, shared, readable and writable, at an address that is a
 * multiple of `alignment`, a power of two. ENOMEM, among others.
 */
int vmm_os_file_map(const struct vmm_os_file *file, size_t size,
    size_t alignment, void **address);

/* Maps that part of the file, shared, in place of what is at `address` + offset. */
int vmm_os_file_map_at(const struct vmm_os_file *file, void *address,
    size_t offset, size_t length);

/*
 * Makes every page there writable, as a store into each would (madvise(2),
 * MADV_POPULATE_WRITE): ENOSPC where a store would get SIGBUS.
 */
int vmm_os_populate(void *address, size_t length);

/*
 * Has the file system promise the blocks of [offset, offset + length), which
 * `address` + offset maps: writing there cannot fail for space any more
 * (fallocate(2)). ENOSPC; EOPNOTSUPP where the file system cannot promise.
 * Goes through the mapping if the program has closed the descriptor. Of a device, which
 * has nothing to promise, the bytes become zero.
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
 * pages ends in SIGBUS (kernel documentation, hugetlbpage), and of a device.
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
 * Moves ordinary memory, of which no more than the first `length` bytes were ever written,
 * from [from, from + size) to `to`, in place of what is mapped there. If it fails, what is
 * at `to` must not be written to, for it may still be what was there before. ENOMEM.
 */
int vmm_os_map_move(void *from, size_t length, void *to, size_t size);

/* Takes a mapping away. */
void vmm_os_unmap(void *address, size_t length);

/* Gives the memory of a private mapping back; what it then reads as is not known. */
void vmm_os_discard(void *address, size_t length);

/* Writes all of `data` into the file (pwrite(2)). ENOSPC, EDQUOT, EIO. */
int vmm_os_file_write(const struct vmm_os_file *file, size_t offset,
    const void *data, size_t length);

/*
 * Sets *begin to the first byte of [from, end) of the file that was ever written
 * (lseek(2), SEEK_DATA). False if there is none.
 */
bool vmm_os_file_next_data(const struct vmm_os_file *file, size_t from,
    size_t end, size_t *begin);

/*
 * Has both files share the blocks of [offset, offset + length), so that either gets
 * blocks of its own where it writes (ioctl_ficlonerange(2)). It is what
 * copy_file_range(2) begins with, but never copies, so that the caller knows
 * whether blocks are shared, and so not promised to either. Writes out first what
 * is not on disk yet. EOPNOTSUPP, EINVAL, EXDEV where that cannot be.
 */
int vmm_os_file_clone(const struct vmm_os_file *to,
    const struct vmm_os_file *from, size_t offset, size_t length);

/*
 * How much of the first `length` bytes still has to be written to disk
 * (cachestat(2), Linux 6.5); 0 if that is not known.
 */
uint64_t vmm_os_file_unwritten(const struct vmm_os_file *file, size_t length);

/* Has what was written into the file begin its way to the disk; does not wait. */
void vmm_os_file_write_out(const struct vmm_os_file *file);

/* Closes the file and puts `by` in its place, under the same number if it can. */
void vmm_os_file_replace(struct vmm_os_file *file,
    const struct vmm_os_file *by);

/*
 * Marks the file as needed by this process, until the process ends or calls execve(2),
 * and by every process that it forks: a new mark is left in *holder, in place of the
 * one there, if any. *is_alone says whether no other process has one. Needs /proc.
 * EBADF, ENOENT, EMFILE, ENOMEM, and nothing changed.
 */
int vmm_os_file_hold(const struct vmm_os_file *file, void **holder,
    bool *is_alone);

/* This process does not need the file any more: sets *holder to NULL. */
void vmm_os_file_release(void **holder);

/*
 * Which pages of a private mapping are its own, having been written to, rather
 * than the file's (/proc/self/pagemap). All of them where that is not known.
 */
void vmm_os_private_pages(const void *address, size_t npages,
    unsigned char *is_private);

/* Says whether a core dump is to hold [address, address + size); advice only. */
void vmm_os_dump_set(void *address, size_t size, bool is_dumped);

/* Gives up the file's descriptor and, if `address` is not NULL, its mapping. */
void vmm_os_file_close(struct vmm_os_file *file, void *address, size_t size);

#endif
