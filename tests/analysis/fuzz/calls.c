/* SPDX-License-Identifier: BSD-3-Clause */
/* calls.c: fuzzes sequences of calls to entry points by three threads. Each byte of
 * each block is checked. The library is linked under other names. */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "libvmmalloc.h"
#include "../../support/shadow.h"

#define NSLOTS 24
#define NTHREADS 3
#define BYTES_A_STEP 8
#define FILLS_MAX 2
#define POOL_SIZE ((size_t)16 << 20)

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct shadow_block slots[NSLOTS];
static struct shadow_chain chain;
static int fills;

/* The next step and its thread. One thread runs at a time, so that a run is
 * repeatable. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t is_turn;
	unsigned thread;     /* the thread whose turn it is; 0: the main thread */
	const uint8_t *step; /* NULL: flush the tcache of the thread */
} turn = { .lock = PTHREAD_MUTEX_INITIALIZER,
	.is_turn = PTHREAD_COND_INITIALIZER };

/* The C++ operators are not part of this test. */
void *
shadow_new(size_t size, size_t alignment, bool throws)
{
	(void)throws;
	return alignment == 0 ? malloc(size) : aligned_alloc(alignment, size);
}

void
shadow_delete(void *block, size_t size, size_t alignment, unsigned form)
{
	(void)size;
	(void)alignment;
	(void)form;
	free(block);
}

/* A size below 64 KiB. For one of 16 values of the byte step[4], it is 128 times as large. */
static size_t
size_of(const uint8_t *step)
{
	return ((size_t)step[2] << 8 | step[3]) >> (step[1] >> 3) % 16 <<
	    (step[4] % 16 == 15 ? 7 : 0);
}

static uint64_t
random_of(const uint8_t *step)
{
	return (uint64_t)step[7] << 56 | (uint64_t)step[5] << 8 | step[6] |
	    (uint64_t)step[4] << 16 | (uint64_t)step[3] << 24;
}

/* Sizes and alignments close to limits. */
static size_t
edge_of(uint8_t byte)
{
	static const size_t edges[] = { 0, 1, 8, 14336, 4096, PTRDIFF_MAX,
		SIZE_MAX, SIZE_MAX / 2 + 1, POOL_SIZE, (size_t)1 << 32, 3, 48,
		(size_t)PTRDIFF_MAX - 4096, SIZE_MAX - 4096, 2 << 20, 1 << 20 };

	return edges[byte % 16] + (size_t)(byte / 16) -
	    (byte >= 128 ? (size_t)8 : 0);
}

static void
expect(bool is_true, const char *what)
{
	if (!is_true)
		shadow_fault("expected: %s", what);
}

/* The call returned NULL and set errno, or a block of that size, which is freed. */
static void
check_edge(void *block, size_t alignment, size_t size, int error)
{
	if (block == NULL) {
		expect(errno == error || errno == ENOMEM, "NULL with a right errno");
		return;
	}
	expect(error != EINVAL, "NULL for an invalid argument");
	expect(size <= POOL_SIZE, "no block is larger than the pool");
	expect((uintptr_t)block % alignment == 0, "the block is aligned");
	expect(malloc_usable_size(block) >= size, "the block is large enough");
	if (size > 0)
		((char *)block)[size - 1] = 1;
	free(block);
}

static bool
is_power(size_t number)
{
	return number != 0 && (number & (number - 1)) == 0;
}

