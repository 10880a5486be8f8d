/* SPDX-License-Identifier: BSD-3-Clause */
/* kernel_uring.c: part of the program kernel: reads by io_uring(7), with system calls
 * only. */
#include "config.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "kernel.h"
#include "../support/heap_return.h"
#include "../support/in_pool.h"

#define ENTRIES 32
/* Buffers that a user without privileges may register. */
#define NREGISTERED 4
#define RETURN_LIMIT_MS 1000
/* A block that has to return, besides the buffers. */
#define FILLER_BYTES ((size_t)8 << 20)

static struct {
	int fd;
	struct { void *at; size_t bytes; } maps[3];
	unsigned *tail, *mask, *array; /* of requests */
	struct io_uring_sqe *requests;
	unsigned *head, *end, *end_mask; /* of results */
	struct io_uring_cqe *results;
} ring;

static void *
map_ring(int number, size_t bytes, off_t what)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, ring.fd,
	    what);

	if (at == MAP_FAILED)
		_exit(99);
	ring.maps[number].at = at;
	ring.maps[number].bytes = bytes;
	return at;
}

static int
uring_begin(void)
{
	struct io_uring_params params = { .flags = 0 };
	char *requests, *results;

	ring.fd = (int)syscall(SYS_io_uring_setup, ENTRIES, &params);
	if (ring.fd < 0)
		return 0;
	requests = map_ring(0, params.sq_off.array + params.sq_entries *
	    sizeof(unsigned), IORING_OFF_SQ_RING);
	results = map_ring(1, params.cq_off.cqes + params.cq_entries *
	    sizeof(struct io_uring_cqe), IORING_OFF_CQ_RING);
	ring.requests = map_ring(2, params.sq_entries * sizeof(struct io_uring_sqe),
	    IORING_OFF_SQES);
	ring.tail = (unsigned *)(requests + params.sq_off.tail);
	ring.mask = (unsigned *)(requests + params.sq_off.ring_mask);
	ring.array = (unsigned *)(requests + params.sq_off.array);
	ring.head = (unsigned *)(results + params.cq_off.head);
	ring.end = (unsigned *)(results + params.cq_off.tail);
	ring.end_mask = (unsigned *)(results + params.cq_off.ring_mask);
	ring.results = (struct io_uring_cqe *)(results + params.cq_off.cqes);
	return 1;
}

/* The kernel reads requests from the ring only in io_uring_enter(2). */
static void
add_request(int operation, int fd, unsigned char *buffer, int number)
{
	unsigned tail = *ring.tail, index = tail & *ring.mask;

	ring.requests[index] = (struct io_uring_sqe){
		.opcode = (unsigned char)operation,
		.fd = fd,
		.addr = (unsigned long)buffer,
		.len = (unsigned)PIECE_BYTES,
		.off = (unsigned long)number * PIECE_BYTES,
		.buf_index = (unsigned short)number,
	};
	ring.array[index] = index;
	__atomic_store_n(ring.tail, tail + 1, __ATOMIC_RELEASE);
}

static void
submit_requests(int count)
{
	if (syscall(SYS_io_uring_enter, ring.fd, count, 0, 0, NULL, 0) != count)
		_exit(99);
}

static void
uring_submit(int fd, unsigned char *buffer)
{
	for (int i = 0; i < NPIECES; i++) {
		unsigned char *piece = buffer + (size_t)i * PIECE_BYTES;

		add_request(IORING_OP_READ, fd, piece, i);
		/* Without registered buffers no buffer has a number. */
		ring.requests[(*ring.tail - 1) & *ring.mask].buf_index = 0;
	}
	submit_requests(NPIECES);
}

static int
uring_collect(int waits)
{
	unsigned head = *ring.head;
	int count = 0;

	/* The kernel puts results on the ring when the thread enters the kernel. */
	if (syscall(SYS_io_uring_enter, ring.fd, 0, waits ? 1 : 0,
		IORING_ENTER_GETEVENTS, NULL, 0) < 0)
		return -1;
	while (head != __atomic_load_n(ring.end, __ATOMIC_ACQUIRE)) {
		int got = ring.results[head++ & *ring.end_mask].res;

		__atomic_store_n(ring.head, head, __ATOMIC_RELEASE);
		if (got != (int)PIECE_BYTES) {
			errno = got < 0 ? -got : EIO;
			return -1;
		}
		count++;
	}
	return count;
}

