/* SPDX-License-Identifier: BSD-3-Clause */
/* linux_futex.c: finds and wakes threads in futex(2), and waits for a child, on Linux. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/text.h"
#include "os/linux_proc.h"
#include "os/linux_sys.h"
#include "os/os.h"

#ifndef SYS_futex_waitv
#define SYS_futex_waitv VMM_SYS_NEW(449) /* Linux 5.16 */
#endif
#ifndef SYS_futex_wait
#define SYS_futex_wait VMM_SYS_NEW(455) /* Linux 6.7 */
#endif

/* While a parent waits for a child, it checks at this interval that the child lives. */
#define CHECK_NS 20000000

/* Reads the next number of /proc/PID/syscall (proc(5)). */
static bool
next_number(char **at, int base, unsigned long *number)
{
	char *end;

	*number = strtoul(*at, &end, base);
	if (end == *at)
		return false;
	*at = end;
	return true;
}

static bool
is_futex_call(unsigned long number)
{
#ifdef SYS_futex_time64
	if (number == SYS_futex_time64)
		return true;
#endif
	return number == SYS_futex || number == SYS_futex_wait;
}

/* A search for threads that wait on addresses in [base, base + size). */
struct search {
	int tasks; /* a descriptor of VMM_OS_TASKS */
	uintptr_t base;
	size_t size;
	struct vmm_os_waits *waits;
};

/* Whether a wait is for a mutex with priority inheritance. FUTEX_WAKE does not end it. */
static bool
is_pi(unsigned long operation)
{
	enum { LOCK_PI2 = 13 }; /* Linux 5.14 */
	int command = (int)operation & FUTEX_CMD_MASK;

	return command == FUTEX_LOCK_PI || command == FUTEX_WAIT_REQUEUE_PI ||
	    command == LOCK_PI2;
}

/* Whether a thread has a seccomp filter. True if that is not known. */
static bool
is_filtered(void *argument, const char *name)
{
	const int *tasks = argument;
	struct vmm_os_field seccomp = { "Seccomp:", 10, 0 };
	struct vmm_text path;
	int error;

	if (name[0] == '.')
		return false;
	vmm_text_clear(&path);
	vmm_text_str(&path, name);
	vmm_text_str(&path, "/status");
	error = vmm_os_proc_fields(*tasks, path.data, &seccomp, 1);
	/* The thread may have ended meanwhile. */
	return error == 0 ? seccomp.value != 0 : error != ENOENT && error != ESRCH;
}

/*
 * Records the address that a thread waits on, if it lies in the range that is searched and
 * the futex is not private to the process.
 * The kernel identifies a shared futex by what is mapped at its address (futex(2)).
 */
static bool
add_wait(void *argument, const char *name)
{
	struct search *search = argument;
	struct vmm_os_waits *waits = search->waits;
	char call[256];
	char *at = call;
	unsigned long number, address, operation;
	int error;

	if (name[0] == '.')
		return false;
	error = vmm_os_proc_read_task(search->tasks, name, "syscall", call, sizeof(call));
	/* Not dumpable: only root may read /proc (proc(5)), so threads may be missing. */
	if (error != 0 && error != ENOENT && error != ESRCH)
		waits->is_complete = false;
	if (!next_number(&at, 10, &number))
		return false;
	/* futex_waitv(2) keeps its addresses in memory, which may be gone by now. */
	if (number == SYS_futex_waitv) {
		waits->is_complete = false;
		waits->needs_stop += is_filtered(&search->tasks, name);
	}
	if (!is_futex_call(number) || !next_number(&at, 16, &address) ||
	    !next_number(&at, 16, &operation))
		return false;
	if (number == SYS_futex_wait) {
		next_number(&at, 16, &operation);
		next_number(&at, 16, &operation);
		operation &= FUTEX_PRIVATE_FLAG;
	}
	if ((operation & FUTEX_PRIVATE_FLAG) != 0 ||
	    address - search->base >= search->size)
		return false;
	if (waits->count < VMM_OS_WAITS_MAX)
		waits->addresses[waits->count++] = address;
	else
		waits->is_complete = false;
	waits->needs_stop += is_pi(operation);
	return false;
}

void
vmm_os_futex_waits(const void *base, size_t size, struct vmm_os_waits *waits)
{
	struct search search = { .base = (uintptr_t)base, .size = size, .waits = waits };

	waits->count = waits->needs_stop = 0;
	waits->is_complete = true;
	if (!vmm_os_has_threads())
		return;
	search.tasks = vmm_os_proc_open(AT_FDCWD, VMM_OS_TASKS, O_RDONLY | O_DIRECTORY);
	if (search.tasks < 0) {
		waits->is_complete = false;
		return;
	}
	vmm_os_proc_each(search.tasks, add_wait, &search);
	vmm_sys.close(search.tasks);
}

int
vmm_os_futex_restart_all(void)
{
	int saved_errno = errno;
	int error = 0;
	int tasks = vmm_os_proc_open(AT_FDCWD, VMM_OS_TASKS, O_RDONLY | O_DIRECTORY);

	/* Every thread makes this call. A seccomp filter may kill one, or make libc abort. */
	if (tasks >= 0 && !vmm_os_proc_each(tasks, is_filtered, &tasks) &&
	    vmm_sys.setresuid((uid_t)-1, (uid_t)-1, (uid_t)-1) != 0)
		error = errno;
	if (tasks >= 0)
		vmm_sys.close(tasks);
	errno = saved_errno;
	return error;
}

void
vmm_os_futex_wake_file(const struct vmm_os_file *file, size_t offset)
{
	size_t page_size = file->fs.page_size;
	char *page;

	if (!vmm_os_file_is_open(file))
		return;
	page = vmm_sys.mmap(NULL, page_size, PROT_READ | PROT_WRITE, MAP_SHARED,
	    file->fd, (off_t)(offset / page_size * page_size));
	if (page == MAP_FAILED)
		return;
	vmm_sys.futex(page + offset % page_size, FUTEX_WAKE, INT_MAX, NULL);
	vmm_sys.munmap(page, page_size);
}

void
vmm_os_child_report(unsigned *word, unsigned value)
{
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
	vmm_sys.futex(word, FUTEX_WAKE, INT_MAX, NULL);
}

/* Whether the child has ended. Its exit status is left for the program's wait(2). */
static bool
has_ended(pid_t child)
{
	siginfo_t info = { 0 };

	return vmm_sys.waitid(P_PID, (id_t)child, &info, WEXITED | WNOHANG | WNOWAIT) != 0
	    ? errno == ECHILD : info.si_pid == child;
}

unsigned
vmm_os_child_await(const unsigned *word, pid_t child)
{
	const struct timespec pause = { 0, CHECK_NS };
	bool is_over = false;

	while (__atomic_load_n(word, __ATOMIC_ACQUIRE) == 0 && !is_over) {
		vmm_sys.futex((void *)word, FUTEX_WAIT, 0, &pause);
		is_over = __atomic_load_n(word, __ATOMIC_ACQUIRE) == 0 && has_ended(child);
	}
	/* Read again: the child may have set the word just before its end. */
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}
