/* SPDX-License-Identifier: BSD-3-Clause */
/* limits_roots.c: part of the program limits: acts like programs that change or lose
 * their root, their namespaces, /proc or the pool's directory. */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "limits.h"

void
change_root(const char *dir)
{
	check_heap(0, "before chroot");
	if (chroot(dir) != 0 || chdir("/") != 0)
		exit(99);
	check_heap(ENOENT, "in another root");
}

/* Closes the pool file and enters a root without /proc. The first fork copies the heap. */
static void
close_and_change_root(const char *dir)
{
	for (int fd = 3; fd < 1024; fd++)
		close(fd);
	if (chroot(dir) != 0 || chdir("/") != 0)
		exit(99);
}

void
change_root_closed(const char *dir)
{
	void *block;

	/* Without /proc the library cannot know that this page cannot be read. */
	if (posix_memalign(&block, 4096, 1 << 20) != 0 ||
	    mprotect((char *)memset(block, 1, 1 << 20) + 8192, 4096, PROT_NONE) != 0)
		exit(99);
	close_and_change_root(dir);
	check_heap(ENOENT, "in another root");
}

/* A block of the heap in which one thread counts, while the heap leaves and returns. */
#define COUNTED_BYTES ((size_t)8 << 20)
#define COUNTED (COUNTED_BYTES / sizeof(unsigned))
#define COUNTED_STEP 16

static volatile unsigned *counted;
static int counting_is_over, counting_has_ended;
static unsigned rounds_counted;
static unsigned long stores_lost;

/* Adds 1 to many words, again and again. Each must have the value of the round before. */
static void
count_until_over(void)
{
	unsigned value = 0;

	while (!__atomic_load_n(&counting_is_over, __ATOMIC_ACQUIRE)) {
		for (size_t i = 0; i < COUNTED; i += COUNTED_STEP) {
			stores_lost += counted[i] != value;
			counted[i] = value + 1;
		}
		value++;
		__atomic_store_n(&rounds_counted, value, __ATOMIC_RELEASE);
	}
	for (size_t i = 0; i < COUNTED; i += COUNTED_STEP)
		stores_lost += counted[i] != value;
}

static void
wait_for_rounds(unsigned rounds)
{
	unsigned until = __atomic_load_n(&rounds_counted, __ATOMIC_ACQUIRE) + rounds;

	while (__atomic_load_n(&rounds_counted, __ATOMIC_ACQUIRE) < until)
		sched_yield();
}

static void
make_counted(void)
{
	void *block;

	if (posix_memalign(&block, 4096, COUNTED_BYTES) != 0)
		exit(99);
	counted = memset(block, 0, COUNTED_BYTES);
}

static int
count_in_raw_thread(void *argument)
{
	(void)argument;
	count_until_over();
	__atomic_store_n(&counting_has_ended, 1, __ATOMIC_RELEASE);
	/* exit(3) would end the process, and with old versions of glibc a return, too. */
	syscall(SYS_exit, 0);
	return 0;
}

void
change_root_raw(const char *dir)
{
	_Alignas(16) static char stack[65536];
	pid_t pid;

	make_counted();
	close_and_change_root(dir);
	if (clone(count_in_raw_thread, stack + sizeof(stack), CLONE_VM | CLONE_FS |
		CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM, NULL) < 0)
		exit(99);
	wait_for_rounds(5);
	pid = fork();
	if (pid == 0)
		_exit(0);
	printf("# fork %s\n", pid < 0 ? strerror(errno) : "succeeds");
	if (pid > 0)
		child_succeeds(pid);
	wait_for_rounds(5);
	__atomic_store_n(&counting_is_over, 1, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&counting_has_ended, __ATOMIC_ACQUIRE))
		sched_yield();
	tap_result(stores_lost == 0, "no store of a thread that libc does not know is lost");
	/* exit(3) would call libc's handlers, which know nothing of such threads either. */
	printf("1..1\n");
	fflush(stdout);
	_exit(stores_lost != 0);
}

