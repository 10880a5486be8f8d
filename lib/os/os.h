/* SPDX-License-Identifier: BSD-3-Clause */
/* os.h: all that the library asks of the operating system; the contract of a port. */
#ifndef VMM_OS_H
#define VMM_OS_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

/*
 * Functions that can fail return 0 or an errno value and leave results in what
 * their pointers name, on success alone. Sizes, offsets and addresses are bytes
 * and multiples of the page size of what they belong to, unless said otherwise.
 * Nothing here allocates or uses stdio, nor takes a lock but where it is said; errno may
 * change.
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

/* Time since some moment, in microseconds, that nobody sets (clock_gettime(2)). */
uint64_t vmm_os_now_us(void);

/* getpid(2), gettid(2). */
pid_t vmm_os_process(void);
pid_t vmm_os_thread(void);

/* Lets other threads run (sched_yield(2)); the same, for some microseconds. */
void vmm_os_yield(void);
void vmm_os_pause(void);

/* Whether the process has more than one thread, by the kernel's count (/proc). */
bool vmm_os_has_threads(void);

/* What is known of the other threads. */
enum vmm_os_others {
	VMM_OS_NO_OTHERS,   /* this one is alone, as in a child of fork(2) */
	VMM_OS_STOP_OTHERS, /* if there are any, they may be stopped */
	VMM_OS_AWAIT_OTHERS, /* and stand still until each has had a processor to stop on */
	VMM_OS_SPARE_OTHERS, /* they must not be stopped */
};

/*
 * Calls work(argument) on a stack outside the pool, while every other thread stands still:
 * in a helper that shares this process's memory, and that stops the others by ptrace(2)
 * without a signal; system calls that return EINTR for that reason alone are made again.
 * Where this thread is alone it calls `work` itself. `work` must not take locks, nor rely
 * on this thread's errno; NULL: they only stop. One caller at a time.
 *
 * 0 if `work` was called and returned. EPERM where threads must not or cannot be stopped
 * (another tracer, PR_SET_DUMPABLE, Yama, seccomp); ETIMEDOUT if a thread waits in the
 * kernel, as that which has called vfork(2); EAGAIN if one got no processor in time;
 * EMFILE, ENOMEM, ...; ENOENT where there is no /proc, unless this thread is known to be
 * alone: then `work` was not called. ECANCELED if the helper was killed: `work` may have
 * been interrupted.
 */
int vmm_os_call_stopped(void (*work)(void *argument), void *argument,
    enum vmm_os_others others);

/*
 * Whether the kernel may write to this process's memory without any of its threads in a
 * system call: asynchronous I/O, io_uring, AF_XDP, devices (by /proc/self/maps and fd).
 */
bool vmm_os_kernel_writes(void);

/* Threads of this process that wait in futex(2) without FUTEX_PRIVATE_FLAG. */
#define VMM_OS_WAITS_MAX 64
struct vmm_os_waits {
	uintptr_t addresses[VMM_OS_WAITS_MAX];
	size_t count;
	size_t npi;       /* those for a mutex with priority inheritance */
	bool is_complete; /* false: there may be more */
};

/* Finds those that wait on addresses in [base, base + size), by /proc. */
void vmm_os_futex_waits(const void *base, size_t size, struct vmm_os_waits *waits);

/*
 * Wakes those who began to wait there while the file was mapped shared, but for those that
 * `npi` counts.
 */
void vmm_os_futex_wake_file(const struct vmm_os_file *file, size_t offset);

/*
 * Makes all threads that wait in a system call make it again, by setresuid(2) without a
 * change: libc interrupts all threads for that, with SA_RESTART (nptl(7)). Calls that
 * signal(7) names return EINTR all the same. Not where a seccomp filter is. libc's locks
 * must be free: no lock of the allocator may be held.
 */
int vmm_os_futex_all_again(void);

/*
 * A word in memory that parent and child have in common, 0 at first. The parent waits
 * until the child has set it or has ended, and returns what it is: 0 if it never was set.
 */
