/* SPDX-License-Identifier: BSD-3-Clause */
/* linux_process.c: the process, its time, and libc's functions for fork(2), on Linux. */
#include "config.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

#include "os/linux_sys.h"
#include "os/os.h"

size_t
vmm_os_page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

unsigned
vmm_os_cpu_count(void)
{
	cpu_set_t set;

	/* EINVAL: there are more CPUs than CPU_SETSIZE; the exact number hardly matters. */
	if (vmm_sys.sched_getaffinity(0, sizeof(set), &set) != 0)
		return CPU_SETSIZE;
	return (unsigned)CPU_COUNT(&set);
}

/*
 * libc sets `environ` in its constructor, but the dynamic linker may allocate earlier. The
 * kernel puts the environment behind the argument vector (x86-64 psABI, "Initial Stack and
 * Register State"; other architectures do the same).
 */
static char **
early_environ(void)
{
	extern void *__libc_stack_end __attribute__((weak));
	long *stack;

	if (&__libc_stack_end == NULL || __libc_stack_end == NULL)
		return NULL;
	stack = __libc_stack_end;
	return (char **)(stack + 1 + stack[0] + 1);
}

const char *
vmm_os_getenv(const char *name)
{
	char **variable = environ;
	size_t length = strlen(name);

	if (getauxval(AT_SECURE) != 0)
		return NULL;
	if (variable == NULL)
		variable = early_environ();
	for (; variable != NULL && *variable != NULL; variable++) {
		if (strncmp(*variable, name, length) == 0 && (*variable)[length] == '=')
			return *variable + length + 1;
	}
	return NULL;
}

_Noreturn void
vmm_os_exit(int status)
{
	_exit(status);
}

_Noreturn void
vmm_os_abort(void)
{
	abort();
}

int
vmm_os_clock_gettime(clockid_t clock, struct timespec *time)
{
	return vmm_sys.clock_gettime(clock, time);
}

void
vmm_os_signals_block(sigset_t *saved)
{
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, saved);
}

void
vmm_os_signals_restore(const sigset_t *saved)
{
	pthread_sigmask(SIG_SETMASK, saved, NULL);
}

uint64_t
vmm_os_now_us(void)
{
	struct timespec now;

	vmm_sys.clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

pid_t
vmm_os_process(void)
{
	return vmm_sys.getpid();
}

pid_t
vmm_os_thread(void)
{
	return vmm_sys.gettid();
}

void
vmm_os_yield(void)
{
	vmm_sys.sched_yield();
}

void
vmm_os_pause(void)
{
	struct timespec pause = { 0, 20000 };

	vmm_sys.nanosleep(&pause, NULL);
}

int
vmm_os_process_mark_make(volatile unsigned char **own)
{
	size_t size = vmm_os_page_size();
	void *page = NULL;
	int error = vmm_os_map_plain(size, &page);

	if (error != 0)
		return error;
#ifdef MADV_WIPEONFORK
	/* If this fails, a copy keeps the 1 and does not know that it is a copy. */
	vmm_sys.madvise(page, size, MADV_WIPEONFORK);
#endif
	*own = page;
	**own = 1;
	return 0;
}

/* Returns the next function of that name after the library's, or NULL. Keeps it in *cached. */
static void *
next_function(void **cached, const char *name)
{
	void *function = __atomic_load_n(cached, __ATOMIC_RELAXED);

	if (function == NULL) {
		function = dlsym(RTLD_NEXT, name);
		__atomic_store_n(cached, function, __ATOMIC_RELAXED);
	}
	return function;
}

int
vmm_os_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void),
    void *library)
{
	static void *cached;
	int (*next)(void (*)(void), void (*)(void), void (*)(void), void *);

	*(void **)&next = next_function(&cached, "__register_atfork");
	/* There is no next one if the library comes after libc (entry/start.c). */
	if (next == NULL)
		*(void **)&next = dlsym(RTLD_DEFAULT, "__register_atfork");
	return next == NULL ? ENOSYS : next(prepare, parent, child, library);
}

static void *
no_dlopen(const char *file, int mode)
{
	(void)file;
	(void)mode;
	return NULL;
}

void *(*vmm_os_dlopen(void))(const char *file, int mode)
{
	static void *cached;
	void *(*next)(const char *, int);

	*(void **)&next = next_function(&cached, "dlopen");
	return next == NULL ? no_dlopen : next;
}

/* glibc has exported these since 2.2, without a header. Another libc may lack them. */
extern void _IO_list_lock(void) __attribute__((weak));
extern void _IO_list_unlock(void) __attribute__((weak));
extern void _IO_list_resetlock(void) __attribute__((weak));

void
vmm_os_stdio_lock(void)
{
	if (_IO_list_lock != NULL)
		_IO_list_lock();
}

void
vmm_os_stdio_unlock(void)
{
	if (_IO_list_unlock != NULL)
		_IO_list_unlock();
}

void
vmm_os_stdio_reset(void)
{
	if (_IO_list_resetlock != NULL)
		_IO_list_resetlock();
}

pid_t
vmm_os_fork(void)
{
	static void *cached;
	pid_t (*next)(void);

	/* Looked up here: a program may fork before the library's constructor has run. */
	*(void **)&next = next_function(&cached, "fork");
	if (next == NULL) {
		errno = ENOSYS;
		return -1;
	}
	return next();
}

void
vmm_os_reap(pid_t child)
{
	while (vmm_sys.waitpid(child, NULL, 0) < 0 && errno == EINTR)
		;
}
