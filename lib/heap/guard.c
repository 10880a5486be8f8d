/* SPDX-License-Identifier: BSD-3-Clause */
/* guard.c: the guard: the debug variant's check bytes and its record of live blocks. */
#include "config.h"

#include "heap/guard.h"

#ifdef VMMALLOC_DEBUG

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "os/os.h"
#include "pool/pool.h"
#include "trace/fatal.h"
#include "trace/log.h"

/*
 * The record has two bits for each place in the pool where a block can begin: whether a
 * live block begins there, and whether one ever did. That is 1/64 of the pool's size in
 * address space; only pages that are used take memory.
 */
#define PLACE_SIZE VMM_BLOCK_ALIGNMENT
#define WORD_BITS (8 * sizeof(unsigned long))

static unsigned long *live;
static unsigned long *was_live;

/*
 * The check bytes lie behind the requested size. The last word of jemalloc's block is the
 * requested size, coded so that neither text nor zeroes are valid. The slack before that word
 * begins with a pattern, of limited length, because slack can be large.
 */
#define TAIL_SIZE 16
#define PATTERN 0xfd
#define PATTERN_MAX 64
#define SIZE_KEY ((size_t)0x9e3779b97f4a7c15U)
#define FLAG_ZERO 0x40 /* MALLOCX_ZERO */

int
vmm_guard_open(void)
{
	size_t size = vmm_pool_span.size / PLACE_SIZE / 8 + sizeof(*live);
	void *map = NULL;
	int error = vmm_os_map_plain(size, &map);

	if (error != 0)
		return error;
	live = map;
	error = vmm_os_map_plain(size, &map);
	was_live = map;
	return error;
}

/* Foreign blocks, from the program's own extent hooks (jemalloc(3)), are not recorded. */
static bool
is_recorded(const void *block)
{
	return vmm_pool_has(block);
}

static size_t
place_of(const void *block)
{
	return ((uintptr_t)block - vmm_pool_span.base) / PLACE_SIZE;
}

static unsigned long
bit_of(size_t place)
{
	return 1UL << (place % WORD_BITS);
}

static bool
is_set(const unsigned long *bits, const void *block)
{
	size_t place = place_of(block);

	return (uintptr_t)block % PLACE_SIZE == 0 &&
	    (__atomic_load_n(&bits[place / WORD_BITS], __ATOMIC_RELAXED) &
		bit_of(place)) != 0;
}

static void
mark_live(const void *block)
{
	size_t place = place_of(block);

	if (!is_recorded(block))
		return;
	__atomic_fetch_or(&was_live[place / WORD_BITS], bit_of(place),
	    __ATOMIC_RELAXED);
	__atomic_fetch_or(&live[place / WORD_BITS], bit_of(place),
	    __ATOMIC_RELEASE);
}

/*
 * Clears the mark of a live block. Returns false if the block, of the pool, was not live: of
 * several threads that free it at once, one gets true. Other blocks have no mark: true.
 */
static bool
unmark_live(const void *block)
{
	size_t place = place_of(block);

	if (!is_recorded(block))
		return true;
	return (uintptr_t)block % PLACE_SIZE == 0 &&
	    (__atomic_fetch_and(&live[place / WORD_BITS], ~bit_of(place),
		 __ATOMIC_ACQUIRE) & bit_of(place)) != 0;
}

static size_t
size_with_tail(size_t size)
{
	size_t whole;

	return __builtin_add_overflow(size, TAIL_SIZE, &whole) ? SIZE_MAX : whole;
}

/* The length of the pattern. */
static size_t
pattern_size(size_t size, size_t usable)
{
	size_t slack = usable - sizeof(size_t) - size;

	return slack < PATTERN_MAX ? slack : PATTERN_MAX;
}

static void
write_tail(void *block, size_t size)
{
	size_t usable = je_malloc_usable_size(block);
	size_t code = size ^ SIZE_KEY ^ (uintptr_t)block;

	memset((char *)block + size, PATTERN, pattern_size(size, usable));
	memcpy((char *)block + usable - sizeof(code), &code, sizeof(code));
}

/* The requested size, or SIZE_MAX if the check bytes have changed. */
static size_t
read_tail(const void *block)
{
	size_t usable = je_malloc_usable_size((void *)(uintptr_t)block);
	const unsigned char *bytes = block;
	size_t code, size;

	memcpy(&code, bytes + usable - sizeof(code), sizeof(code));
	size = code ^ SIZE_KEY ^ (uintptr_t)block;
	if (size > usable - TAIL_SIZE)
		return SIZE_MAX;
	for (size_t i = 0; i < pattern_size(size, usable); i++) {
		if (bytes[size + i] != PATTERN)
			return SIZE_MAX;
	}
	return size;
}

/* The live block with the highest address up to `address`; NULL if there is none. */
static const char *
find_live_below(const void *address)
{
	size_t place = place_of(address);
	size_t word = place / WORD_BITS;
	unsigned long bits = live[word] & (bit_of(place) | (bit_of(place) - 1));

	while (bits == 0 && word > 0)
		bits = live[--word];
	if (bits == 0)
		return NULL;
	place = word * WORD_BITS + WORD_BITS - 1 -
	    (size_t)__builtin_clzl(bits);
	return (const char *)vmm_pool_span.base + place * PLACE_SIZE;
}

