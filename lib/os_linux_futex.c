/* SPDX-License-Identifier: BSD-3-Clause */
/* os_linux_futex.c: threads that wait, and processes that wait for each other, on Linux. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "os.h"
#include "text.h"

/* How often a parent looks whether the child that it waits for still lives. */
#define LOOK_NS 20000000

/* Takes a number off a line of /proc/PID/syscall (proc(5)). */
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
	return number == SYS_futex;
}

/*
 * The address that a thread waits on, if the futex is not private to the process: such a
 * one goes by what is mapped there (futex(2)). 0 for anything else.
 */
static uintptr_t
waits_on(int tasks, const char *task)
{
	struct vmm_text path;
	char call[256];
	char *at = call;
	unsigned long number, address, operation;
	ssize_t got;
	int fd;

	vmm_text_clear(&path);
	vmm_text_str(&path, task);
	vmm_text_str(&path, "/syscall");
	fd = openat(tasks, path.data, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	got = read(fd, call, sizeof(call) - 1);
	close(fd);
	call[got < 0 ? 0 : got] = '\0';
	if (!next_number(&at, 10, &number) || !is_futex_call(number) ||
	    !next_number(&at, 16, &address) || !next_number(&at, 16, &operation) ||
	    (operation & FUTEX_PRIVATE_FLAG) != 0)
		return 0;
	return (uintptr_t)address;
}

size_t
vmm_os_futex_waits(const void *base, size_t size, uintptr_t *addresses, size_t max)
{
	VMM_LOG_ENTER();
	struct {
		uint64_t inode;
		int64_t offset;
		unsigned short length;
		unsigned char type;
		char name[];
	} *entry;
	_Alignas(8) char buffer[4096];
	size_t count = 0;
	struct stat stat;
	long got;
	int tasks = open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (tasks < 0)
		return 0;
	/* With one thread there is nobody who waits. */
	if (fstat(tasks, &stat) == 0 && stat.st_nlink == 3)
		goto done;
	while ((got = syscall(SYS_getdents64, tasks, buffer, sizeof(buffer))) > 0) {
		for (long at = 0; at < got; at += entry->length) {
			uintptr_t address;

			entry = (void *)(buffer + at);
			if (entry->name[0] == '.')
				continue;
			address = waits_on(tasks, entry->name);
			if (address - (uintptr_t)base >= size)
				continue;
			if (count < max)
				addresses[count] = address;
			count++;
		}
	}
done:
	close(tasks);
	return count;
}

void
vmm_os_futex_wake_file(const struct vmm_os_file *file, size_t offset)
{
	VMM_LOG_ENTER();
	size_t page_size = vmm_os_page_size();
	char *page = mmap(NULL, page_size, PROT_READ | PROT_WRITE, MAP_SHARED,
	    file->fd, (off_t)(offset / page_size * page_size));

	if (page == MAP_FAILED)
		return;
	syscall(SYS_futex, page + offset % page_size, FUTEX_WAKE, INT_MAX, NULL,
	    NULL, 0);
	munmap(page, page_size);
}

void
vmm_os_word_set(unsigned *word, unsigned value)
{
	VMM_LOG_ENTER();
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
	syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

/* Whether the child has ended; leaves it to the program to wait for. */
static bool
has_ended(pid_t child)
{
	siginfo_t info = { 0 };

	return waitid(P_PID, (id_t)child, &info, WEXITED | WNOHANG | WNOWAIT) != 0
	    ? errno == ECHILD : info.si_pid == child;
}

unsigned
vmm_os_word_await(const unsigned *word, pid_t child)
{
	VMM_LOG_ENTER();
	const struct timespec pause = { 0, LOOK_NS };
	unsigned value;
	bool is_over = false;

	while ((value = __atomic_load_n(word, __ATOMIC_ACQUIRE)) == 0 && !is_over) {
		syscall(SYS_futex, word, FUTEX_WAIT, 0, &pause, NULL, 0);
		/* What it has said before its end counts. */
		is_over = __atomic_load_n(word, __ATOMIC_ACQUIRE) == 0 &&
		    has_ended(child);
	}
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}
