/* SPDX-License-Identifier: BSD-3-Clause */
/* linux_numa.c: the policy for memory nodes of all mappings of the pool, on Linux. */
#include "config.h"

#include <errno.h>
#include <sys/mman.h>

#include "os/linux_sys.h"
#include "os/os.h"

/* As in linux/mempolicy.h, by number: older headers lack the last two. */
static const int kernel_modes[] = {
	[VMM_NUMA_BIND] = 2, [VMM_NUMA_PREFERRED] = 1, [VMM_NUMA_PREFERRED_MANY] = 5,
	[VMM_NUMA_INTERLEAVE] = 3, [VMM_NUMA_WEIGHTED] = 6,
};
enum { MEMS_ALLOWED = 4 }; /* MPOL_F_MEMS_ALLOWED */
/* The kernel uses one bit less than it is told (mbind(2), maxnode). */
#define MAX_NODE (VMM_NUMA_NODES_MAX + 1UL)

/* Set by vmm_os_numa_set, before there is a second thread. */
static struct vmm_numa policy;

int
vmm_os_numa_nodes(struct vmm_numa_nodes *nodes)
{
	*nodes = (struct vmm_numa_nodes){ { 0 } };
	return vmm_sys.get_mempolicy(NULL, nodes->bits, MAX_NODE, NULL, MEMS_ALLOWED) == 0
	    ? 0 : errno;
}

static int
bind_to_nodes(void *address, size_t length)
{
	return vmm_sys.mbind(address, length, kernel_modes[policy.mode], policy.nodes.bits,
	    MAX_NODE, 0) == 0 ? 0 : errno;
}

void
vmm_os_numa_apply(void *address, size_t length)
{
	if (vmm_os_numa_is_set())
		bind_to_nodes(address, length);
}

bool
vmm_os_numa_is_set(void)
{
	return policy.mode != VMM_NUMA_NONE;
}

bool
vmm_os_numa_is_strict(void)
{
	return policy.mode == VMM_NUMA_BIND;
}

/* mbind(2) silently ignores nodes that this process may not use, as long as it may use one. */
static bool
are_allowed(const struct vmm_numa_nodes *nodes, const struct vmm_numa_nodes *allowed)
{
	for (size_t i = 0; i < sizeof(nodes->bits) / sizeof(nodes->bits[0]); i++) {
		if ((nodes->bits[i] & ~allowed->bits[i]) != 0)
			return false;
	}
	return true;
}

int
vmm_os_numa_set(const struct vmm_numa *numa)
{
	struct vmm_numa_nodes allowed;
	void *page;
	int error;

	if (numa->mode == VMM_NUMA_NONE)
		return 0;
	error = vmm_os_numa_nodes(&allowed);
	if (error == 0 && !are_allowed(&numa->nodes, &allowed))
		error = ENODEV;
	if (error == 0)
		error = vmm_os_map_plain(vmm_os_page_size(), &page);
	if (error != 0)
		return error;
	policy = *numa;
	error = bind_to_nodes(page, vmm_os_page_size());
	vmm_os_unmap(page, vmm_os_page_size());
	if (error != 0)
		policy.mode = VMM_NUMA_NONE;
	return error;
}