static void
uring_end(void)
{
	for (int i = 0; i < 3; i++)
		munmap(ring.maps[i].at, ring.maps[i].bytes);
	close(ring.fd);
}

const struct engine uring = { uring_begin, uring_submit, uring_collect, uring_end };

/*
 * Registered buffers: the kernel keeps their pages, even if other pages are mapped there
 */

static unsigned char *
make_buffer(void)
{
	void *buffer;

	if (posix_memalign(&buffer, 4096, NREGISTERED * PIECE_BYTES) != 0)
		_exit(99);
	memset(buffer, 0, NREGISTERED * PIECE_BYTES);
	return buffer;
}

static int
set_registered(unsigned char *buffer)
{
	struct iovec pieces[NREGISTERED];

	for (int i = 0; i < NREGISTERED; i++) {
		pieces[i].iov_base = buffer + (size_t)i * PIECE_BYTES;
		pieces[i].iov_len = PIECE_BYTES;
	}
	return syscall(SYS_io_uring_register, ring.fd, IORING_REGISTER_BUFFERS,
	    pieces, NREGISTERED) == 0;
}

/*
 * The kernel does not register pages of a file whose file system must know of each write:
 * ext4, xfs, btrfs. There it may refuse to register also after a fork.
 */
static int
may_be_refused(void)
{
	unsigned char *buffer = make_buffer();
	uintptr_t from, to;
	int is_refused = !set_registered(buffer);

	if (!is_refused)
		syscall(SYS_io_uring_register, ring.fd,
		    IORING_UNREGISTER_BUFFERS, NULL, 0);
	free(buffer);
	return is_refused && errno == EFAULT && in_pool_span(&from, &to);
}

static int
read_registered(int fd, unsigned char *buffer)
{
	int ended = 0, wrong = 0, got;

	for (int i = 0; i < NREGISTERED; i++)
		add_request(IORING_OP_READ_FIXED, fd, buffer + (size_t)i * PIECE_BYTES, i);
	submit_requests(NREGISTERED);
	while (ended < NREGISTERED) {
		got = uring_collect(1);
		if (got < 0) {
			cases_comment("after %d reads: %s", ended,
			    strerror(errno));
			return 0;
		}
		ended += got;
	}
	for (int i = 0; i < NREGISTERED; i++)
		wrong += !file_is(buffer + (size_t)i * PIECE_BYTES, i);
	if (wrong > 0)
		cases_comment("%d of %d pieces are wrong", wrong, NREGISTERED);
	return wrong == 0;
}

static int
always(void *argument)
{
	(void)argument;
	return 1;
}

void
run_registered(const struct test_case *self)
{
	int with_child = *(const int *)self->with, may_refuse, is_good;
	struct heap_child child;
	unsigned char *buffer, *filler = malloc(FILLER_BYTES);
	int fd = file_open();

	if (filler == NULL || fd < 0 || !uring_begin()) {
		cases_skip("data read into registered buffers is in the heap",
		    strerror(errno));
		return;
	}
	may_refuse = may_be_refused();
	is_good = heap_child_start(&child, always, NULL);
	if (!with_child)
		is_good &= heap_child_end(&child);
	buffer = make_buffer();
	if (!set_registered(buffer)) {
		if (may_refuse && errno == EFAULT)
			cases_skip("data read into registered buffers is in the heap",
			    "the kernel registers no pages of this file system");
		else
			cases_result(0, "the kernel registers buffers: %s",
			    strerror(errno));
		return;
	}
	cases_result(read_registered(fd, buffer),
	    "data read into registered buffers is in the heap");
	if (with_child)
		is_good &= heap_child_end(&child);
	memset(buffer, 0, NREGISTERED * PIECE_BYTES);
	memset(filler, 1, FILLER_BYTES);
	heap_returns(RETURNED_KB, RETURN_LIMIT_MS);
	cases_result(read_registered(fd, buffer) && is_good,
	    "reads into registered buffers work after the heap has had time to return");
}
