/* SPDX-License-Identifier: BSD-3-Clause */
/* probe.h: static probes, by which bpftrace, perf and gdb observe the pool of a process. */
#ifndef VMM_PROBE_H
#define VMM_PROBE_H

/*
 * VMM_PROBE(name, a, b): the probe libvmmalloc:name with two arguments, for instance sizes
 * in bytes. A probe is one no-op instruction and a note in the ELF file with its address
 * (sys/sdt.h of SystemTap). Without that header the macro only evaluates `a` and `b`.
 * libvmmalloc(7), DEBUGGING, lists the probes.
 */
#ifdef HAVE_SYS_SDT_H
/* Arguments in registers or as constants: bpftrace cannot resolve names of variables. */
#define STAP_SDT_ARG_CONSTRAINT nr
#include <sys/sdt.h>
#define VMM_PROBE(name, a, b) DTRACE_PROBE2(libvmmalloc, name, (a), (b))
#else
#define VMM_PROBE(name, a, b) ((void)(a), (void)(b))
#endif

#endif
