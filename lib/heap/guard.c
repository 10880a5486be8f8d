/* SPDX-License-Identifier: BSD-3-Clause */
/* guard.c: the debug variant's guard over blocks: which live, and where they end. */
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
 * Two bits for every place in the pool where a block can begin: whether a live one
 * does, and whether one ever did. That is a sixty-fourth of the pool, of which only
 * what is needed takes memory.
 */
#define PLACE_SIZE VMM_BLOCK_ALIGNMENT
#define WORD_BITS (8 * sizeof(unsigned long))

static unsigned long *live;
static unsigned long *past;

/*
 * The tail: at the end of what jemalloc gave, the size that was asked for, such that
 * no text or zeroes look like it; and between the two a pattern, no more of it than
 * finds an overrun, since slack can be large.
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
	past = map;
	return error;
}

/* Blocks of extents that a program brought itself (jemalloc(3)) are not recorded. */
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
has(const unsigned long *bits, const void *block)
{
	size_t place = place_of(block);

	return (uintptr_t)block % PLACE_SIZE == 0 &&
	    (__atomic_load_n(&bits[place / WORD_BITS], __ATOMIC_RELAXED) &
		bit_of(place)) != 0;
}

static void
set_live(const void *block)
{
	size_t place = place_of(block);

	if (!is_recorded(block))
		return;
	__atomic_fetch_or(&past[place / WORD_BITS], bit_of(place),
	    __ATOMIC_RELAXED);
	__atomic_fetch_or(&live[place / WORD_BITS], bit_of(place),
	    __ATOMIC_RELEASE);
}

/* Of several threads that free the same block one alone gets true. */
static bool
clear_live(const void *block)
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

/* Whatever part of the block is slack, and can tell. */
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

/* The size that was asked for, or SIZE_MAX if the tail has been written to. */
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

/* The live block that begins nearest below, NULL if there is none. */
static const char *
live_below(const void *address)
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

/* Why no live block begins there. */
static void
explain(struct vmm_text *text, const void *address)
{
	const char *below = live_below(address);
	size_t size = below == NULL ? 0 : read_tail(below);

	if (below != NULL && size != SIZE_MAX &&
	    (size_t)((const char *)address - below) < size) {
		vmm_text_str(text, "never given out, it lies ");
		vmm_text_uint(text, (size_t)((const char *)address - below));
		vmm_text_str(text, " bytes into the block of size ");
		vmm_text_uint(text, size);
		vmm_text_str(text, " at ");
		vmm_text_pointer(text, below);
	} else if (has(past, address)) {
		vmm_text_str(text, "freed before");
	} else {
		vmm_text_str(text, "never given out");
	}
}

static void
begin_message(struct vmm_text *text, const char *what, const void *block)
{
	vmm_text_str(text, what);
	vmm_text_str(text, " of ");
	vmm_text_pointer(text, block);
	vmm_text_str(text, ": ");
}

/* The level-1 line, and the end. */
static _Noreturn void
refuse(const struct vmm_text *text)
{
	VMM_LOG(VMM_LOG_ERRORS, vmm_text_str(line, text->data));
	vmm_fatal_abort(text->data);
}

static _Noreturn void
refuse_dead(const char *what, const void *block)
{
	struct vmm_text text;

	vmm_text_clear(&text);
	begin_message(&text, what, block);
	explain(&text, block);
	refuse(&text);
}

static size_t
checked_size(const char *what, const void *block)
{
	size_t size = read_tail(block);
	struct vmm_text text;

	if (size != SIZE_MAX)
		return size;
	vmm_text_clear(&text);
	begin_message(&text, what, block);
	vmm_text_str(&text, "written to behind its end");
	refuse(&text);
}

/* The block lives no longer; its size. */
static size_t
retire(const char *what, const void *block)
{
	if (!clear_live(block))
		refuse_dead(what, block);
	return checked_size(what, block);
}

/* The block lives from now on. */
static void *
record(void *block, size_t size)
{
	if (block == NULL)
		return NULL;
	write_tail(block, size);
	set_live(block);
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
	if (!is_recorded(block) || has(live, block))
		return checked_size("malloc_usable_size", block);
	VMM_LOG(VMM_LOG_ERRORS, begin_message(line, "malloc_usable_size", block),
	    explain(line, block));
	return 0;
}

void *
vmm_guard_mallocx(size_t size, int flags)
{
	return record(je_mallocx(size_with_tail(size), flags), size);
}

/* The slack that a block no longer has is to be zero, as is what jemalloc added. */
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
		set_live(block);
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

	/* What it returns may be the size before (large_ralloc_no_move, 5.3.0). */
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
	if (is_recorded(block) && !has(live, block))
		refuse_dead("sallocx or xallocx", block);
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
