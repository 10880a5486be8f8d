/* SPDX-License-Identifier: BSD-3-Clause */
/* log.c: the debug variant's trace. */
#include "config.h"

#include "log.h"

#ifdef VMMALLOC_DEBUG

#include <errno.h>
#include <string.h>

#include "os.h"

int vmm_log_level;

void
vmm_log_begin(struct vmm_text *line, int level, const char *file,
    unsigned number, const char *function)
{
	const char *name = strrchr(file, '/');

	vmm_text_clear(line);
	vmm_text_str(line, "<libvmmalloc>: <");
	vmm_text_uint(line, (uint64_t)level);
	vmm_text_str(line, "> [");
	vmm_text_str(line, name == NULL ? file : name + 1);
	vmm_text_str(line, ":");
	vmm_text_uint(line, number);
	vmm_text_str(line, " ");
	vmm_text_str(line, function);
	vmm_text_str(line, "] ");
}

void
vmm_log_end(struct vmm_text *line)
{
	int saved_errno = errno;

	vmm_text_str(line, "\n");
	vmm_os_write_error(line->data, line->length);
	errno = saved_errno;
}

#endif
