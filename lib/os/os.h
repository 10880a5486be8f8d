/* SPDX-License-Identifier: BSD-3-Clause */
/* os.h: the contract of a port: all that the library asks of the operating system. */
#ifndef VMM_OS_H
#define VMM_OS_H

/*
 * A port implements every function of the headers below; linux*.c is the port to Linux.
 * These rules hold unless a prototype says otherwise:
 *
 * - A function that can fail returns 0 or an errno value. It sets results through pointers,
 *   and only on success. The prototype names the errno values to expect; the system calls
 *   behind the function may return others.
 * - Sizes, offsets and addresses are in bytes. They are multiples of the page size of the
 *   file or of the memory that they belong to.
 * - A function does not allocate, use stdio or take a lock. It may change errno.
 * - Any thread may call a function. Calls that get the same structure must not overlap if
 *   one of them changes it.
 */
#include "os/file.h"
#include "os/memory.h"
#include "os/message.h"
#include "os/numa.h"
#include "os/process.h"

#endif
