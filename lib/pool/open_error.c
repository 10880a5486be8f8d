/* SPDX-License-Identifier: BSD-3-Clause */
/* open_error.c: the message when the pool cannot be opened. */
#include "config.h"

#include <errno.h>

#include "pool/state.h"

/* Appends the room that there is, if it is known. */
static void
append_room(int errnum, const struct vmm_os_limits *room, struct vmm_text *error)
{
	vmm_text_str(error, ": ");
	vmm_text_uint(error, vmm_pool.size);
	vmm_text_str(error, " bytes needed");
	if (errnum == EFBIG) {
		vmm_text_str(error, ", ");
		vmm_text_uint(error, room->limit_bytes);
		vmm_text_str(error, " allowed by the file size limit (ulimit -f)");
	} else if (room->free_bytes != UINT64_MAX) {
		vmm_text_str(error, ", ");
		vmm_text_uint(error, room->free_bytes);
		vmm_text_str(error, vmm_pool.file.fs.is_fileless
		    ? " allowed by the control group (memory.max)" : " free");
	}
}

/* Returns why the place that VMMALLOC_POOL_DIR names can have no pool. */
static const char *
problem_of_place(const struct vmm_settings *settings, int errnum)
{
	if (vmm_os_is_memory(settings->pool_dir)) {
		if (errnum == EINVAL)
			return "; pools in memory are :memory:, :memory:2M, :memory:1G";
		return errnum != ENODEV && errnum != ENOSYS ? ""
		    : "; the kernel has no huge pages of that size: see"
		      " /sys/kernel/mm/hugepages";
	}
	switch (errnum) {
	case EBUSY: return "; another process has its pool on the device";
	case ENOSYS: return "; a seccomp filter forbids this process to create a file";
	case ENOMEM: return "";
	}
	return "; a writable directory, or a device such as /dev/dax0.0, is needed";
}

/* Appends why a pool of that size is not possible. */
static void
append_need(int errnum, const struct vmm_os_limits *room, struct vmm_text *error)
{
	const struct vmm_os_fs *fs = &vmm_pool.file.fs;

	if (!fs->is_fileless || vmm_pool.size > room->free_bytes)
		append_room(errnum, room, error);
	else if (errnum == ENOMEM)
		vmm_text_str(error, "; the kernel refuses to map that much memory"
		    " (ulimit -v, ulimit -d, vm.overcommit_memory)");
	if (errnum == EOPNOTSUPP)
		vmm_text_str(error, "; the file system cannot reserve blocks"
		    " (fallocate); without reserved blocks a store could raise SIGBUS");
	if (errnum == ENOMEM && fs->maps_reserve) {
		vmm_text_str(error, "; raise /sys/kernel/mm/hugepages/hugepages-");
		vmm_text_uint(error, fs->page_size / 1024);
		vmm_text_str(error, "kB/nr_hugepages");
		if (vmm_os_numa_is_strict())
			vmm_text_str(error, ", on the nodes of VMMALLOC_NUMA");
	}
	if (errnum == EINVAL && fs->maps_reserve && vmm_os_numa_is_strict())
		vmm_text_str(error, "; huge pages with VMMALLOC_NUMA=bind need Linux 5.14");
}

bool
vmm_pool_open_error(const struct vmm_settings *settings, int errnum,
    const struct vmm_os_limits *room, struct vmm_text *error)
{
	vmm_text_str(error, "Error (libvmmalloc): vmem pool creation failed: ");
	vmm_text_errno(error, errnum);
	vmm_text_str(error, "\nlibvmmalloc: VMMALLOC_POOL_DIR is ");
	vmm_text_quote(error, settings->pool_dir);
	vmm_text_str(error, ", VMMALLOC_POOL_SIZE is ");
	vmm_text_uint(error, settings->pool_size_bytes);
	if (room != NULL)
		append_need(errnum, room, error);
	else
		vmm_text_str(error, problem_of_place(settings, errnum));
	vmm_text_str(error, "\n");
	return false;
}

bool
vmm_pool_numa_error(const struct vmm_settings *settings, int errnum, struct vmm_text *error)
{
	struct vmm_numa_nodes nodes;
	struct vmm_text problem;

	vmm_text_clear(&problem);
	if (errnum == EOPNOTSUPP) {
		vmm_text_str(&problem, "but the kernel places the pages of ");
		vmm_text_str(&problem, vmm_pool.file.fs.is_dax ? "a DAX file system"
							      : vmm_pool.file.fs.name);
		vmm_text_str(&problem, " itself (use tmpfs, hugetlbfs or :memory:)");
	} else if (errnum == ENODEV && vmm_os_numa_nodes(&nodes) == 0) {
		vmm_text_str(&problem, "but this process can use memory of these nodes: ");
		vmm_numa_append(&problem, &nodes);
	} else if (errnum == EINVAL) {
		vmm_text_str(&problem, "which this kernel does not know (preferred-many:"
		    " Linux 5.15, weighted: 6.9)");
	} else {
		vmm_text_str(&problem, errnum == EPERM
		    ? "which a seccomp filter forbids (docker run --cap-add SYS_NICE"
		      " allows it): " : "and that fails: ");
		vmm_text_errno(&problem, errnum);
	}
	vmm_settings_refuse("VMMALLOC_NUMA", settings->numa_text, problem.data, error);
	return false;
}
