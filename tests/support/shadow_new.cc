// SPDX-License-Identifier: BSD-3-Clause
// shadow_new.cc: the operators new and delete for shadow_calls.c.
#include <new>

extern "C" {
#include "shadow.h"
}

static void *
new_or_null(std::size_t size, std::size_t alignment)
{
	std::align_val_t aligned = std::align_val_t(alignment);

	try {
		return alignment == 0 ? ::operator new(size)
				      : ::operator new[](size, aligned);
	} catch (const std::bad_alloc &) {
		return nullptr;
	}
}

extern "C" void *
shadow_new(std::size_t size, std::size_t alignment, bool throws)
{
	if (throws)
		return new_or_null(size, alignment);
	return alignment == 0 ? ::operator new[](size, std::nothrow)
			      : ::operator new(size, std::align_val_t(alignment),
				    std::nothrow);
}

extern "C" void
shadow_delete(void *block, std::size_t size, std::size_t alignment, unsigned form)
{
	std::align_val_t aligned = std::align_val_t(alignment);

	if (alignment == 0 && form % 2 == 0)
		::operator delete(block);
	else if (alignment == 0)
		::operator delete[](block, size);
	else if (form % 2 == 0)
		::operator delete(block, aligned);
	else
		::operator delete[](block, size, aligned);
}
