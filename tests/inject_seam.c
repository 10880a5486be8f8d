/* SPDX-License-Identifier: BSD-3-Clause */
/* inject_seam.c: in a library made for tests, system calls that fail: the linker's
 * --wrap puts this before libc's functions, for the library's own calls and for those
 * of the jemalloc inside. INJECT names a file with a struct inject. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "inject.h"
#include "os.h"

#define DECLARE(how, type, name, parameters, arguments) \
	type __real_##name parameters; \
	type __wrap_##name parameters;
INJECT_CALLS(DECLARE)

static struct inject *inject;

/* The first call comes before there are threads, and before libc is set up. */
static bool
is_open(void)
{
	static bool is_tried;
	const char *path;
	void *map;
	int fd;

	if (is_tried)
		return inject != NULL;
	is_tried = true;
	path = vmm_os_getenv("INJECT");
	fd = path == NULL ? -1 : __real_open(path, O_RDWR | O_CLOEXEC, 0);
	if (fd < 0)
		return false;
	map = __real_mmap(NULL, sizeof(*inject), PROT_READ | PROT_WRITE,
	    MAP_SHARED, fd, 0);
	__real_close(fd);
	inject = map == MAP_FAILED ? NULL : map;
	return inject != NULL;
}

/* 0, or what this call is to fail with. */
static int
error_for(enum inject_call call)
{
	unsigned number;

	if (!is_open())
		return 0;
	number = __atomic_add_fetch(&inject->counts[call], 1, __ATOMIC_RELAXED);
	if (call != inject->call || inject->nth == 0 || number < inject->nth ||
	    (number > inject->nth && !inject->is_lasting))
		return 0;
	inject->injected++;
	inject->by = (pid_t)__real_syscall(SYS_getpid, 0, 0, 0, 0, 0);
	inject->was_started = inject->is_started;
	return inject->error;
}

/* A call that is to be made; or, where it is not, errno is set. */
static bool
is_made(enum inject_call call)
{
	int error = error_for(call);

	if (error != 0)
		errno = error;
	return error == 0;
}

#define WRAP_PLAIN(type, name, parameters, arguments) \
	type __wrap_##name parameters \
	{ \
		return is_made(INJECT_##name) ? __real_##name arguments \
					      : (type)-1; \
	}
#define WRAP_DONE(type, name, parameters, arguments) \
	type __wrap_##name parameters \
	{ \
		type result = __real_##name arguments; \
		return is_made(INJECT_##name) ? result : (type)-1; \
	}
#define WRAP_SHORT(type, name, parameters, arguments) \
	type __wrap_##name parameters \
	{ \
		int error = error_for(INJECT_##name); \
		if (error == INJECT_SHORT) \
			size = (size + 1) / 2; \
		else if (error != 0) \
			errno = error; \
		return error > 0 ? (type)-1 : __real_##name arguments; \
	}
#define WRAP_OPEN(type, name, parameters, arguments) \
	type __wrap_##name parameters \
	{ \
		if (is_open() && inject->has_no_tmpfile && \
		    (flags & O_TMPFILE) == O_TMPFILE) { \
			errno = EOPNOTSUPP; \
			return -1; \
		} \
		return is_made(INJECT_##name) ? __real_##name arguments : -1; \
	}
#define WRAP(how, type, name, parameters, arguments) \
	WRAP_##how(type, name, parameters, arguments)
/* Functions of any number of arguments have as many here as the library ever gives. */
INJECT_CALLS(WRAP)
