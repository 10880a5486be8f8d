/* SPDX-License-Identifier: BSD-3-Clause */
/* log_file.c: writes the lines of the trace to stderr or to VMMALLOC_LOG_FILE. */
#include "config.h"

#include "trace/log.h"

#ifdef VMMALLOC_DEBUG

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "os/os.h"

#define PROCESS_DIGITS 20

/*
 * VMMALLOC_LOG_FILE. If its name has the process ID, each child opens a file of its own. If
 * the program has closed the descriptor, as daemons do, the file is opened again. Both are
 * checked before each line, because some children are created without running handlers
 * (clone(2)).
 */
static struct {
	char path[PATH_MAX + PROCESS_DIGITS]; /* absolute */
	size_t length;     /* of the path without a process ID; 0: no file, write to stderr */
	int program_fd;    /* the program's descriptor, if the path names one, or -1 */
	bool has_process;  /* the process ID is appended to the path */
	pid_t process;     /* the process whose file is open */
	pid_t locker;      /* the process that holds the lock, 0 for none */
	struct vmm_os_file file;
} target = { .program_fd = -1, .file = { .fd = -1 } };

static struct {
	bool is_kept; /* vmm_log_keep_stderr was called */
	struct vmm_os_file file;
} own_stderr;

/* This thread is writing a line. */
static __thread volatile bool is_writing __attribute__((tls_model("initial-exec")));

/*
 * Not a mutex: a child of fork(2) inherits the lock taken, but not the thread that took
 * it. A lock that holds the ID of another process is free.
 */
static void
lock(void)
{
	pid_t self = vmm_os_process();
	pid_t seen = 0;

	while (!__atomic_compare_exchange_n(&target.locker, &seen, self, false,
	    __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
		if (seen == self) {
			seen = 0;
			vmm_os_yield();
		}
	}
}

static void
unlock(void)
{
	__atomic_store_n(&target.locker, 0, __ATOMIC_RELEASE);
}

static int
open_file(void)
{
	struct vmm_text process;

	target.process = vmm_os_process();
	vmm_text_clear(&process);
	if (target.has_process)
		vmm_text_uint(&process, (uint64_t)target.process);
	strcpy(target.path + target.length, process.data);
	return vmm_os_log_open(target.path, &target.file);
}

/* Opens the file if it is closed or belongs to the parent. False if that fails. */
static bool
ensure_open(void)
{
	bool is_own = vmm_os_file_is_open(&target.file);

	if (is_own && (!target.has_process || target.process == vmm_os_process()))
		return true;
	/* Closes only a descriptor that still refers to the file. */
	vmm_os_file_close(&target.file, NULL, 0);
	return open_file() == 0;
}

int
vmm_log_open(const char *name)
{
	int error = vmm_os_path_absolute(name, target.path, PATH_MAX);

	target.program_fd = error == 0 ? vmm_os_path_to_fd(target.path) : -1;
	if (target.program_fd >= 0) {
		target.length = strlen(target.path);
		error = vmm_os_fd_duplicate(target.program_fd, &target.file);
		/* /dev/stderr, and it is closed: no error. The lines are lost, as by default. */
		if (error == EBADF && target.program_fd == STDERR_FILENO)
			error = 0;
	} else if (error == 0) {
		target.length = strlen(target.path);
		target.has_process = target.path[target.length - 1] == '-';
		error = open_file();
	}
	if (error != 0)
		target.length = 0;
	return error;
}

void
vmm_log_in_child(void)
{
	target.process = 0;
	__atomic_store_n(&target.locker, 0, __ATOMIC_RELEASE);
}

void
vmm_log_keep_stderr(void)
{
	own_stderr.is_kept = true;
	/* If stderr is closed already, lines to it are lost. */
	vmm_os_fd_duplicate(STDERR_FILENO, &own_stderr.file);
}

static void
write_file(const char *data, size_t length)
{
	if (target.program_fd >= 0) {
		vmm_os_fd_write(&target.file, target.program_fd, data, length);
		return;
	}
	/* A signal handler that forks has interrupted this thread, which may hold the lock. */
	if (is_writing) {
		if (vmm_os_file_is_open(&target.file))
			vmm_os_log_write(&target.file, data, length);
		return;
	}
	is_writing = true;
	lock();
	if (ensure_open())
		vmm_os_log_write(&target.file, data, length);
	unlock();
	is_writing = false;
}

static void
write_stderr(const char *data, size_t length)
{
	if (own_stderr.is_kept)
		vmm_os_fd_write(&own_stderr.file, STDERR_FILENO, data, length);
	else
		vmm_os_write_error(data, length);
}

void
vmm_log_report(const char *data, size_t length)
{
	write_stderr(data, length);
	if (target.length != 0)
		write_file(data, length);
}

void
vmm_log_write(const char *data, size_t length)
{
	if (target.length != 0)
		write_file(data, length);
	else
		write_stderr(data, length);
}

#endif