void vmm_os_word_set(unsigned *word, unsigned value);
unsigned vmm_os_word_await(const unsigned *word, pid_t child);

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

/*
 * libc's lock of its list of open FILEs, which libc's fork(2) takes after all handlers
 * have run (_IO_list_lock; a thread may take it twice). In a child it is nobody's.
 */
void vmm_os_files_lock(void);
void vmm_os_files_unlock(void);
void vmm_os_files_reset(void);

/* The fork(2) that comes after the library's: libc's, as a rule. */
pid_t vmm_os_fork(void);

/* Waits for that child to end (waitpid(2)), and forgets how it did. */
void vmm_os_reap(pid_t child);

/* For jemalloc, with the flags and the results that their manual pages have (errno). */
void *vmm_os_mmap(void *address, size_t size, int protection, int flags, int fd,
    off_t offset);
int vmm_os_munmap(void *address, size_t size);
int vmm_os_madvise(void *address, size_t size, int advice);
int vmm_os_mprotect(void *address, size_t size, int protection);
int vmm_os_clock_gettime(clockid_t clock, struct timespec *time);

/* Maps zeroed ordinary memory whose pages cost nothing until they are touched. */
int vmm_os_map_plain(size_t size, void **address);

/*
 * Makes an empty file in directory `dir`: mode 0600, close-on-exec, without a name,
 * its descriptor out of the program's way, marked; and learns about its file system.
 * ENOENT, ENOTDIR, EACCES, EROFS, EMFILE, ... as open(2) says. Where `dir` is no
 * directory, the same as vmm_os_device_open.
 */
int vmm_os_file_create(const char *dir, struct vmm_os_file *file);

/* What kind of file system that path is on; NULL if there is no such path. */
const char *vmm_os_fs_name(const char *path);

/*
 * Opens a character device of memory (kernel documentation, ABI, sysfs-bus-dax) as the
 * file, for this process and its children alone: EBUSY while another has it. ENOTDIR
 * if it is none, ENODEV where the kernel does not say how large it is. What it holds
 * is what others have left there, until it is reserved. Its mappings are shared, and
 * their ends multiples of fs.page_size; it cannot be resized, nor give anything back.
 */
int vmm_os_device_open(const char *path, struct vmm_os_file *file);

/*
 * Takes over a descriptor that was opened just now, or, if that is negative, errno: another
 * number, out of the program's way, close-on-exec, and which file it is; nothing of its
 * file system. An errno value, EMFILE: it is closed, and file->fd is -1.
 */
int vmm_os_file_adopt(int fd, struct vmm_os_file *file);

/*
 * A mark by which others know a pool's file (`vmmalloc ps`): where its descriptor stands,
 * which nothing else uses and proc_pid_fdinfo(5) shows. Does nothing where that fails.
 */
#define VMM_OS_FILE_MARK 0x766d6d616cLL /* "vmmal" */
void vmm_os_file_mark(const struct vmm_os_file *file);

/*
 * Opens the file of that absolute path for appending, or makes it, mode 0600. A symbolic
 * link as the last name is followed if it is the superuser's or this user's (ELOOP); so
 * have files and fifos to be (EPERM), and no file may have several names (EMLINK). EACCES,
 * ENOENT, ... as open(2) says. ENXIO: a fifo that nobody
 * reads. Keeps nothing open where it fails.
 */
int vmm_os_log_open(const char *path, struct vmm_os_file *file);

/*
 * Appends, with one write(2): whole, whatever other processes append. Lost, if there
 * is no room or the limit of file sizes is reached.
 */
void vmm_os_log_write(const struct vmm_os_file *file, const char *data,
    size_t length);

/*
 * Duplicates the program's descriptor `fd` to a high number, close-on-exec. EBADF if it is
 * closed: then vmm_os_fd_write does nothing. EMFILE.
 */
int vmm_os_fd_duplicate(int fd, struct vmm_os_file *file);

