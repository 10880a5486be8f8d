/* SPDX-License-Identifier: BSD-3-Clause */
/* linux_vdso.h: the functions that the kernel maps into each process (vdso(7)). */
#ifndef VMM_OS_LINUX_VDSO_H
#define VMM_OS_LINUX_VDSO_H

/*
 * The function of that name; NULL where the kernel has none, or has no table of symbols that
 * can be counted (DT_HASH). Such a function returns 0 or a negative errno value, and makes a
 * system call where it cannot answer by itself. May be called by any thread.
 */
const void *vmm_os_vdso_find(const char *name);

#endif
