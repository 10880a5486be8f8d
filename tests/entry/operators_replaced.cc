// SPDX-License-Identifier: BSD-3-Clause
// operators_replaced.cc: replaces the operators that -D names (NEW, DELETE_ARRAY_SIZED, ...).
// Calls each form of new and delete, and prints which of its own operators each call reaches.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <malloc.h>
#include <new>

static const std::size_t size = 100;
static const std::size_t huge = SIZE_MAX / 2 - 100000;
static const std::align_val_t align = std::align_val_t(64);

// The program's operators new allocate more: a delete must not rely on the requested size.
static const std::size_t extra = 5000;

// The calls of the program's operators since the last print.
static char calls[400];
static int calls_length;

[[maybe_unused]] static void
note(const char *name, std::size_t bytes, std::align_val_t alignment)
{
	calls_length += std::snprintf(calls + calls_length, sizeof(calls) - calls_length,
	    " %s(%zu, %zu)", name, bytes, std::size_t(alignment));
}

[[maybe_unused]] static void *
allocate(std::size_t bytes, std::align_val_t alignment, bool is_nothrow)
{
	void *block = alignment == std::align_val_t()
	    ? std::malloc(bytes + extra)
	    : aligned_alloc(std::size_t(alignment), bytes + extra);

	if (block == nullptr && !is_nothrow)
		throw std::bad_alloc();
	return block;
}

