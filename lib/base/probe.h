/* SPDX-License-Identifier: BSD-3-Clause */
/* probe.h: static probes, where bpftrace, perf and gdb can look at a running pool. */
#ifndef VMM_PROBE_H
#define VMM_PROBE_H

/*
 * VMM_PROBE(name, a, b): the probe libvmmalloc:name with two arguments, sizes or
 * offsets in bytes. One no-op instruction, and a note in the ELF file that says where
 * it is (sys/sdt.h of SystemTap); nothing where configure did not find that header.
 * libvmmalloc(7), DEBUGGING, lists them.
 */
#ifdef HAVE_SYS_SDT_H
/* Numbers and registers, and no names of variables, which bpftrace cannot find. */
#define STAP_SDT_ARG_CONSTRAINT nr
#include <sys/sdt.h>
#define VMM_PROBE(name, a, b) DTRACE_PROBE2(libvmmalloc, name, (a), (b))
#else
#define VMM_PROBE(name, a, b) ((void)(a), (void)(b))
#endif

#endif
