/* SPDX-License-Identifier: BSD-3-Clause */
/* limits_roots.c: programs that change or lose their root, namespaces or directory. */
#include "config.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
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

/* Without its descriptor the heap is copied at the first fork, here without /proc. */
void
change_root_closed(const char *dir)
{
	for (int fd = 3; fd < 1024; fd++)
		close(fd);
	if (chroot(dir) != 0 || chdir("/") != 0)
		exit(99);
	check_heap(ENOENT, "in another root");
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
