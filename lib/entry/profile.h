/* SPDX-License-Identifier: BSD-3-Clause */
/* profile.h: heap profiles as jeprof reads them. */
#ifndef VMM_PROFILE_H
#define VMM_PROFILE_H

/*
 * Has the backtraces of jemalloc's heap profiler (jemalloc(3), opt.prof) begin with
 * `entry`, malloc, in place of the library's own frames. jeprof leaves out what is
 * called malloc, and no more: but malloc is a jump, and what it jumps to has no names
 * where symbols were stripped. Does nothing where profiling is off. Once, at start.
 */
void vmm_profile_start(void *entry);

#endif
