/* SPDX-License-Identifier: BSD-3-Clause */
/* waits_ipc.c: part of the program waits: calls that wait for other threads and
 * processes, or for asynchronous I/O. */
#include "config.h"

#include <errno.h>
#include <linux/aio_abi.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "waits_calls.h"

#define KEYS 64 /* for each process that runs cases */

/* The key depends on the process that runs the cases: it removes the objects they leave. */
static key_t
key_of(pid_t runner, int number)
{
	return (key_t)(0x56000000 + runner % 65536 * KEYS + number);
}

static void
remove_objects(key_t key)
{
	int semaphores = semget(key, 0, 0), queue = msgget(key, 0);

	if (semaphores >= 0)
		semctl(semaphores, 0, IPC_RMID);
	if (queue >= 0)
		msgctl(queue, IPC_RMID, NULL);
}

void
calls_clean_up(void)
{
	for (int number = 0; number < KEYS; number++)
		remove_objects(key_of(getpid(), number));
}

/*
 * System V
 */

static int
open_semaphore(struct waiter *waiter)
{
	key_t key = key_of(getppid(), waiter->number);

	remove_objects(key);
	waiter->fd[0] = semget(key, 1, IPC_CREAT | IPC_EXCL | 0600);
	return waiter->fd[0] >= 0;
}

static void
feed_semaphore(struct waiter *waiter)
{
	struct sembuf up = { 0, 1, 0 };

	semop(waiter->fd[0], &up, 1);
}

/* semop(2) returns 0 for success, which calls_outcome takes for a timeout. */
static enum outcome
wait_semaphore(struct waiter *waiter)
{
	struct sembuf *down = (struct sembuf *)(waiter->heap + 64);
	int got;

	*down = (struct sembuf){ 0, -1, 0 };
	got = waiter->call->timeout_ms < 0
	    ? semop(waiter->fd[0], down, 1)
	    : semtimedop(waiter->fd[0], down, 1, calls_timeout(waiter));
	return calls_outcome(got == 0 ? 1 : got, EAGAIN);
}

struct message {
	long type;
	unsigned char value;
};

static int
open_queue(struct waiter *waiter)
{
	key_t key = key_of(getppid(), waiter->number);

	remove_objects(key);
	waiter->fd[0] = msgget(key, IPC_CREAT | IPC_EXCL | 0600);
	return waiter->fd[0] >= 0;
}

static void
feed_queue(struct waiter *waiter)
{
	struct message message = { 1, waiter->fed };

	msgsnd(waiter->fd[0], &message, 1, 0);
}

static enum outcome
wait_queue(struct waiter *waiter)
{
	struct message *message = (struct message *)(waiter->heap + 64);
	ssize_t got = msgrcv(waiter->fd[0], message, 1, 0, 0);

	waiter->heap[0] = message->value;
	return calls_take_byte(waiter, got, 0);
}

/*
 * Sockets
 */

static int
open_sockets(struct waiter *waiter)
{
	int ms = waiter->call->timeout_ms;
	struct timeval time = { ms / 1000, ms % 1000 * 1000L };

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, waiter->fd) != 0)
		return 0;
	return ms < 0 || setsockopt(waiter->fd[0], SOL_SOCKET, SO_RCVTIMEO, &time,
	    sizeof(time)) == 0;
}

static void
feed_socket(struct waiter *waiter)
{
	if (send(waiter->fd[1], &waiter->fed, 1, 0) != 1)
		_exit(99);
}

static enum outcome
wait_recv(struct waiter *waiter)
{
	return calls_take_byte(waiter, recv(waiter->fd[0], waiter->heap, 1, 0),
	    EAGAIN);
}

/* An abstract name, which is not in the file system (unix(7)). */
static socklen_t
name_socket(const struct waiter *waiter, struct sockaddr_un *name)
{
	memset(name, 0, sizeof(*name));
	name->sun_family = AF_UNIX;
	snprintf(name->sun_path + 1, sizeof(name->sun_path) - 1,
	    "waits.%d.%d", (int)getpid(), waiter->number);
	return sizeof(*name);
}

static int
open_listener(struct waiter *waiter)
{
	struct sockaddr_un name;
	socklen_t length = name_socket(waiter, &name);

	waiter->fd[0] = socket(AF_UNIX, SOCK_STREAM, 0);
	return waiter->fd[0] >= 0 &&
	    bind(waiter->fd[0], (struct sockaddr *)&name, length) == 0 &&
	    listen(waiter->fd[0], 4) == 0;
}

