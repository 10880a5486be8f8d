/* SPDX-License-Identifier: BSD-3-Clause */
/* large_pages.c: which chunks become large pages, and when. */
#include "config.h"

#include <errno.h>

#include "pool/state.h"
#include "trace/log.h"

/*
 * tmpfs uses small pages unless it is mounted with huge=. Since Linux 6.1 a process can ask
 * for one large page per chunk (madvise(2), MADV_COLLAPSE), which takes less time than 512 page
 * faults. The kernel refuses a chunk without any page, so one is populated first. A large page
 * takes all of its memory: the first LARGE_FROM bytes keep small pages, for small programs.
 */
#define LARGE_FROM ((size_t)32 << 20)

/* MADV_COLLAPSE waits for all processors, so one call is for several chunks. */
#define COLLAPSE_MAX ((size_t)8 << 20)

/* At most 1/AHEAD_SHARE of the heap, and AHEAD_MAX, is made ahead of use, and one chunk. */
#define AHEAD_SHARE 256
#define AHEAD_MAX ((size_t)8 << 20)

/*
 * Where free memory is fragmented the kernel has to move pages, which is slow. The credit grows
 * by USUAL_US for each chunk, and shrinks by the time that the chunk took. When it is used up,
 * or the kernel refuses, no chunk is collapsed during a pause. Each pause is twice as long as
 * the last, until the credit is full again.
 */
#define USUAL_US 2000
#define CREDIT_MAX_US 20000
#define PAUSE_FIRST_US 16000
#define PAUSE_LAST_US 64000000

static struct {
	int64_t credit_us;
	uint64_t not_before_us; /* 0: no pause */
	bool is_known;          /* wants_large says what the kernel can do */
	bool is_proven;         /* the kernel has made one */
	uint64_t pause_us;      /* the last pause; 0: the credit has been full since */
} large = { .credit_us = CREDIT_MAX_US };

bool
vmm_pool_wants_large(size_t begin)
{
	return vmm_pool.wants_large && vmm_pool.file.fs.makes_large && begin >= LARGE_FROM;
}

/* Asks the kernel once, and only in a process with a large heap. */
static bool
can_collapse(void)
{
	if (!large.is_known) {
		vmm_pool.wants_large = vmm_os_has_2m_pages();
		large.is_known = true;
	}
	return vmm_pool.wants_large;
}

static bool
tries_large(size_t begin)
{
	return vmm_pool_wants_large(begin) && can_collapse() &&
	    (large.not_before_us == 0 || vmm_os_now_us() >= large.not_before_us);
}

bool
vmm_pool_large_range(size_t *begin, size_t *end)
{
	*begin = vmm_larger(vmm_round_up(*begin, VMM_CHUNK_SIZE), LARGE_FROM);
	*end = *end / VMM_CHUNK_SIZE * VMM_CHUNK_SIZE;
	/* Beyond RLIMIT_FSIZE, vmm_os_file_reserve must refuse with EFBIG. */
	return *begin < *end && tries_large(*begin) && vmm_os_file_may_reach(*end);
}

size_t
vmm_pool_large_end(size_t end)
{
	size_t ahead = vmm_smaller(end / AHEAD_SHARE, AHEAD_MAX);

	if (!vmm_pool_wants_large(end) || vmm_pool.ahead_max < ahead + VMM_CHUNK_SIZE)
		return 0;
	return vmm_smaller(vmm_round_up(end + ahead, VMM_CHUNK_SIZE), vmm_pool.size);
}

