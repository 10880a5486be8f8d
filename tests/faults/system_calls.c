/* SPDX-License-Identifier: BSD-3-Clause */
/* system_calls.c: each system call of the library fails, at its first times with each errno
 * that it can have, later with one of them, in a program that allocates, forks and frees.
 * inject [-a] [-l] [-t] [-o] [-c CALL] LIBRARIES: at all times (-a; else a choice), and
 * from then on as well (-l); without O_TMPFILE (-t); on a file system of its own (-o);
 * of that call alone (-c).
 * Prints TAP. LIBRARIES are tests/faults/system_calls_seam.c and the library; INJECT names a file. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "system_calls.h"

static struct inject *inject;

static void
open_page(const char *path)
{
	int fd = path == NULL ? -1
			      : open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0 || ftruncate(fd, sizeof(*inject)) != 0)
		exit(99);
	inject = mmap(NULL, sizeof(*inject), PROT_READ | PROT_WRITE, MAP_SHARED,
	    fd, 0);
	if (inject == MAP_FAILED)
		exit(99);
	close(fd);
}

/*
 * The program.
 */

#define NBLOCKS 48
#define SECONDS_MAX 30
#define FORKS 2
#define DESCRIPTORS_MAX 1030

static struct {
	unsigned char *data;
	size_t size;
	unsigned char byte;
} blocks[NBLOCKS];

_Noreturn static void
fail(const char *what)
{
	if (write(STDERR_FILENO, what, strlen(what)) < 0 ||
	    write(STDERR_FILENO, "\n", 1) < 0)
		_exit(3);
	_exit(2);
}

/* A block that cannot be had is not, and ENOMEM says so. */
static void *
checked(void *block)
{
	if (block == NULL && errno != ENOMEM)
		fail("NULL without ENOMEM");
	return block;
}

static void
verify(const unsigned char *data, size_t size, unsigned char byte)
{
	if (data != NULL && (data[0] != byte ||
		memcmp(data, data + 1, size - 1) != 0))
		fail("a block lost its content");
}

static void
verify_all(void)
{
	for (int i = 0; i < NBLOCKS; i++)
		verify(blocks[i].data, blocks[i].size, blocks[i].byte);
}

/* Every `step`-th block anew, in some way, of a size from 16 bytes to 300,000. */
static void
allocate(int step, unsigned char byte)
{
	static const size_t sizes[] = { 16, 300, 5000, 20000, 60000, 300000 };

	for (int i = 0; i < NBLOCKS; i += step) {
		size_t size = sizes[i % 6] + (size_t)i;
		unsigned char *data;

		errno = 0;
		if (i % 4 == 0)
			data = realloc(blocks[i].data, size);
		else if (i % 4 == 1)
			data = calloc(1, size);
		else
			data = malloc(size);
		if (checked(data) == NULL)
			continue;
		if (i % 4 == 1)
			verify(data, size, 0);
		if (i % 4 != 0)
			free(blocks[i].data);
		memset(data, byte + i, size);
		blocks[i].data = data;
		blocks[i].size = size;
		blocks[i].byte = (unsigned char)(byte + i);
	}
}

static void
give(int step)
{
	for (int i = 0; i < NBLOCKS; i += step) {
		verify(blocks[i].data, blocks[i].size, blocks[i].byte);
		free(blocks[i].data);
		blocks[i].data = NULL;
	}
}

/* Whatever is left; for speed a page of each block is written to. */
static void
exhaust(void)
{
	size_t size = (size_t)500 << 10, checked_size = 4096;
	unsigned char **last = NULL, **block;

	while ((block = checked(malloc(size))) != NULL) {
		memset(block, 0x5a, checked_size);
		*block = (unsigned char *)last;
		last = block;
	}
	while ((block = last) != NULL) {
		last = (unsigned char **)*block;
		verify((unsigned char *)(block + 1),
		    checked_size - sizeof(*block), 0x5a);
		free(block);
	}
}

/* Only what is on disk is shared at a fork. */
static void
write_out(void)
{
	const char *dir = getenv("VMMALLOC_POOL_DIR");
	int fd;

	if (getenv("INJECT_SYNC") == NULL || dir == NULL)
		return;
	fd = open(dir, O_RDONLY);
	if (fd < 0 || syncfs(fd) != 0)
		exit(99);
	close(fd);
}

