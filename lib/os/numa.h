/* SPDX-License-Identifier: BSD-3-Clause */
/* numa.h: the policy for memory nodes of all mappings of the pool; os.h has the rules. */
#ifndef VMM_OS_NUMA_H
#define VMM_OS_NUMA_H

#include "base/numa.h"

/*
 * Sets *nodes to the nodes with memory that this process may use (get_mempolicy(2),
 * MPOL_F_MEMS_ALLOWED). ENOSYS if the kernel has no NUMA; EPERM if a seccomp filter forbids it.
 */
int vmm_os_numa_nodes(struct vmm_numa_nodes *nodes);

/*
 * Sets the policy of all windows that are mapped from now on. Must be called once, by one
 * thread. ENODEV if one of the nodes has no memory, or is not allowed for this process;
 * EINVAL if the kernel does not know the mode; EPERM if a seccomp filter forbids it; ENOSYS
 * if the kernel has no NUMA; ENOMEM. After a failure there is no policy.
 */
int vmm_os_numa_set(const struct vmm_numa *numa);

/*
 * Applies the policy, if there is one, to a mapping without pages (mbind(2)). A failure is
 * ignored: a cpuset or a seccomp filter may have changed since vmm_os_numa_set, and memory on
 * another node is better than none.
 */
void vmm_os_numa_apply(void *address, size_t length);

/* Returns whether there is a policy. */
bool vmm_os_numa_is_set(void);

/* Returns whether the policy forbids all other nodes (VMM_NUMA_BIND). */
bool vmm_os_numa_is_strict(void);

#endif