static void
edges(const uint8_t *step)
{
	size_t a = edge_of(step[2]), b = edge_of(step[3]), product;
	bool overflows = __builtin_mul_overflow(a, b, &product);
	void *block = NULL;
	int error;

	errno = 0;
	switch (step[4] % 8) {
	case 0:
		check_edge(malloc(a), 16, a, ENOMEM);
		break;
	case 1:
		check_edge(calloc(a, b), 16, overflows ? SIZE_MAX : product,
		    ENOMEM);
		break;
	case 2:
		check_edge(reallocarray(NULL, a, b), 16,
		    overflows ? SIZE_MAX : product, ENOMEM);
		break;
	case 3:
		error = is_power(a) ? ENOMEM : EINVAL;
		check_edge(aligned_alloc(a, b), is_power(a) ? a : 1, b, error);
		break;
	case 4:
		error = posix_memalign(&block, a, b);
		expect(errno == 0, "posix_memalign does not change errno");
		expect(error != EINVAL || !is_power(a) || a < sizeof(void *),
		    "EINVAL only for a wrong alignment");
		errno = error;
		check_edge(block, is_power(a) ? a : 1, b,
		    is_power(a) && a >= sizeof(void *) ? ENOMEM : EINVAL);
		break;
	case 5:
		/* EINVAL: the alignment is beyond the largest power of two. */
		block = memalign(a, b);
		if (block == NULL && errno == EINVAL)
			break;
		check_edge(block, is_power(a) ? a : 16, b, ENOMEM);
		break;
	case 6:
		check_edge(pvalloc(a), 4096, a, ENOMEM);
		break;
	default:
		check_edge(valloc(a), 4096, a, ENOMEM);
	}
}

/* Fills the pool, or frees some of it. Filling is slow: at most FILLS_MAX times per input. */
static void
exhaust(const uint8_t *step)
{
	if (chain.last != NULL) {
		shadow_drain(&chain, 1 + step[3] * 64U);
	} else if (fills < FILLS_MAX) {
		fills++;
		chain.size = 3000 + (size_t)step[2] * 400;
		expect(shadow_fill(&chain, 100000), "a full pool returns NULL");
	}
}

static void
run(const uint8_t *step)
{
	struct shadow_block *slot;
	uint64_t random;

	if (step == NULL) {
		expect(mallctl("thread.tcache.flush", NULL, NULL, NULL, 0) == 0,
		    "mallctl");
		return;
	}
	slot = &slots[step[0] / 8 % NSLOTS];
	random = random_of(step);
	switch (step[0] % 8) {
	case 0:
		shadow_free(slot, random);
		break;
	case 1:
	case 2:
		shadow_resize(slot, size_of(step), random);
		break;
	case 3:
		edges(step);
		break;
	case 4:
		if (step[1] % 32 == 31)
			exhaust(step);
		else if (step[1] % 32 == 30)
			malloc_trim(0);
		else
			shadow_is_whole(slot, "later");
		break;
	default:
		shadow_free(slot, random >> 3);
		shadow_allocate(slot, size_of(step), random);
	}
}

static void *
work(void *argument)
{
	unsigned number = (unsigned)(uintptr_t)argument;

	pthread_mutex_lock(&turn.lock);
	for (;;) {
		while (turn.thread != number)
			pthread_cond_wait(&turn.is_turn, &turn.lock);
		run(turn.step);
		turn.thread = 0;
		pthread_cond_broadcast(&turn.is_turn);
	}
	return NULL;
}

static void
run_by(unsigned thread, const uint8_t *step)
{
	if (thread == 0) {
		run(step);
		return;
	}
	pthread_mutex_lock(&turn.lock);
	turn.step = step;
	turn.thread = thread;
	pthread_cond_broadcast(&turn.is_turn);
	while (turn.thread != 0)
		pthread_cond_wait(&turn.is_turn, &turn.lock);
	pthread_mutex_unlock(&turn.lock);
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	shadow_aborts = true;
	shadow_start(true);
	for (uintptr_t i = 1; i < NTHREADS; i++) {
		pthread_t thread;

		if (pthread_create(&thread, NULL, work, (void *)i) != 0)
			abort();
	}
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	void *half;

	fills = 0;
	for (size_t at = 0; at + BYTES_A_STEP <= size; at += BYTES_A_STEP)
		run_by(data[at + 1] % 8 < NTHREADS ? data[at + 1] % 8 : 0,
		    data + at);
	shadow_drain(&chain, SIZE_MAX);
	for (int i = 0; i < NSLOTS; i++)
		shadow_free(&slots[i], (uint64_t)i);
	/* Flush the tcaches, whose blocks may lie anywhere. Then nothing is in use. */
	for (unsigned thread = 0; thread < NTHREADS; thread++)
		run_by(thread, NULL);
	half = malloc(POOL_SIZE / 2);
	expect(half != NULL, "half of the pool can be allocated");
	free(half);
	return 0;
}