/* Appends the reason why no live block begins at `address`. */
static void
describe(struct vmm_text *text, const void *address)
{
	const char *below = find_live_below(address);
	size_t size = below == NULL ? 0 : read_tail(below);

	if (below != NULL && size != SIZE_MAX &&
	    (size_t)((const char *)address - below) < size) {
		vmm_text_str(text, "never given out, it lies ");
		vmm_text_uint(text, (size_t)((const char *)address - below));
		vmm_text_str(text, " bytes into the block of size ");
		vmm_text_uint(text, size);
		vmm_text_str(text, " at ");
		vmm_text_pointer(text, below);
	} else if (is_set(was_live, address)) {
		vmm_text_str(text, "freed before");
	} else {
		vmm_text_str(text, "never given out");
	}
}

static void
add_call(struct vmm_text *text, const char *what, const void *block)
{
	vmm_text_str(text, what);
	vmm_text_str(text, " of ");
	vmm_text_pointer(text, block);
	vmm_text_str(text, ": ");
}

/* Traces the message and aborts with it. */
static _Noreturn void
fail(const struct vmm_text *text)
{
	VMM_LOG(VMM_LOG_ERRORS, vmm_text_str(line, text->data));
	vmm_fatal_abort(text->data);
}

static _Noreturn void
fail_dead(const char *what, const void *block)
{
	struct vmm_text text;

	vmm_text_clear(&text);
	add_call(&text, what, block);
	describe(&text, block);
	fail(&text);
}

static size_t
checked_size(const char *what, const void *block)
{
	size_t size = read_tail(block);
	struct vmm_text text;

	if (size != SIZE_MAX)
		return size;
	vmm_text_clear(&text);
	add_call(&text, what, block);
	vmm_text_str(&text, "written to behind its end");
	fail(&text);
}

/* Removes a block from the record and returns its size. Aborts if a check fails. */
static size_t
retire(const char *what, const void *block)
{
	if (!unmark_live(block))
		fail_dead(what, block);
	return checked_size(what, block);
}

/* Adds a new block to the record and writes its check bytes. */
static void *
record(void *block, size_t size)
{
	if (block == NULL)
		return NULL;
	write_tail(block, size);
	mark_live(block);
	return block;
}

void *
vmm_guard_malloc(size_t size)
{
	return record(je_malloc(size_with_tail(size)), size);
}

void *
vmm_guard_calloc(size_t count, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(count, size, &bytes))
		return NULL;
	return record(je_calloc(1, size_with_tail(bytes)), bytes);
}

void *
vmm_guard_aligned_alloc(size_t alignment, size_t size)
{
	return record(je_aligned_alloc(alignment, size_with_tail(size)), size);
}

void
vmm_guard_free(void *block)
{
	retire("free", block);
	je_free(block);
}

size_t
vmm_guard_malloc_usable_size(const void *block)
{
	if (!is_recorded(block) || is_set(live, block))
		return checked_size("malloc_usable_size", block);
	VMM_LOG(VMM_LOG_ERRORS, add_call(line, "malloc_usable_size", block),
	    describe(line, block));
	return 0;
}

void *
vmm_guard_mallocx(size_t size, int flags)
{
	return record(je_mallocx(size_with_tail(size), flags), size);
}

/* MALLOCX_ZERO: zeroes old slack that is now part of the block. jemalloc zeroes the rest. */
static void
zero_slack(void *block, size_t old_size, size_t old_usable, size_t size)
{
	size_t end = size < old_usable ? size : old_usable;

	if (end > old_size)
		memset((char *)block + old_size, 0, end - old_size);
}

void *
vmm_guard_rallocx(void *block, size_t size, int flags)
{
	size_t old_size = retire("realloc", block);
	size_t old_usable = je_malloc_usable_size(block);
	void *moved = je_rallocx(block, size_with_tail(size), flags);

	if (moved == NULL) {
		mark_live(block);
		return NULL;
	}
	if (flags & FLAG_ZERO)
		zero_slack(moved, old_size, old_usable, size);
	return record(moved, size);
}

size_t
vmm_guard_xallocx(void *block, size_t size, size_t extra, int flags)
{
	size_t old_size = vmm_guard_sallocx(block, flags);
	size_t old_usable = je_malloc_usable_size(block);
	size_t room;

	/* 5.3.0 may return the old size after it resized the block (large_ralloc_no_move). */
	je_xallocx(block, size_with_tail(size), extra, flags);
	room = je_malloc_usable_size(block) - TAIL_SIZE;
	if (room < size)
		return old_size;
	if (room - size > extra)
		room = size + extra;
	if (flags & FLAG_ZERO)
		zero_slack(block, old_size, old_usable, room);
	write_tail(block, room);
	return room;
}

size_t
vmm_guard_sallocx(const void *block, int flags)
{
	(void)flags;
	if (is_recorded(block) && !is_set(live, block))
		fail_dead("sallocx or xallocx", block);
	return checked_size("sallocx or xallocx", block);
}

void
vmm_guard_dallocx(void *block, int flags)
{
	retire("dallocx", block);
	je_dallocx(block, flags);
}

void
vmm_guard_sdallocx(void *block, size_t size, int flags)
{
	size_t real_size = retire("free with a size", block);

	if (size != real_size)
		VMM_LOG(VMM_LOG_ERRORS,
		    vmm_text_str(line, "free with a size of "),
		    vmm_text_pointer(line, block),
		    vmm_text_str(line, ": said to have size "),
		    vmm_text_uint(line, size),
		    vmm_text_str(line, ", has "),
		    vmm_text_uint(line, real_size));
	je_dallocx(block, flags);
}

void
vmm_guard_free_sized(void *block, size_t size)
{
	vmm_guard_sdallocx(block, size, 0);
}

size_t
vmm_guard_nallocx(size_t size, int flags)
{
	return je_nallocx(size_with_tail(size), flags) == 0 ? 0 : size;
}

#endif