static void
feed_listener(struct waiter *waiter)
{
	struct sockaddr_un name;
	socklen_t length = name_socket(waiter, &name);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	if (connect(fd, (struct sockaddr *)&name, length) != 0 ||
	    write(fd, &waiter->fed, 1) != 1)
		_exit(99);
	close(fd);
}

static enum outcome
wait_accept(struct waiter *waiter)
{
	int fd = accept(waiter->fd[0], NULL, NULL);
	enum outcome outcome;

	if (fd < 0)
		return WAIT_FAILED;
	outcome = calls_take_byte(waiter, read(fd, waiter->heap, 1), 0);
	close(fd);
	return outcome;
}

/*
 * A file that changes
 */

static int
open_inotify(struct waiter *waiter)
{
	char name[] = "/tmp/fork_waitsXXXXXX", path[64];
	int is_watched;

	waiter->fd[0] = inotify_init1(0);
	waiter->fd[1] = mkstemp(name);
	if (waiter->fd[0] < 0 || waiter->fd[1] < 0)
		return 0;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", waiter->fd[1]);
	is_watched = inotify_add_watch(waiter->fd[0], path, IN_MODIFY) >= 0;
	unlink(name);
	return is_watched;
}

static void
feed_file(struct waiter *waiter)
{
	if (pwrite(waiter->fd[1], &waiter->fed, 1, 0) != 1)
		_exit(99);
}

static enum outcome
wait_inotify(struct waiter *waiter)
{
	struct inotify_event *event = (struct inotify_event *)(waiter->heap + 64);
	ssize_t got = read(waiter->fd[0], event, 256);

	if (got < (ssize_t)sizeof(*event))
		return WAIT_FAILED;
	if (event->mask & IN_IGNORED || !(event->mask & IN_MODIFY))
		return WAIT_WRONG;
	return calls_take_byte(waiter, pread(waiter->fd[1], waiter->heap, 1, 0), 0);
}

const struct call calls_ipc[] = {
	{ "semop", -1, open_semaphore, wait_semaphore, feed_semaphore, 1 },
	{ "semtimedop, 20 ms", 20, open_semaphore, wait_semaphore, NULL, 0 },
	{ "semtimedop, 5000 ms", 5000, open_semaphore, wait_semaphore,
	    feed_semaphore, 1 },
	{ "msgrcv", -1, open_queue, wait_queue, feed_queue, 1 },
	{ "recv", -1, open_sockets, wait_recv, feed_socket, 1 },
	{ "recv, 20 ms", 20, open_sockets, wait_recv, NULL, 0 },
	{ "recv, 5000 ms", 5000, open_sockets, wait_recv, feed_socket, 1 },
	{ "accept", -1, open_listener, wait_accept, feed_listener, 1 },
	{ "read of inotify", -1, open_inotify, wait_inotify, feed_file, 1 },
	{ NULL, 0, NULL, NULL, NULL, 0 },
};

/*
 * Asynchronous I/O: a process that has any keeps its heap private
 */

static int
open_aio(struct waiter *waiter)
{
	aio_context_t context = 0;

	waiter->fd[0] = memfd_create("aio", MFD_CLOEXEC);
	if (waiter->fd[0] < 0 || ftruncate(waiter->fd[0], 1) != 0 ||
	    syscall(SYS_io_setup, 8, &context) != 0)
		return 0;
	waiter->context = context;
	return 1;
}

static void
feed_aio(struct waiter *waiter)
{
	struct iocb *block = (struct iocb *)(waiter->heap + 512);

	memset(block, 0, sizeof(*block));
	block->aio_data = waiter->fed;
	block->aio_fildes = (unsigned)waiter->fd[0];
	block->aio_lio_opcode = IOCB_CMD_PREAD;
	block->aio_buf = (unsigned long)(waiter->heap + 768);
	block->aio_nbytes = 1;
	if (syscall(SYS_io_submit, waiter->context, 1, &block) != 1)
		_exit(99);
}

static enum outcome
wait_aio(struct waiter *waiter)
{
	struct io_event *event = (struct io_event *)(waiter->heap + 64);
	long got = syscall(SYS_io_getevents, waiter->context, 1, 1, event,
	    calls_timeout(waiter));

	waiter->heap[0] = (unsigned char)event->data;
	return calls_take_byte(waiter, got, 0);
}

const struct call calls_aio[] = {
	{ "io_getevents", -1, open_aio, wait_aio, feed_aio, 1 },
	{ "io_getevents, 20 ms", 20, open_aio, wait_aio, NULL, 0 },
	{ "io_getevents, 5000 ms", 5000, open_aio, wait_aio, feed_aio, 1 },
	{ NULL, 0, NULL, NULL, NULL, 0 },
};
