/* SPDX-License-Identifier: BSD-3-Clause */
/* kernel_reads.c: part of the program kernel: direct reads into blocks of the heap are
 * under way when the heap may return, and at fork(2). No data may be lost. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "kernel.h"
#include "../support/blocks.h"
#include "../support/disk.h"
#include "../support/heap_return.h"
#include "../support/self.h"

#define NROUNDS 4
/* The library may pause between two returns. */
#define ROUND_LIMIT_MS 500
#define BATCHES_MIN 2

/*
 * Asynchronous I/O of the kernel, io_submit(2). Its requests lie in the heap, too.
 */

static aio_context_t context;
static struct iocb *requests;
static struct io_event *events;

static int
aio_begin(void)
{
	requests = calloc(NPIECES, sizeof(*requests));
	events = calloc(NPIECES, sizeof(*events));
	return syscall(SYS_io_setup, NPIECES, &context) == 0;
}

static void
aio_submit(int fd, unsigned char *buffer)
{
	struct iocb *list[NPIECES];

	for (int i = 0; i < NPIECES; i++) {
		size_t at = (size_t)i * PIECE_BYTES;

		requests[i] = (struct iocb){
			.aio_fildes = (unsigned)fd,
			.aio_lio_opcode = IOCB_CMD_PREAD,
			.aio_buf = (unsigned long)(buffer + at),
			.aio_nbytes = PIECE_BYTES,
			.aio_offset = (long)at,
		};
		list[i] = &requests[i];
	}
	if (syscall(SYS_io_submit, context, NPIECES, list) != NPIECES)
		_exit(99);
}

static int
aio_collect(int waits)
{
	struct timespec none = { 0, 0 };
	int got = (int)syscall(SYS_io_getevents, context, waits ? 1 : 0, NPIECES,
	    events, waits ? NULL : &none);

	for (int i = 0; i < got; i++) {
		if (events[i].res != (long)PIECE_BYTES) {
			errno = events[i].res < 0 ? (int)-events[i].res : EIO;
			return -1;
		}
	}
	return got;
}

static void
aio_end(void)
{
	syscall(SYS_io_destroy, context);
}

const struct engine aio = { aio_begin, aio_submit, aio_collect, aio_end };

/*
 * Reads under way when the heap may return
 */

static int is_over;

static void *
allocate_until_over(void *argument)
{
	unsigned seed = 2;

	while (!__atomic_load_n(&is_over, __ATOMIC_ACQUIRE))
		heap_allocate(&seed);
	return argument;
}

/* Returns whether all reads succeeded and no wait was interrupted. */
static int
read_all(const struct reads *reads, int fd, unsigned char *buffer)
{
	static unsigned seed = 1;

	reads->engine->submit(fd, buffer);
	for (int ended = 0; ended < NPIECES; ) {
		int got;

		if (!reads->has_thread)
			heap_allocate(&seed);
		got = reads->engine->collect(reads->has_thread);
		if (got < 0) {
			cases_comment("after %d reads: %s", ended,
			    strerror(errno));
			return 0;
		}
		ended += got;
	}
	return 1;
}

static int
count_wrong_pieces(const unsigned char *buffer)
{
	int wrong = 0;

	for (int i = 0; i < NPIECES; i++)
		wrong += !file_is(buffer + (size_t)i * PIECE_BYTES, i);
	return wrong;
}

/* Reads again and again, until the heap has returned or has had time to return. */
static int
run_round(const struct reads *reads, int fd, unsigned char *buffer, int round)
{
	long long limit_us = self_now_us() + ROUND_LIMIT_MS * 1000LL;
	int is_good = 1, batches = 0;

	cases_stage("round %d", round);
	if (!heap_forks())
		return 0;
	do {
		int wrong;

		/* Writes to each page after the fork: these are private and have to return. */
		memset(buffer, 0, NPIECES * PIECE_BYTES);
		is_good &= read_all(reads, fd, buffer);
		wrong = count_wrong_pieces(buffer);
		if (wrong > 0)
			cases_comment("round %d: %d of %d pieces are wrong",
			    round, wrong, NPIECES);
		is_good &= wrong == 0;
	} while (is_good && (++batches < BATCHES_MIN ||
	    (!heap_is_returned(RETURNED_KB) && self_now_us() < limit_us)));
	return is_good;
}