/* As that of glibc 2.41 does, this one allocates: the library is not to call it. */
__attribute__((visibility("default")))
char *
strerror_r(int error, char *buffer, size_t size)
{
	free(malloc(100));
	snprintf(buffer, size, "error %d", error);
	return buffer;
}

static pid_t
fork_checked(void)
{
	pid_t pid;

	write_out();
	errno = 0;
	pid = fork();
	if (pid < 0 && errno == 0)
		fail("a failed fork without errno");
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		alarm(SECONDS_MAX);
	}
	return pid;
}

static void
reap(pid_t pid)
{
	int status;

	if (pid < 0)
		return;
	if (waitpid(pid, &status, 0) != pid)
		fail("a child is not there");
	/* Who could not leave its parent's heap; the message is looked at, too. */
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT &&
	    inject->by == pid)
		inject->is_child_aborted = true;
	else if (status != 0)
		fail(WIFSIGNALED(status) ? strsignal(WTERMSIG(status))
					 : "a child has failed");
}

static void
fork_and_verify(int i, bool has_heap)
{
	pid_t pid = fork_checked();

	if (pid != 0) {
		reap(pid);
		verify_all();
		return;
	}
	if (!has_heap)
		_exit(0);
	verify_all();
	allocate(1, (unsigned char)(100 + i));
	verify_all();
	if (i == 0) {
		pid = fork_checked();
		if (pid == 0) {
			verify_all();
			allocate(3, 33);
			verify_all();
			_exit(0);
		}
		reap(pid);
		give(2);
		malloc_trim(0);
		allocate(2, 66);
		exhaust();
	}
	verify_all();
	_exit(0);
}

static void *
in_thread(void *argument)
{
	void *block = checked(malloc(100000));

	free(checked(malloc(100)));
	free(block);
	return argument;
}

static void
run_thread(void)
{
	pthread_t thread;
	int error = pthread_create(&thread, NULL, in_thread, NULL);

	if (error == 0)
		pthread_join(thread, NULL);
	else if (error != EAGAIN && error != ENOMEM)
		fail("no thread");
}