/*
 * Writes all of it, if that is possible, to what was duplicated: also when the program has
 * closed `fd`, and, by that, when it has closed the duplicate; never into another file that
 * has got one of the numbers.
 */
void vmm_os_fd_write(const struct vmm_os_file *file, int fd, const char *data,
    size_t length);

/* The descriptor that the absolute path names (/dev/stderr, /dev/fd/3, ...), or -1. */
int vmm_os_path_to_fd(const char *path);

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
 * Takes a place in the address space, at a multiple of `alignment`, a power of two, in
 * which nothing is accessible: neither mlockall(2) nor strict overcommit counts it.
 * ENOMEM.
 */
int vmm_os_place_map(size_t size, size_t alignment, void **address);

/* Makes that part of such a place, or of what was mapped into it, inaccessible again. */
int vmm_os_place_clear(void *address, size_t offset, size_t length);

/* What stands behind a mapping. */
enum vmm_os_backing {
	VMM_OS_SHARED,    /* the file; needs no descriptor if what is before it is mapped */
	VMM_OS_PRIVATE,   /* the file, until a page is written to: then a copy of that */
	VMM_OS_ANONYMOUS, /* ordinary zeroed memory; `file` may be NULL */
};

/*
 * Maps [offset, offset + length) of the file, or ordinary memory, readable and writable,
 * at a place of its own: a window, which is to be moved to `address` + offset. Made
 * beside and then moved, since until Linux 6.11 a mmap(2) with MAP_FIXED that fails may
 * have unmapped what was there. ENOMEM, EBADF, ..., and nothing changed.
 */
int vmm_os_window_map(const struct vmm_os_file *file, void *address, size_t offset,
    size_t length, enum vmm_os_backing backing, void **window);

/*
 * Moves a window to `address` + offset, in place of what is there; other threads see
 * either (mremap(2)). If it fails, the window is gone.
 */
int vmm_os_window_move(void *window, void *address, size_t offset, size_t length);

/*
 * Maps that part of the file, shared, in place of what is at `address` + offset: for
 * mappings that older kernels cannot move (hugetlbfs, before Linux 5.16).
 */
int vmm_os_file_map_at(const struct vmm_os_file *file, void *address,
    size_t offset, size_t length);

/*
 * Whether up to 16 bytes of memory can be read there, without a signal if not
 * (process_vm_readv(2)). True where that is not known.
 */
bool vmm_os_is_readable(const void *address, size_t length);

/* Sets what access there is (mprotect(2)). */
int vmm_os_protect(void *address, size_t length, int protection);

/* Maps zeroed memory that children of fork(2) will have in common with this process. */
int vmm_os_common_map(size_t size, void **address);

/* A part of the pool that the kernel maps in one piece. */
struct vmm_os_part {
	size_t begin, end;   /* in bytes from the pool's beginning */
	int protection;      /* as in mmap(2) */
	bool is_shared;
	bool has_file;
	bool is_own;         /* false: the program has mapped something else there */
	bool is_locked;      /* mlock(2) */
	bool is_locked_on_fault; /* what of it is in memory (mlock2(2)) */
	bool is_dontfork;    /* children do not get it (madvise(2), MADV_DONTFORK) */
	unsigned settings;   /* other advice that stays with the mapping */
};

struct vmm_os_parts {
	struct vmm_os_part *list; /* by address */
	size_t count;
	size_t bytes;      /* mapped for the list */
	bool has_settings; /* the program has set something on some of them */
};

/*
 * Lists what is mapped in [offset, offset + length) of the pool at `address`, and what
 * the program has set there (/proc/thread-self/maps; smaps only if there is anything set,
 * or locked). That takes long: if `known`, read before, lists the same mappings, what is
 * set is taken from there; or NULL. ENOENT where this process has no /proc; EMFILE,
 * ENFILE, ENOMEM. Free the list in any case but failure.
 */
int vmm_os_parts_read(const void *address, size_t offset, size_t length,
    const struct vmm_os_parts *known, struct vmm_os_parts *parts);