/* Begins a pause. `error` is why the kernel refuses, or 0 if it takes too long. */
static void
pause_large(uint64_t now_us, int error)
{
	large.pause_us = large.pause_us == 0 ? PAUSE_FIRST_US : 2 * large.pause_us;
	if (large.pause_us > PAUSE_LAST_US)
		large.pause_us = PAUSE_LAST_US;
	large.not_before_us = now_us + large.pause_us;
	large.credit_us = CREDIT_MAX_US;
	if (error == 0)
		VMM_LOG(VMM_LOG_OPERATIONS, vmm_text_str(line, "no large pages for "),
		    vmm_text_uint(line, large.pause_us / 1000),
		    vmm_text_str(line, " ms: making them takes too long"));
	else
		VMM_LOG(VMM_LOG_OPERATIONS, vmm_text_str(line, "no large pages for "),
		    vmm_text_uint(line, large.pause_us / 1000),
		    vmm_text_str(line, " ms: the kernel refuses them: "),
		    vmm_text_errno(line, error));
}

/*
 * Populates one page in each chunk, then collapses all chunks. A large page is on the node of
 * the page that was there. A policy that interleaves pages chooses the node by the page's
 * number, so the number within the chunk must not be always the same.
 */
static int
collapse(size_t begin, char *address, size_t length)
{
	size_t page_size = vmm_os_page_size();
	int error = 0;

	for (size_t at = 0; error == 0 && at < length; at += VMM_CHUNK_SIZE) {
		/* Multiplying by 2^32 / (golden ratio) spreads consecutive numbers evenly. */
		uint32_t spread = (uint32_t)((begin + at) / VMM_CHUNK_SIZE) * 2654435769U;

		error = vmm_os_populate(address + at + (spread >> 16) %
		    (VMM_CHUNK_SIZE / page_size) * page_size, page_size);
	}
	return error == 0 ? vmm_os_collapse(address, length) : error;
}

/*
 * Collapses. An emulator may ignore the call and return 0, but memory that has no blocks must
 * not be used. So the first success has to show in the file.
 */
static int
collapse_proven(size_t begin, char *address, size_t length)
{
	uint64_t before = 0, after = 0;
	int error = large.is_proven ? 0 : vmm_os_file_blocks(&vmm_pool.file, &before);

	if (error == 0)
		error = collapse(begin, address, length);
	if (error != 0 || large.is_proven)
		return error;
	error = vmm_os_file_blocks(&vmm_pool.file, &after);
	if (error == 0 && after < before + length / 2)
		error = EOPNOTSUPP;
	large.is_proven = error == 0;
	return error;
}

/* Collapses, and charges the time to the credit. */
static int
collapse_timed(size_t begin, char *address, size_t length)
{
	uint64_t begin_us = vmm_os_now_us(), now_us;
	int error = collapse_proven(begin, address, length);

	now_us = vmm_os_now_us();
	large.credit_us += (int64_t)(length / VMM_CHUNK_SIZE * USUAL_US) -
	    (int64_t)(now_us - begin_us);
	if (large.credit_us > CREDIT_MAX_US) {
		large.credit_us = CREDIT_MAX_US;
		large.pause_us = error == 0 ? 0 : large.pause_us;
	}
	if (error != 0 || large.credit_us < 0)
		pause_large(now_us, error);
	return error;
}

size_t
vmm_pool_make_large(size_t begin, char *address, size_t length)
{
	size_t done = 0;

	while (done < length && tries_large(begin + done)) {
		/* If the last call was slow or refused, the next one may be, too. */
		size_t step = vmm_smaller(length - done,
		    large.pause_us == 0 ? COLLAPSE_MAX : VMM_CHUNK_SIZE);

		if (collapse_timed(begin + done, address + done, step) != 0)
			break;
		done += step;
	}
	return done;
}

void
vmm_pool_advise_large(size_t begin, size_t end)
{
	if (!vmm_pool.file.fs.is_fileless)
		return;
	if (!vmm_pool.wants_large)
		vmm_os_advise_large(vmm_pool.base + begin, end - begin, false);
	else if (end > LARGE_FROM)
		vmm_os_advise_large(vmm_pool.base + vmm_larger(begin, LARGE_FROM),
		    end - vmm_larger(begin, LARGE_FROM), true);
}
