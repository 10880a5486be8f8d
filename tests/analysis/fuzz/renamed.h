/* SPDX-License-Identifier: BSD-3-Clause */
/* renamed.h: other names for the library's entry points, to link it into a fuzzer,
 * whose own heap is not the one under test. */
#ifndef RENAMED_H
#define RENAMED_H

#define malloc fuzz_malloc
#define calloc fuzz_calloc
#define realloc fuzz_realloc
#define free fuzz_free
#define aligned_alloc fuzz_aligned_alloc
#define free_sized fuzz_free_sized
#define free_aligned_sized fuzz_free_aligned_sized
#define posix_memalign fuzz_posix_memalign
#define reallocarray fuzz_reallocarray
#define memalign fuzz_memalign
#define valloc fuzz_valloc
#define pvalloc fuzz_pvalloc
#define malloc_usable_size fuzz_malloc_usable_size
#define cfree fuzz_cfree
#define mallinfo fuzz_mallinfo
#define mallinfo2 fuzz_mallinfo2
#define malloc_info fuzz_malloc_info
#define malloc_stats fuzz_malloc_stats
#define malloc_trim fuzz_malloc_trim
#define mallopt fuzz_mallopt
#define fork fuzz_fork
#define __register_atfork fuzz_register_atfork

#endif
