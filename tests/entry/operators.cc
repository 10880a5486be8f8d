// SPDX-License-Identifier: BSD-3-Clause
// operators.cc: tests every form of new and delete, also when there is no memory.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

extern "C" {
#include "../support/in_pool.h"
}

static int failures;

#define EXPECT(condition)                                                      \
	do {                                                                   \
		if (!(condition)) {                                            \
			std::fprintf(stderr, "%s:%d: %s\n", __FILE__,          \
			    __LINE__, #condition);                             \
			failures++;                                            \
		}                                                              \
	} while (0)

static const std::size_t huge = SIZE_MAX / 2 - 100000;
static const std::align_val_t align64 = std::align_val_t(64);

// Hides a pointer from the compiler, which may remove a new and its delete.
static void *
opaque(void *block)
{
	__asm__ volatile("" : "+r"(block) : : "memory");
	return block;
}

static void
check_block(void *block, std::size_t size, std::size_t alignment)
{
	block = opaque(block);
	EXPECT(block != nullptr);
	EXPECT(is_in_pool(block));
	EXPECT(reinterpret_cast<std::uintptr_t>(block) % alignment == 0);
	std::memset(block, 0x5a, size);
}

static void
every_form(std::size_t size)
{
	const std::nothrow_t &nothrow = std::nothrow;
	void *p;

	p = ::operator new(size), check_block(p, size, 16), ::operator delete(p);
	p = ::operator new(size), check_block(p, size, 16), ::operator delete(p, size);
	p = ::operator new(size), check_block(p, size, 16), ::operator delete(p, nothrow);
	p = ::operator new[](size), check_block(p, size, 16), ::operator delete[](p);
	p = ::operator new[](size), check_block(p, size, 16),
	::operator delete[](p, size);
	p = ::operator new[](size), check_block(p, size, 16),
	::operator delete[](p, nothrow);
	p = ::operator new(size, nothrow), check_block(p, size, 16),
	::operator delete(p);
	p = ::operator new[](size, nothrow), check_block(p, size, 16),
	::operator delete[](p);
	p = ::operator new(size, align64), check_block(p, size, 64),
	::operator delete(p, align64);
	p = ::operator new(size, align64), check_block(p, size, 64),
	::operator delete(p, size, align64);
	p = ::operator new(size, align64, nothrow), check_block(p, size, 64),
	::operator delete(p, align64, nothrow);
	p = ::operator new[](size, align64), check_block(p, size, 64),
	::operator delete[](p, align64);
	p = ::operator new[](size, align64), check_block(p, size, 64),
	::operator delete[](p, size, align64);
	p = ::operator new[](size, align64, nothrow), check_block(p, size, 64),
	::operator delete[](p, align64, nothrow);
	::operator delete(nullptr);
	::operator delete[](nullptr);
	::operator delete(nullptr, size);
}

template <typename Function>
static bool
throws_bad_alloc(Function function)
{
	try {
		opaque(function());
	} catch (const std::bad_alloc &) {
		return true;
	}
	return false;
}

static void
without_memory()
{
	EXPECT(throws_bad_alloc([] { return ::operator new(huge); }));
	EXPECT(throws_bad_alloc([] { return ::operator new[](huge); }));
	EXPECT(throws_bad_alloc([] { return ::operator new(huge, align64); }));
	EXPECT(throws_bad_alloc([] { return ::operator new[](huge, align64); }));
	EXPECT(opaque(::operator new(huge, std::nothrow)) == nullptr);
	EXPECT(opaque(::operator new[](huge, std::nothrow)) == nullptr);
	EXPECT(opaque(::operator new(huge, align64, std::nothrow)) == nullptr);
	EXPECT(opaque(::operator new[](huge, align64, std::nothrow)) == nullptr);
}

static int handled;

// One new_handler gives up at its third call. The other throws.
static void
handler()
{
	if (++handled == 3)
		std::set_new_handler(nullptr);
}

static void
throwing_handler()
{
	handled++;
	throw std::bad_alloc();
}

static void
handlers()
{
	std::set_new_handler(handler);
	EXPECT(throws_bad_alloc([] { return ::operator new(huge); }));
	EXPECT(handled == 3);
	handled = 0;
	std::set_new_handler(throwing_handler);
	EXPECT(opaque(::operator new(huge, std::nothrow)) == nullptr);
	EXPECT(handled == 1);
	EXPECT(throws_bad_alloc([] { return ::operator new[](huge); }));
	std::set_new_handler(nullptr);
}

// When small blocks fill the pool, new throws. After they are freed, it works again.
static void
full_pool()
{
	std::vector<void *> blocks;
	bool is_full = false;

	blocks.reserve(200000);
	while (!is_full) {
		void *block = ::operator new(1024, std::nothrow);

		if (block == nullptr)
			is_full = true;
		else
			blocks.push_back(block);
	}
	EXPECT(throws_bad_alloc([] { return ::operator new(100000); }));
	for (void *block : blocks)
		::operator delete(block, 1024);
	check_block(::operator new(100000), 100000, 16);
}

static void
exceptions()
{
	int caught = 0;

	for (int i = 0; i < 1000; i++) {
		try {
			throw std::runtime_error(std::string(i, 'x'));
		} catch (const std::exception &e) {
			caught += std::strlen(e.what()) == std::size_t(i);
		}
	}
	EXPECT(caught == 1000);
	EXPECT(throws_bad_alloc([]() -> void * {
		std::vector<char> v(std::size_t(-1) / 4);
		return v.data();
	}));
}

struct alignas(256) Aligned {
	char data[300];
};

static void
expressions()
{
	Aligned *one = new Aligned;
	Aligned *many = new Aligned[7];
	std::string *strings = new std::string[100];

	check_block(one, sizeof(*one), 256);
	check_block(many, 7 * sizeof(*many), 256);
	for (int i = 0; i < 100; i++)
		strings[i] = std::string(i * 10, 'y');
	EXPECT(strings[99].size() == 990);
	delete one;
	delete[] many;
	delete[] strings;
	EXPECT(throws_bad_alloc([]() -> void * { return new char[huge]; }));
}

int
main()
{
	static const std::size_t sizes[] = { 0, 1, 7, 8, 9, 16, 100, 4096, 14336,
		14337, 100000, 5000000 };

	for (std::size_t size : sizes)
		every_form(size);
	without_memory();
	handlers();
	exceptions();
	expressions();
	full_pool();
	for (std::size_t size : sizes)
		every_form(size);
	return failures != 0;
}
