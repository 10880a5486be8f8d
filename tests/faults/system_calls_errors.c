/* SPDX-License-Identifier: BSD-3-Clause */
/* system_calls_errors.c: the errno values with which each system call is made to fail. */
#include "config.h"

#include <errno.h>

#include "system_calls_test.h"

/*
 * The values are those of the manual pages, and others that the kernel was seen to return.
 * Left out are ENXIO of lseek, which means that there is no more data, and EBADF and
 * EFAULT, which mean that the library is wrong; except where the library relies on them.
 */
const int system_call_errors[INJECT_COUNT][ERRORS_MAX] = {
	[INJECT_cachestat] = { ENOSYS, EOPNOTSUPP, EPERM },
	[INJECT_clone] = { EAGAIN, ENOMEM, EPERM },
	[INJECT_close] = { EINTR, EIO, ENOSPC, EDQUOT },
	[INJECT_dup3] = { EBUSY, EINTR, EMFILE, ENOMEM },
	[INJECT_fallocate] = { ENOSPC, EDQUOT, EINTR, EIO, EFBIG, EOPNOTSUPP,
	    ENOSYS, EPERM, ENOMEM, ENODEV },
	[INJECT_fcntl] = { EMFILE, EINVAL, EACCES, EAGAIN, ENOLCK, EINTR,
	    ENOMEM },
	[INJECT_fstat] = { ENOMEM, EIO, EOVERFLOW, EBADF, EACCES },
	[INJECT_fstatfs] = { EINTR, EIO, ENOMEM, ENOSYS, EOVERFLOW },
	[INJECT_ftruncate] = { EFBIG, EINTR, EIO, EPERM, EINVAL, ENOSPC },
	[INJECT_futex] = { EAGAIN, EINTR, ENOSYS, EPERM },
	[INJECT_get_mempolicy] = { ENOSYS, EPERM, EINVAL },
	[INJECT_getcwd] = { ENOENT, ERANGE, ENOMEM, EACCES },
	[INJECT_getdents64] = { ENOENT, ENOMEM, EIO, EACCES },
	[INJECT_getrandom] = { INJECT_SHORT, EINTR, EAGAIN, ENOSYS },
	[INJECT_getrlimit] = { EPERM, EINVAL, ENOSYS },
	[INJECT_getsockopt] = { ENOPROTOOPT, ENOTSOCK },
	[INJECT_ioctl] = { ENOTTY, EOPNOTSUPP, EINVAL, EXDEV, ENOSPC, EPERM,
	    EIO, EDQUOT, EINTR },
	[INJECT_lseek] = { EINVAL, EIO, EOVERFLOW, ESPIPE, EINTR },
	[INJECT_madvise] = { EAGAIN, EINVAL, ENOMEM, EIO, EPERM, EACCES,
	    EINTR, EFAULT, EOPNOTSUPP, ENOSPC },
	[INJECT_mbind] = { EINVAL, ENOMEM, ENOSYS, EPERM },
	[INJECT_memfd_create] = { EMFILE, ENFILE, ENOMEM, EINVAL, ENOSYS, EPERM,
	    EACCES },
	[INJECT_mlock] = { EAGAIN, ENOMEM, EPERM },
	[INJECT_mlock2] = { EAGAIN, EINVAL, ENOMEM, ENOSYS, EPERM },
	[INJECT_mmap] = { ENOMEM, EAGAIN, EACCES, EPERM, ENFILE, ENODEV,
	    EINVAL },
	[INJECT_mprotect] = { ENOMEM, EACCES },
	[INJECT_mremap] = { ENOMEM, EAGAIN, EINVAL, EFAULT },
	[INJECT_munmap] = { ENOMEM, EINVAL },
	[INJECT_nanosleep] = { EINTR },
	[INJECT_openat] = { EACCES, EMFILE, ENFILE, ENOENT, ENOTDIR, ENOSPC,
	    EROFS, EDQUOT, EINTR, ENOMEM, EOPNOTSUPP, EISDIR, ELOOP,
	    ENAMETOOLONG, EPERM, EIO, EEXIST },
	[INJECT_pread] = { INJECT_SHORT, EINTR, EIO, EPERM, ENOMEM },
	[INJECT_prctl] = { EINVAL, EPERM },
	[INJECT_process_vm_readv] = { EFAULT, ENOMEM, ENOSYS, EPERM },
	[INJECT_process_vm_writev] = { EFAULT, EINTR, ENOMEM, ENOSYS, EPERM },
	[INJECT_ptrace] = { EIO, EPERM, ESRCH },
	[INJECT_pwrite] = { INJECT_SHORT, EINTR, ENOSPC, EDQUOT, EIO, EFBIG,
	    EPERM, EAGAIN, ENOMEM },
	[INJECT_read] = { EACCES, EINTR, EIO, ENOMEM },
	[INJECT_readlinkat] = { EACCES, EINVAL, EIO, ELOOP, ENOENT, ENOMEM },
	[INJECT_sched_getaffinity] = { EINVAL, ENOSYS, EPERM, ESRCH },
	[INJECT_setpgid] = { EACCES, EPERM },
	[INJECT_setresuid] = { EAGAIN, EPERM },
	[INJECT_setrlimit] = { EINVAL, EPERM },
	[INJECT_stat] = { ENOENT, EACCES, ENOMEM, EIO, EOVERFLOW },
	[INJECT_statx] = { ENOSYS, EINVAL, ENOMEM, EACCES, EPERM },
	[INJECT_sync_file_range] = { EIO, EINVAL, ENOSPC, ENOMEM },
	[INJECT_tgkill] = { EPERM, ESRCH },
	[INJECT_unlinkat] = { EIO, EROFS, EACCES, EPERM, ENOMEM },
	[INJECT_waitid] = { ECHILD, EINTR },
	[INJECT_waitpid] = { EINTR, ECHILD },
	[INJECT_write] = { INJECT_SHORT, EINTR, EIO, ENOSPC, EAGAIN, EPIPE,
	    EFBIG },
};