#define REPLACE_NEW(symbol, name, is_nothrow, alignment, ...)                  \
	void *operator symbol(std::size_t bytes, ##__VA_ARGS__)                \
	    noexcept(is_nothrow)                                               \
	{                                                                      \
		note(#symbol name, bytes, alignment);                          \
		return allocate(bytes, alignment, is_nothrow);                 \
	}
#define REPLACE_DELETE(symbol, name, bytes, alignment, ...)                    \
	void operator symbol(void *block, ##__VA_ARGS__) noexcept              \
	{                                                                      \
		note(#symbol name, bytes, alignment);                          \
		std::free(block);                                              \
	}
#define BYTES std::size_t bytes
#define ALIGNMENT std::align_val_t alignment
#define NOTHROW const std::nothrow_t &
#define NONE std::align_val_t()

#ifdef NEW
REPLACE_NEW(new, "", false, NONE)
#endif
#ifdef NEW_ARRAY
REPLACE_NEW(new[], "", false, NONE)
#endif
#ifdef NEW_NOTHROW
REPLACE_NEW(new, " nothrow", true, NONE, NOTHROW)
#endif
#ifdef NEW_ARRAY_NOTHROW
REPLACE_NEW(new[], " nothrow", true, NONE, NOTHROW)
#endif
#ifdef NEW_ALIGNED
REPLACE_NEW(new, " aligned", false, alignment, ALIGNMENT)
#endif
#ifdef NEW_ARRAY_ALIGNED
REPLACE_NEW(new[], " aligned", false, alignment, ALIGNMENT)
#endif
#ifdef NEW_ALIGNED_NOTHROW
REPLACE_NEW(new, " aligned nothrow", true, alignment, ALIGNMENT, NOTHROW)
#endif
#ifdef NEW_ARRAY_ALIGNED_NOTHROW
REPLACE_NEW(new[], " aligned nothrow", true, alignment, ALIGNMENT, NOTHROW)
#endif
#ifdef DELETE
REPLACE_DELETE(delete, "", 0, NONE)
#endif
#ifdef DELETE_ARRAY
REPLACE_DELETE(delete[], "", 0, NONE)
#endif
#ifdef DELETE_SIZED
REPLACE_DELETE(delete, " sized", bytes, NONE, BYTES)
#endif
#ifdef DELETE_ARRAY_SIZED
REPLACE_DELETE(delete[], " sized", bytes, NONE, BYTES)
#endif
#ifdef DELETE_NOTHROW
REPLACE_DELETE(delete, " nothrow", 0, NONE, NOTHROW)
#endif
#ifdef DELETE_ARRAY_NOTHROW
REPLACE_DELETE(delete[], " nothrow", 0, NONE, NOTHROW)
#endif
#ifdef DELETE_ALIGNED
REPLACE_DELETE(delete, " aligned", 0, alignment, ALIGNMENT)
#endif
#ifdef DELETE_ARRAY_ALIGNED
REPLACE_DELETE(delete[], " aligned", 0, alignment, ALIGNMENT)
#endif
#ifdef DELETE_ALIGNED_SIZED
REPLACE_DELETE(delete, " aligned sized", bytes, alignment, BYTES, ALIGNMENT)
#endif
#ifdef DELETE_ARRAY_ALIGNED_SIZED
REPLACE_DELETE(delete[], " aligned sized", bytes, alignment, BYTES, ALIGNMENT)
#endif
#ifdef DELETE_ALIGNED_NOTHROW
REPLACE_DELETE(delete, " aligned nothrow", 0, alignment, ALIGNMENT, NOTHROW)
#endif
#ifdef DELETE_ARRAY_ALIGNED_NOTHROW
REPLACE_DELETE(delete[], " aligned nothrow", 0, alignment, ALIGNMENT, NOTHROW)
#endif

static void *
opaque(void *block)
{
	__asm__ volatile("" : "+r"(block) : : "memory");
	return block;
}

static void
print(const char *call, const char *result)
{
	std::printf("%s:%s%s\n", call, calls, result);
	calls[calls_length = 0] = '\0';
}

// If a delete relied on a wrong size, the next malloc of that size returns the large block.
static void
check_heap()
{
	void *next = std::malloc(size);

	if (malloc_usable_size(next) >= size + extra)
		std::printf("the delete used a wrong size\n");
	std::free(next);
}

// A form of delete frees the block of a form of new.
#define PAIR(allocation, deletion)                                             \
	do {                                                                   \
		void *block = opaque(allocation);                              \
		print(#allocation, "");                                        \
		deletion;                                                      \
		print("\t" #deletion, "");                                     \
		check_heap();                                                  \
	} while (0)
#define PAIRS(allocation, deletion)                                            \
	PAIR(allocation, deletion(block));                                     \
	PAIR(allocation, deletion(block, size));                               \
	PAIR(allocation, deletion(block, std::nothrow))
#define PAIRS_ALIGNED(allocation, deletion)                                    \
	PAIR(allocation, deletion(block, align));                              \
	PAIR(allocation, deletion(block, size, align));                        \
	PAIR(allocation, deletion(block, align, std::nothrow))
#define WITHOUT_MEMORY(...)                                                    \
	try {                                                                  \
		void *block = opaque(__VA_ARGS__);                             \
		print(#__VA_ARGS__, block == nullptr ? " nullptr" : " a block"); \
	} catch (const std::bad_alloc &) {                                     \
		print(#__VA_ARGS__, " bad_alloc");                             \
	}

int
main()
{
	PAIRS(::operator new(size), ::operator delete);
	PAIRS(::operator new(size, std::nothrow), ::operator delete);
	PAIRS(::operator new[](size), ::operator delete[]);
	PAIRS(::operator new[](size, std::nothrow), ::operator delete[]);
	PAIRS_ALIGNED(::operator new(size, align), ::operator delete);
	PAIRS_ALIGNED(::operator new(size, align, std::nothrow), ::operator delete);
	PAIRS_ALIGNED(::operator new[](size, align), ::operator delete[]);
	PAIRS_ALIGNED(::operator new[](size, align, std::nothrow), ::operator delete[]);
	WITHOUT_MEMORY(::operator new(huge));
	WITHOUT_MEMORY(::operator new(huge, std::nothrow));
	WITHOUT_MEMORY(::operator new[](huge));
	WITHOUT_MEMORY(::operator new[](huge, std::nothrow));
	WITHOUT_MEMORY(::operator new(huge, align));
	WITHOUT_MEMORY(::operator new(huge, align, std::nothrow));
	WITHOUT_MEMORY(::operator new[](huge, align));
	WITHOUT_MEMORY(::operator new[](huge, align, std::nothrow));
	return 0;
}