void
run_reads(const struct test_case *self)
{
	const struct reads *reads = self->with;
	pthread_t thread;
	unsigned char *buffer;
	int fd = file_open(), is_good = 1, returned = 0;

	if (fd < 0 || !reads->engine->begin()) {
		cases_skip("direct reads", strerror(errno));
		return;
	}
	if (posix_memalign((void **)&buffer, 4096, NPIECES * PIECE_BYTES) != 0)
		_exit(99);
	if (reads->has_thread)
		pthread_create(&thread, NULL, allocate_until_over, NULL);
	for (int round = 0; round < NROUNDS; round++) {
		is_good &= run_round(reads, fd, buffer, round);
		returned += heap_is_returned(RETURNED_KB);
	}
	__atomic_store_n(&is_over, 1, __ATOMIC_RELEASE);
	if (reads->has_thread)
		pthread_join(thread, NULL);
	cases_comment("returned after %d of %d rounds", returned, NROUNDS);
	cases_result(is_good, "data of direct reads is in the heap");
	cases_result(count_wrong_pieces(buffer) == 0, "this data stays in the heap");
	cases_result(heap_return_is_as_expected(returned, NROUNDS, 1),
	    "the heap does not return while the kernel may write to it");
}

/*
 * Reads under way at fork(2)
 */

#define NFORKS 8
#define HUGETLBFS 0x958458f6 /* linux/magic.h */

/*
 * Closes the pool's descriptor, if the case wants that. Returns whether the library copies the
 * heap at a fork, since the kernel cannot copy it on write: without descriptor, on hugetlbfs.
 */
static int
is_heap_copied(const struct reads_at_fork *reads)
{
	const char *dir = getenv("VMMALLOC_POOL_DIR");
	struct statfs place;

	if (dir == NULL)
		return 0;
	if (reads->is_closed)
		close(disk_pool_descriptor(dir));
	return reads->is_closed || (statfs(dir, &place) == 0 && place.f_type == HUGETLBFS);
}

/* Starts reads, forks, and waits for all reads. Returns whether fork succeeded. */
static int
fork_beside_reads(const struct engine *engine, int fd, unsigned char *buffer,
    int *is_wrong)
{
	int error, is_done, ended = 0, got = 0, wrong;
	pid_t pid;

	memset(buffer, 0, NPIECES * PIECE_BYTES);
	engine->submit(fd, buffer);
	pid = fork();
	error = errno;
	if (pid == 0)
		_exit(0);
	is_done = pid > 0;
	while (ended < NPIECES && (got = engine->collect(1)) >= 0)
		ended += got;
	wrong = count_wrong_pieces(buffer);
	if (ended < NPIECES || wrong > 0)
		cases_comment("%d of %d reads, %d pieces are wrong", ended, NPIECES,
		    wrong);
	*is_wrong |= ended < NPIECES || wrong > 0 ||
	    (is_done ? !child_succeeds(pid) : error != EAGAIN);
	return is_done;
}

void
run_reads_at_fork(const struct test_case *self)
{
	const struct reads_at_fork *reads = self->with;
	unsigned char *buffer;
	int fd = file_open(), done = 0, is_wrong = 0, is_copied;

	if (fd < 0 || !reads->engine->begin()) {
		cases_skip("direct reads at a fork", strerror(errno));
		return;
	}
	if (posix_memalign((void **)&buffer, 4096, NPIECES * PIECE_BYTES) != 0)
		_exit(99);
	is_copied = is_heap_copied(reads);
	for (int i = 0; i < NFORKS; i++)
		done += fork_beside_reads(reads->engine, fd, buffer, &is_wrong);
	cases_result(!is_wrong, "data of direct reads under way at a fork is in the heap");
	cases_comment("%d of %d forks succeeded", done, NFORKS);
	cases_result(done == (is_copied ? 0 : NFORKS), is_copied
	    ? "fork fails while the kernel may write to a heap that has to be copied"
	    : "fork succeeds");
	reads->engine->end();
	cases_result(heap_forks(), "without asynchronous I/O, fork succeeds");
}

/* Drivers that only copy data do not write to the heap later: fork may copy the heap. */
void
run_device_at_fork(const struct test_case *self)
{
	static const struct reads_at_fork closed = { &aio, 1 };
	static const char *const devices[] = { "/dev/null", "/dev/random", "/dev/ptmx",
		"/dev/vcs", "/dev/rtc0", "/dev/ttyS0", "/dev/fuse" };
	int count = 0;

	(void)self;
	is_heap_copied(&closed);
	for (size_t i = 0; i < sizeof(devices) / sizeof(devices[0]); i++)
		count += open(devices[i], O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOCTTY) >= 0;
	cases_comment("%d devices are open", count);
	cases_result(heap_forks(), "fork succeeds with open devices that copy their data");
}
