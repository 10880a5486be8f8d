/* SPDX-License-Identifier: BSD-3-Clause */
/* without_mbind.c: a program that forbids itself mbind(2) after its start. Run with the library
 * preloaded and VMMALLOC_NUMA set. The exit status is 0 if its heap still grows, and fork(2)
 * works as before; 77 if seccomp(2) is not possible. */
#include "config.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../support/blocks.h"

#define NBLOCKS 300
#define BLOCK_BYTES 60000

static int
forbid_mbind(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mbind, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(filter) / sizeof(filter[0]), filter };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0;
}

int
main(void)
{
	pid_t child;

	if (!forbid_mbind())
		return 77;
	blocks_set(NBLOCKS, BLOCK_BYTES);
	if (!blocks_write('p'))
		return 2;
	child = fork();
	if (child == 0) {
		int is_good = blocks_are('p');

		blocks_free();
		_exit(!(is_good && blocks_write('c') && blocks_are('c')));
	}
	if (child < 0)
		return 3;
	if (!blocks_write('q') || !child_succeeds(child))
		return 4;
	blocks_free();
	return !(blocks_write('r') && blocks_are('r'));
}