/* Appends a part to a list, which was read or is all zero. ENOMEM. */
int vmm_os_parts_add(struct vmm_os_parts *parts, const struct vmm_os_part *part);
void vmm_os_parts_free(struct vmm_os_parts *parts);

/*
 * Moves a window to that part's place, with all that is set on the part: protection,
 * advice, and mlock(2) as far as RLIMIT_MEMLOCK lets it. If it fails, the window is gone.
 */
int vmm_os_part_replace(const struct vmm_os_part *part, void *address, void *window);

/*
 * Makes every page there writable, as a store into each would (madvise(2),
 * MADV_POPULATE_WRITE): ENOSPC where a store would get SIGBUS.
 */
int vmm_os_populate(void *address, size_t length);

/*
 * Maps every page there for reading (madvise(2), MADV_POPULATE_READ, Linux 5.14): advice,
 * for what is about to be read.
 */
void vmm_os_populate_read(void *address, size_t length);

/* Whether RLIMIT_FSIZE allows a file of `end` bytes: behind it there is SIGXFSZ. */
bool vmm_os_file_may_reach(size_t end);

/*
 * Has the file system promise the blocks of [offset, offset + length), which
 * `address` + offset maps: writing there cannot fail for space any more
 * (fallocate(2)). ENOSPC; EFBIG behind RLIMIT_FSIZE; EOPNOTSUPP where the file system
 * cannot promise.
 * If the program has closed the descriptor it goes through the mapping: nothing but zeros
 * may be there then; EBADF where `address` is NULL. Of a device, which has nothing to
 * promise, the bytes become zero.
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
 * Whether the kernel can copy the file's pages on write, for VMM_OS_PRIVATE: 0; EBADF
 * when the program has closed the descriptor; EOPNOTSUPP on hugetlbfs, where
 * copy-on-write without reserved pages ends in SIGBUS (kernel documentation,
 * hugetlbpage), and of a device.
 */
int vmm_os_file_can_be_private(const struct vmm_os_file *file);

/* Takes a mapping away. */
void vmm_os_unmap(void *address, size_t length);

/* Gives the memory of a private mapping back; what it then reads as is not known. */
void vmm_os_discard(void *address, size_t length);

/* Writes all of `data` into the file (pwrite(2)). ENOSPC, EDQUOT, EIO. */
int vmm_os_file_write(const struct vmm_os_file *file, size_t offset,
    const void *data, size_t length);

/*
 * Sets [*begin, *end) to the first bytes from `from` on that were ever written (lseek(2),
 * SEEK_DATA and SEEK_HOLE); both are `limit` if there are none before that. All of the
 * file where the file system cannot tell. Looks at each page up to *end.
 */
void vmm_os_file_next_data(const struct vmm_os_file *file, size_t from, size_t limit,
    size_t *begin, size_t *end);

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
 * By which processes tell each other that they need the pool's file as it is. It works
 * whatever file system the pool is on.
 */
struct vmm_os_lock {
	struct vmm_os_file file;
	void *mark; /* NULL: this process does not hold it */
};

/*
 * Holds the lock until it is released, or the process ends or calls execve(2); every
 * process that this one forks holds it, too. *is_alone says whether no other process
 * does. Needs /proc. EBADF if the program has closed the descriptor, EMFILE, ENOMEM, ...,
 * and nothing changed.
 */
int vmm_os_lock_hold(struct vmm_os_lock *lock, bool *is_alone);

/* This process does not need the file any more; the lock is of others from now on. */
void vmm_os_lock_release(struct vmm_os_lock *lock);

/*
 * Which pages of a private mapping are its own, having been written to, rather
 * than the file's (/proc/self/pagemap). All of them where that is not known.
 */
void vmm_os_private_pages(const void *address, size_t npages,
    unsigned char *is_private);

/* Gives up the file's descriptor and, if `address` is not NULL, its mapping. */
void vmm_os_file_close(struct vmm_os_file *file, void *address, size_t size);

#endif
