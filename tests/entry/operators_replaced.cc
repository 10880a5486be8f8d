// SPDX-License-Identifier: BSD-3-Clause
// operators_replaced.cc: a program replaces the plain new and delete. As the C++ standard
// requires, the library's other forms without alignment must call the program's functions.
#include <cstdio>
#include <cstdlib>
#include <new>

static int news, deletes;

// A header precedes the block, so any other function would free a wrong pointer.
void *
operator new(std::size_t size)
{
	char *block = static_cast<char *>(std::malloc(size + 64));

	if (block == nullptr)
		throw std::bad_alloc();
	news++;
	return block + 64;
}

void
operator delete(void *block) noexcept
{
	if (block == nullptr)
		return;
	deletes++;
	std::free(static_cast<char *>(block) - 64);
}

static void *
opaque(void *block)
{
	__asm__ volatile("" : "+r"(block) : : "memory");
	return block;
}

int
main()
{
	for (int i = 0; i < 100; i++) {
		::operator delete(opaque(::operator new(i)), std::size_t(i));
		::operator delete(opaque(::operator new(i, std::nothrow)));
		::operator delete[](opaque(::operator new[](i)));
		::operator delete[](opaque(::operator new[](i)), std::size_t(i));
		::operator delete[](opaque(::operator new[](i, std::nothrow)),
		    std::nothrow);
		::operator delete(opaque(::operator new(i)), std::nothrow);
	}
	std::printf("%d news, %d deletes\n", news, deletes);
	return news != 600 || deletes != 600;
}
