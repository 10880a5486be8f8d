/* SPDX-License-Identifier: BSD-3-Clause */
/* profile.h: the backtraces of jemalloc's heap profiler. */
#ifndef VMM_PROFILE_H
#define VMM_PROFILE_H

/*
 * Makes backtraces of jemalloc's heap profiler (jemalloc(3), opt.prof) begin with `entry`,
 * malloc, in place of the library's own frames. jeprof skips only frames named malloc. But
 * malloc is a jump, and in a stripped library its target has no name. Does nothing if
 * profiling is off. Called once, at the start.
 */
void vmm_profile_start(void *entry);

#endif
