/* SPDX-License-Identifier: BSD-3-Clause */
/* page_requests_refused.c: part of a library for tests, whose pool refuses ranges. The
 * linker's option --wrap directs calls of vmm_pool_allocate to this file. FAULTY=N in the
 * environment refuses the N-th request for a range, FAULTY=N+ also all later requests. The
 * file that FAULTY_FILE names gets the number of requests. */
#include "config.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "os/os.h"
#include "pool/pool.h"

void *__real_vmm_pool_allocate(void *wanted, size_t size, size_t alignment,
    bool *is_zero);
void *__wrap_vmm_pool_allocate(void *wanted, size_t size, size_t alignment,
    bool *is_zero);

static unsigned long requests;

void *
__wrap_vmm_pool_allocate(void *wanted, size_t size, size_t alignment, bool *is_zero)
{
	static unsigned long nth;
	static bool is_read, is_lasting;
	unsigned long number = __atomic_add_fetch(&requests, 1,
	    __ATOMIC_RELAXED);

	/* The process has no other thread when the first call comes. */
	if (!is_read) {
		const char *value = vmm_os_getenv("FAULTY");

		for (; value != NULL && *value >= '0' && *value <= '9'; value++)
			nth = nth * 10 + (unsigned long)(*value - '0');
		is_lasting = value != NULL && *value == '+';
		is_read = true;
	}
	if (number == nth || (is_lasting && number > nth))
		return NULL;
	return __real_vmm_pool_allocate(wanted, size, alignment, is_zero);
}

static void __attribute__((destructor))
report(void)
{
	const char *path = getenv("FAULTY_FILE");
	char text[32];
	int fd = path == NULL ? -1
			      : open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	int length = snprintf(text, sizeof(text), "%lu\n", requests);

	if (fd >= 0) {
		if (write(fd, text, (size_t)length) != length)
			abort();
		close(fd);
	}
}
