/* SPDX-License-Identifier: BSD-3-Clause */
/* message.c: messages to stderr, and the check that stdout was written. */
#include "config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "command.h"

_Noreturn void
fail(int status, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fputs("vmmalloc: ", stderr);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	va_end(arguments);
	exit(status);
}

void
flush_output(void)
{
	if (fflush(stdout) != 0 || ferror(stdout))
		fail(STATUS_OURS, "cannot write to standard output");
}
