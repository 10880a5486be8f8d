/* SPDX-License-Identifier: BSD-3-Clause */
/* linux.c: os.h's questions about the process, answered with Linux calls. */
#include "config.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <time.h>
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

	/* More CPUs than the set holds: EINVAL, and the exact number hardly matters. */
	if (vmm_sys.sched_getaffinity(0, sizeof(set), &set) != 0)
		return CPU_SETSIZE;
	return (unsigned)CPU_COUNT(&set);
}

/*
 * libc sets `environ` in its own constructor, but the dynamic linker may allocate
 * before. The kernel has laid the environment out behind the argument vector
 * (x86-64 psABI, "Initial Stack and Register State"; the same on every Linux).
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
		if (strncmp(*variable, name, length) == 0 &&
		    (*variable)[length] == '=')
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

void *
vmm_os_mmap(void *address, size_t size, int protection, int flags, int fd,
    off_t offset)
{
	return vmm_sys.mmap(address, size, protection, flags, fd, offset);
}

int
vmm_os_munmap(void *address, size_t size)
{
	return vmm_sys.munmap(address, size);
}

int
vmm_os_madvise(void *address, size_t size, int advice)
{
	return vmm_sys.madvise(address, size, advice);
}

int
vmm_os_mprotect(void *address, size_t size, int protection)
{
	return vmm_sys.mprotect(address, size, protection);
}

int
vmm_os_clock_gettime(clockid_t clock, struct timespec *time)
{
	return vmm_sys.clock_gettime(clock, time);
}

int
vmm_os_map_plain(size_t size, void **address)
{
	void *map = vmm_sys.mmap(NULL, size, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (map == MAP_FAILED)
		return errno;
	*address = map;
	return 0;
}

int
vmm_os_path_absolute(const char *path, char *absolute, size_t size)
{
	size_t length = 0;

	if (path[0] != '/') {
		/* getcwd(3) allocates where this says "(unreachable)". */
		if (vmm_sys.getcwd(absolute, size) < 0)
			return errno == ERANGE ? ENAMETOOLONG : errno;
		if (absolute[0] != '/')
			return ENOENT;
		length = strlen(absolute);
		absolute[length++] = '/';
	}
	if (strlen(path) >= size - length)
		return ENAMETOOLONG;
	strcpy(absolute + length, path);
	return 0;
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
vmm_os_own_make(volatile unsigned char **own)
{
	size_t size = vmm_os_page_size();
	void *page = NULL;
	int error = vmm_os_map_plain(size, &page);

	if (error != 0)
		return error;
#ifdef MADV_WIPEONFORK
	/* Where this fails the mark stays in the child, and nothing is noticed. */
	vmm_sys.madvise(page, size, MADV_WIPEONFORK);
#endif
	*own = page;
	/* The analyzer takes it that an errno may be 0. */
	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
	**own = 1;
	return 0;
}

/* What comes after the library by that name; looked up once, by whom it may be. */
static void *
next_function(void **known, const char *name)
{
	void *function = __atomic_load_n(known, __ATOMIC_RELAXED);

	if (function == NULL) {
		function = dlsym(RTLD_NEXT, name);
		__atomic_store_n(known, function, __ATOMIC_RELAXED);
	}
	return function;
}

int
vmm_os_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void),
    void *library)
{
	static void *known;
	int (*next)(void (*)(void), void (*)(void), void (*)(void), void *);

	*(void **)&next = next_function(&known, "__register_atfork");
	/* Behind libc (entry/start.c). */
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
	static void *known;
	void *(*next)(const char *, int);

	*(void **)&next = next_function(&known, "dlopen");
	return next == NULL ? no_dlopen : next;
}

/* Exported by glibc since 2.2, and in no header; another libc may not have them. */
extern void _IO_list_lock(void) __attribute__((weak));
extern void _IO_list_unlock(void) __attribute__((weak));
extern void _IO_list_resetlock(void) __attribute__((weak));

void
vmm_os_files_lock(void)
{
	if (_IO_list_lock != NULL)
		_IO_list_lock();
}

void
vmm_os_files_unlock(void)
{
	if (_IO_list_unlock != NULL)
		_IO_list_unlock();
}

void
vmm_os_files_reset(void)
{
	if (_IO_list_resetlock != NULL)
		_IO_list_resetlock();
}

pid_t
vmm_os_fork(void)
{
	static void *known;
	pid_t (*next)(void);

	/* At the call: others may fork before our constructor has run. */
	*(void **)&next = next_function(&known, "fork");
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
