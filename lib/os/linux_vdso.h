/* SPDX-License-Identifier: BSD-3-Clause */
/* linux_vdso.h: the functions that the kernel maps into each process (vdso(7)). */
#ifndef VMM_OS_LINUX_VDSO_H
#define VMM_OS_LINUX_VDSO_H

/*
 * Returns the function of that name, or NULL if the kernel has none, or has no table with
 * the number of symbols (DT_HASH). The function returns 0 or a negative errno value. It makes
 * a system call if it cannot answer by itself. Thread-safe.
 */
const void *vmm_os_vdso_find(const char *name);

#endif
