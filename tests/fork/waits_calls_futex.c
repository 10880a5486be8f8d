/* SPDX-License-Identifier: BSD-3-Clause */
/* waits_calls_futex.c: part of the program waits: futex(2) and its newer relatives,
 * without libc. */
#include "config.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "waits_calls.h"

#define WORD_AT 256

static int
open_futex(struct waiter *waiter)
{
	waiter->fd[0] = FUTEX_PRIVATE_FLAG;
	return 1;
}

static int
open_shared_futex(struct waiter *waiter)
{
	waiter->fd[0] = 0;
	return 1;
}

static void
feed_futex(struct waiter *waiter)
{
	int *word = (int *)(waiter->heap + WORD_AT);

	__atomic_store_n(word, waiter->fed, __ATOMIC_RELEASE);
	syscall(SYS_futex, word, FUTEX_WAKE | waiter->fd[0], 1, NULL, NULL, 0);
}

/* futex(2) may return without a wake-up. */
static enum outcome
wait_futex(struct waiter *waiter)
{
	int *word = (int *)(waiter->heap + WORD_AT);
	unsigned char before = (unsigned char)(waiter->next - 1);

	while (__atomic_load_n(word, __ATOMIC_ACQUIRE) == before) {
		if (syscall(SYS_futex, word, FUTEX_WAIT | waiter->fd[0], before,
			calls_timeout(waiter), NULL, 0) != 0 && errno != EAGAIN)
			return calls_outcome(-1, ETIMEDOUT);
	}
	waiter->heap[0] = (unsigned char)*word;
	return calls_take_byte(waiter, 1, 0);
}

/* futex_waitv(2), Linux 5.16, and futex_wait(2), Linux 6.7; both wait for one word. */
#define CALL_FUTEX_WAITV 449
#define CALL_FUTEX_WAIT 455
#define SIZE_U32 2 /* FUTEX2_SIZE_U32 */
#define ANY_BIT 0xFFFFFFFFUL

static long
wait_new(long call, int *word, unsigned before)
{
	/* struct futex_waitv of newer headers */
	struct {
		uint64_t value, address;
		uint32_t flags, reserved;
	} one = { before, (uintptr_t)word, SIZE_U32, 0 };

	return call == CALL_FUTEX_WAITV ? syscall(call, &one, 1, 0, NULL, 0)
	    : syscall(call, word, (unsigned long)before, ANY_BIT, SIZE_U32, NULL, 0);
}

/* The kernel has the call if it says that the word has another value. */
static int
open_new(struct waiter *waiter, long call)
{
	int *word = (int *)(waiter->heap + WORD_AT);

	waiter->fd[0] = 0;
	return wait_new(call, word, 1) != 0 && errno == EAGAIN;
}

static int
open_futex_waitv(struct waiter *waiter)
{
	return open_new(waiter, CALL_FUTEX_WAITV);
}

static int
open_futex_wait(struct waiter *waiter)
{
	return open_new(waiter, CALL_FUTEX_WAIT);
}

static enum outcome
wait_new_futex(struct waiter *waiter, long call)
{
	int *word = (int *)(waiter->heap + WORD_AT);
	unsigned char before = (unsigned char)(waiter->next - 1);

	while (__atomic_load_n(word, __ATOMIC_ACQUIRE) == before) {
		if (wait_new(call, word, before) < 0 && errno != EAGAIN)
			return calls_outcome(-1, ETIMEDOUT);
	}
	waiter->heap[0] = (unsigned char)*word;
	return calls_take_byte(waiter, 1, 0);
}

static enum outcome
wait_futex_waitv(struct waiter *waiter)
{
	return wait_new_futex(waiter, CALL_FUTEX_WAITV);
}

static enum outcome
wait_futex_wait(struct waiter *waiter)
{
	return wait_new_futex(waiter, CALL_FUTEX_WAIT);
}

const struct call calls_futex[] = {
	{ "futex", -1, open_futex, wait_futex, feed_futex, 1 },
	{ "futex, 20 ms", 20, open_futex, wait_futex, NULL, 0 },
	{ "futex, 5000 ms", 5000, open_futex, wait_futex, feed_futex, 1 },
	{ NULL, 0, NULL, NULL, NULL, 0 },
};

/* The kernel identifies these futexes by the page of the file, not by the address. */
const struct call calls_shared[] = {
	{ "shared futex", -1, open_shared_futex, wait_futex, feed_futex, 1 },
	{ "shared futex, 20 ms", 20, open_shared_futex, wait_futex, NULL, 0 },
	{ "shared futex, 5000 ms", 5000, open_shared_futex, wait_futex, feed_futex,
	    1 },
	{ NULL, 0, NULL, NULL, NULL, 0 },
};

/*
 * This call, and the next, are in lists of their own. If the library found a waiter of another
 * call, it would stop all threads, and the waiter of this call would wake for that reason.
 */
const struct call calls_waitv[] = {
	{ "shared futex_waitv", -1, open_futex_waitv, wait_futex_waitv, feed_futex, 1 },
	{ NULL, 0, NULL, NULL, NULL, 0 },
};

const struct call calls_new_wait[] = {
	{ "shared futex_wait", -1, open_futex_wait, wait_futex_wait, feed_futex, 1 },
	{ NULL, 0, NULL, NULL, NULL, 0 },
};