static int
descriptors(void)
{
	int count = 0;

	/* Where the library's lie. */
	for (int fd = 1000; fd < DESCRIPTORS_MAX; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

/* After one fault everything works again, but for what has failed last of all. */
static void
works_again(bool has_heap)
{
	unsigned before = inject->injected;
	void *block;
	pid_t pid;

	/* Where home is reached again, if it ever was left. */
	for (int i = 0; i < 20; i++)
		free(checked(malloc((size_t)2 << 20)));
	block = malloc((size_t)1 << 20);
	pid = fork_checked();
	if (pid == 0) {
		if (has_heap && block != NULL)
			memset(block, 1, (size_t)1 << 20);
		_exit(0);
	}
	reap(pid);
	if (inject->injected == before && !inject->is_lasting &&
	    (block == NULL || pid < 0))
		fail("not as it was before the fault");
	free(block);
}

static int
program(void)
{
	const char *fork_kind = getenv("VMMALLOC_FORK");
	bool has_heap = fork_kind == NULL || strcmp(fork_kind, "0") != 0;
	int open_before;

	open_page(getenv("INJECT"));
	/* Also from here on whatever fails is no reason to end. */
	inject->is_started = true;
	free(checked(malloc(100)));
	open_before = descriptors();
	allocate(1, 0);
	give(3);
	allocate(5, 10);
	run_thread();
	verify_all();
	for (int i = 0; i < FORKS; i++) {
		fork_and_verify(i, has_heap);
		allocate(4, (unsigned char)(50 + i));
		verify_all();
	}
	give(2);
	malloc_trim(0);
	allocate(1, 7);
	exhaust();
	verify_all();
	give(1);
	malloc_trim(0);
	works_again(has_heap);
	/*
	 * One more while the heap is private, as after the last fork. What cannot be looked
	 * at may be the program's, and is not closed.
	 */
	if (descriptors() > open_before + 1 && inject->call != INJECT_fstat)
		fail("a descriptor was left");
	return 0;
}

/*
 * The test.
 */

#define TIMES_MAX 200
#define ERRORS_MAX 18
#define CHOICE_FIRST 2 /* of each call, with every errno; of all, 3 */
#define CHOICE_STEP 13 /* and then of each so many, or of all, with one of them */

static const char *const names[] = {
#define NAME(type, name, parameters, arguments) #name,
	VMM_SYS_CALLS(NAME, NAME, NAME)
};

/*
 * By the manual pages, and what the kernel was seen to say besides. Not ENXIO of lseek,
 * which says that there is no data, nor EBADF and EFAULT, which say that the library is
 * wrong, but where it relies on them.
 */
static const int errors[INJECT_COUNT][ERRORS_MAX] = {
	[INJECT_cachestat] = { ENOSYS, EOPNOTSUPP, EPERM },
	[INJECT_clone] = { EAGAIN, ENOMEM, EPERM },
	[INJECT_close] = { EINTR, EIO, ENOSPC, EDQUOT },
	[INJECT_dup3] = { EBUSY, EINTR, EMFILE, ENOMEM },
	[INJECT_fallocate] = { ENOSPC, EDQUOT, EINTR, EIO, EFBIG, EOPNOTSUPP,
	    ENOSYS, EPERM, ENOMEM, ENODEV },
	[INJECT_fcntl] = { EMFILE, EINVAL, EACCES, EAGAIN, ENOLCK, EINTR,
	    ENOMEM },
	[INJECT_fstat] = { ENOMEM, EIO, EOVERFLOW, EBADF, EACCES },
	[INJECT_fstatfs] = { EINTR, EIO, ENOMEM, ENOSYS, EOVERFLOW },
	[INJECT_ftruncate] = { EFBIG, EINTR, EIO, EPERM, EINVAL, ENOSPC },
	[INJECT_futex] = { EAGAIN, EINTR, ENOSYS, EPERM },
	[INJECT_getcwd] = { ENOENT, ERANGE, ENOMEM, EACCES },
	[INJECT_getdents64] = { ENOENT, ENOMEM, EIO, EACCES },
	[INJECT_getrandom] = { INJECT_SHORT, EINTR, EAGAIN, ENOSYS },
	[INJECT_getrlimit] = { EPERM, EINVAL, ENOSYS },
	[INJECT_getsockopt] = { ENOPROTOOPT, ENOTSOCK },
	[INJECT_ioctl] = { ENOTTY, EOPNOTSUPP, EINVAL, EXDEV, ENOSPC, EPERM,
	    EIO, EDQUOT, EINTR },
	[INJECT_lseek] = { EINVAL, EIO, EOVERFLOW, ESPIPE, EINTR },
	[INJECT_madvise] = { EAGAIN, EINVAL, ENOMEM, EIO, EPERM, EACCES,
	    EINTR, EFAULT, EOPNOTSUPP, ENOSPC },
	[INJECT_memfd_create] = { EMFILE, ENFILE, ENOMEM, EINVAL, ENOSYS, EPERM,
	    EACCES },
	[INJECT_mlock] = { EAGAIN, ENOMEM, EPERM },
	[INJECT_mlock2] = { EAGAIN, EINVAL, ENOMEM, ENOSYS, EPERM },
	[INJECT_mmap] = { ENOMEM, EAGAIN, EACCES, EPERM, ENFILE, ENODEV,
	    EINVAL },
	[INJECT_mprotect] = { ENOMEM, EACCES },
	[INJECT_mremap] = { ENOMEM, EAGAIN, EINVAL, EFAULT },
	[INJECT_munmap] = { ENOMEM, EINVAL },
	[INJECT_nanosleep] = { EINTR },
	[INJECT_openat] = { EACCES, EMFILE, ENFILE, ENOENT, ENOTDIR, ENOSPC,
	    EROFS, EDQUOT, EINTR, ENOMEM, EOPNOTSUPP, EISDIR, ELOOP,
	    ENAMETOOLONG, EPERM, EIO, EEXIST },
	[INJECT_pread] = { INJECT_SHORT, EINTR, EIO, EPERM, ENOMEM },
	[INJECT_prctl] = { EINVAL, EPERM },
	[INJECT_process_vm_readv] = { EFAULT, ENOMEM, ENOSYS, EPERM },
	[INJECT_process_vm_writev] = { EFAULT, EINTR, ENOMEM, ENOSYS, EPERM },
	[INJECT_ptrace] = { EIO, EPERM, ESRCH },
	[INJECT_pwrite] = { INJECT_SHORT, EINTR, ENOSPC, EDQUOT, EIO, EFBIG,
	    EPERM, EAGAIN, ENOMEM },
	[INJECT_read] = { EACCES, EINTR, EIO, ENOMEM },
	[INJECT_readlinkat] = { EACCES, EINVAL, EIO, ELOOP, ENOENT, ENOMEM },
	[INJECT_sched_getaffinity] = { EINVAL, ENOSYS, EPERM, ESRCH },
	[INJECT_setpgid] = { EACCES, EPERM },
	[INJECT_setresuid] = { EAGAIN, EPERM },
	[INJECT_setrlimit] = { EINVAL, EPERM },
	[INJECT_stat] = { ENOENT, EACCES, ENOMEM, EIO, EOVERFLOW },
	[INJECT_statx] = { ENOSYS, EINVAL, ENOMEM, EACCES, EPERM },
	[INJECT_sync_file_range] = { EIO, EINVAL, ENOSPC, ENOMEM },
	[INJECT_tgkill] = { EPERM, ESRCH },
	[INJECT_unlinkat] = { EIO, EROFS, EACCES, EPERM, ENOMEM },
	[INJECT_waitid] = { ECHILD, EINTR },
	[INJECT_waitpid] = { EINTR, ECHILD },
	[INJECT_write] = { INJECT_SHORT, EINTR, EIO, ENOSPC, EAGAIN, EPIPE,
	    EFBIG },
};

static struct {
	const char *dir;
	int said; /* what the program writes to stderr */
	bool is_all, is_lasting, has_no_tmpfile, is_own;
	uint64_t free_blocks;
	unsigned runs, tests, faults, at_start, aborted;
} test;

static char said[4096];

static void
read_said(void)
{
	ssize_t got = pread(test.said, said, sizeof(said) - 1, 0);

	said[got > 0 ? got : 0] = '\0';
}

static uint64_t
free_blocks(void)
{
	struct statfs stat;

	return statfs(test.dir, &stat) == 0 ? (uint64_t)stat.f_bfree : 0;
}

/* Names that are left in the pool's directory; they are removed. */
static int
names_left(void)
{
	DIR *dir = opendir(test.dir);
	int left = 0;

	if (dir == NULL)
		return -1;
	for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
		if (strncmp(entry->d_name, ".vmmalloc.", 10) != 0)
			continue;
		left++;
		unlinkat(dirfd(dir), entry->d_name, 0);
	}
	closedir(dir);
	return left;
}

/* Around fork(2) all signals are blocked: who waits there for ever gets no alarm. */
static void
end_late(pid_t pid)
{
	struct pollfd end = {
		.fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN
	};

	if (end.fd < 0)
		return;
	if (poll(&end, 1, (SECONDS_MAX + 20) * 1000) == 0)
		kill(pid, SIGKILL);
	close(end.fd);
}

static int
run(enum inject_call call, unsigned nth, int error)
{
	int status;
	pid_t pid;

	memset(inject, 0, sizeof(*inject));
	inject->call = call;
	inject->nth = nth;
	inject->error = error;
	inject->is_lasting = test.is_lasting;
	inject->has_no_tmpfile = test.has_no_tmpfile;
	if (ftruncate(test.said, 0) != 0 ||
	    lseek(test.said, 0, SEEK_SET) != 0)
		exit(99);
	test.runs++;
	pid = vfork();
	if (pid == 0) {
		/* What is here is the parent's, until execve. */
		static char *arguments[] = { (char *)"inject",
			(char *)"program", NULL };

		alarm(SECONDS_MAX);
		dup2(test.said, STDERR_FILENO);
		execve("/proc/self/exe", arguments, environ);
		_exit(98);
	}
	if (pid < 0)
		exit(99);
	end_late(pid);
	if (waitpid(pid, &status, 0) != pid)
		exit(99);
	return status;
}

/* Two lines and status 1, before main. */
static bool
is_refused(int status)
{
	char *second = strchr(said, '\n');

	return WIFEXITED(status) && WEXITSTATUS(status) == 1 &&
	    !inject->is_started &&
	    strncmp(said, "Error (libvmmalloc): ", 21) == 0 && second != NULL &&
	    strncmp(second + 1, "libvmmalloc: ", 13) == 0 &&
	    strchr(second + 1, '\n') == said + strlen(said) - 1;
}

/* A child that has its parent's heap and cannot get one of its own is ended. */
static bool
is_child_excused(enum inject_call call)
{
	test.aborted++;
	return (call == INJECT_mmap || call == INJECT_mremap) &&
	    strstr(said, "Error (libvmmalloc): no memory for the heap of a"
		" forked child") != NULL;
}

static const char *
judge(int status, enum inject_call call)
{
	bool is_good = status == 0;
	int left = names_left();

	test.faults += inject->injected != 0;
	if (is_good && inject->is_child_aborted)
		is_good = is_child_excused(call);
	else if (!is_good && is_refused(status)) {
		test.at_start++;
		is_good = true;
	}
	if (!is_good)
		return WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : said;
	/* Where unlink(2) fails there is nothing more to be done. */
	if (left != 0 && call != INJECT_unlinkat)
		return "a file is left";
	if (left != 0 && status == 0 && !inject->was_started)
		return "a file is left, and nothing was said";
	if (test.is_own && free_blocks() != test.free_blocks)
		return "blocks are left";
	return NULL;
}

static bool
is_chosen(unsigned nth, unsigned error, unsigned count)
{
	unsigned step = test.is_all ? count : CHOICE_STEP;

	return nth <= CHOICE_FIRST + (unsigned)test.is_all || nth % step == error % step;
}

static unsigned
error_count(enum inject_call call)
{
	unsigned count = 0;

	while (count < ERRORS_MAX && errors[call][count] != 0)
		count++;
	return count;
}

/* What for ever says to try again is tried for ever. */
static bool
is_retried(int error)
{
	return error == EINTR || error == EAGAIN || error == EEXIST;
}

static void
each_time(enum inject_call call, unsigned times)
{
	unsigned runs = test.runs, bad = 0, count = error_count(call);

	for (unsigned i = 0; i < count; i++) {
		int error = errors[call][i];

		if (test.is_lasting && is_retried(error))
			continue;
		for (unsigned nth = 1; nth <= times; nth++) {
			const char *why;
			int status;

			if (!is_chosen(nth, i, count))
				continue;
			status = run(call, nth, error);
			read_said();
			why = judge(status, call);
			if (why == NULL)
				continue;
			if (bad++ < 20)
				printf("# %s %u, %s: status %#x: %.300s\n",
				    names[call], nth, error < 0 ? "short"
				    : strerrorname_np(error), (unsigned)status,
				    why);
		}
	}
	printf("%sok %u - %s%s, at %u times, in %u runs\n", bad ? "not " : "",
	    ++test.tests, names[call], test.is_lasting ? " from then on" : "",
	    times, test.runs - runs);
	fflush(stdout);
}

static void
set_up(const char *libraries)
{
	test.dir = getenv("VMMALLOC_POOL_DIR");
	if (test.dir == NULL || getenv("INJECT") == NULL)
		exit(99);
	open_page(getenv("INJECT"));
	setenv("LD_PRELOAD", libraries, 1);
	test.said = open(".", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
	if (test.said < 0)
		test.said = memfd_create("said", MFD_CLOEXEC);
	test.free_blocks = free_blocks();
}

int
main(int argc, char **argv)
{
	unsigned counts[INJECT_COUNT];
	const char *only = NULL;
	int option, status;

	if (argc == 2 && strcmp(argv[1], "program") == 0)
		return program();
	while ((option = getopt(argc, argv, "altoc:")) != -1) {
		test.is_all |= option == 'a';
		test.is_lasting |= option == 'l';
		test.has_no_tmpfile |= option == 't';
		test.is_own |= option == 'o';
		if (option == 'c')
			only = optarg;
	}
	if (optind != argc - 1)
		return 99;
	set_up(argv[optind]);
	status = run(INJECT_COUNT, 0, 0);
	read_said();
	printf("%sok %u - without a fault\n# %s\n", status == 0 ? "" : "not ",
	    ++test.tests, said);
	memcpy(counts, inject->counts, sizeof(counts));
	for (unsigned call = 0; call < INJECT_COUNT; call++) {
		if (counts[call] > 0 && error_count(call) > 0 &&
		    (only == NULL || strcmp(only, names[call]) == 0))
			each_time(call, counts[call] < TIMES_MAX ? counts[call]
								 : TIMES_MAX);
	}
	printf("# %u runs, %u with a fault, %u refused at start, %u children "
	    "ended\n", test.runs, test.faults, test.at_start, test.aborted);
	printf("1..%u\n", test.tests);
	return 0;
}