static int
enter_own_directory(void *argument)
{
	(void)argument;
	return chroot("/proc/self/fdinfo") != 0 || chdir("/") != 0;
}

/*
 * Sandboxes that want an empty root take the directory in /proc of a process that has
 * ended. The first fork comes after that.
 */
void
lose_root(const char *unused)
{
	_Alignas(16) static char stack[65536];
	int status = -1;
	pid_t child = clone(enter_own_directory, stack + sizeof(stack),
	    CLONE_FS | CLONE_VM | CLONE_VFORK | SIGCHLD, NULL);

	(void)unused;
	if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
		exit(99);
	check_heap(ESRCH, "in a root that is gone");
}

void
leave_namespaces(const char *unused)
{
	(void)unused;
	check_heap(0, "before unshare");
	/* Children are in the new process namespace. The first child is its init. */
	if (unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC) != 0)
		exit(99);
	check_heap(0, "in new namespaces");
}

static void *
wait_until_over(void *argument)
{
	while (!__atomic_load_n(&counting_is_over, __ATOMIC_ACQUIRE))
		usleep(1000);
	return argument;
}

/* Enters a new process namespace beside a thread. Because of the mprotect(2), fork wants to
 * stop this thread by a helper process. */
void
leave_namespace_beside(const char *unused)
{
	pthread_t thread;
	void *block;

	(void)unused;
	if (posix_memalign(&block, 4096, 1 << 20) != 0 ||
	    mprotect(memset(block, 1, 1 << 20), 4096, PROT_NONE) != 0 ||
	    pthread_create(&thread, NULL, wait_until_over, NULL) != 0)
		exit(99);
	check_heap(0, "before unshare");
	if (unshare(CLONE_NEWPID) != 0)
		exit(99);
	check_heap(0, "in a new process namespace");
	__atomic_store_n(&counting_is_over, 1, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
}

/*
 * /proc of an outer process namespace lists each thread by its outer ID. In this namespace
 * the same number may be the ID of another thread or process.
 */
#define OUTER_FORKS 30
#define OUTER_ALLOCATIONS 40

static void *
fork_and_allocate(void *argument)
{
	pid_t sleeper = fork();

	/* After execve(2) the child no longer needs the pool file, so the heap can return. */
	if (sleeper == 0) {
		execlp("sleep", "sleep", "60", NULL);
		_exit(99);
	}
	for (int i = 0; i < OUTER_FORKS; i++) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(0);
		child_succeeds(pid);
		for (int n = 0; n < OUTER_ALLOCATIONS; n++) {
			char *one = malloc(200000 + (size_t)n * 4096), *two = malloc(1 << 21);

			if (one != NULL)
				memset(one, 1, 4096);
			free(one);
			free(two);
			usleep(300);
		}
	}
	kill(sleeper, SIGKILL);
	waitpid(sleeper, NULL, 0);
	__atomic_store_n(&counting_is_over, 1, __ATOMIC_RELEASE);
	return argument;
}

void
count_in_outer_proc(const char *unused)
{
	pthread_t forking, waiting;

	(void)unused;
	make_counted();
	if (pthread_create(&forking, NULL, fork_and_allocate, NULL) != 0 ||
	    pthread_create(&waiting, NULL, wait_until_over, NULL) != 0)
		exit(99);
	count_until_over();
	pthread_join(forking, NULL);
	pthread_join(waiting, NULL);
	tap_result(stores_lost == 0, "no store is lost");
}

void
lose_proc(const char *unused)
{
	(void)unused;
	check_heap(0, "with /proc");
	if (unshare(CLONE_NEWNS) != 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
	    umount2("/proc", MNT_DETACH) != 0)
		exit(99);
	check_heap(0, "without /proc");
}

void
lose_directory(const char *dir)
{
	tap_result(rmdir(dir) == 0, "the pool's directory is removed");
	check_heap(ENOENT, "directory removed");
}
