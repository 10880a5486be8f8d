/* SPDX-License-Identifier: BSD-3-Clause */
/* log.c: formats the lines of the trace. */
#include "config.h"

#include "trace/log.h"

#ifdef VMMALLOC_DEBUG

#include <errno.h>
#include <string.h>

#include "os/os.h"

int vmm_log_level;
__thread bool vmm_log_is_quiet;

void
vmm_log_begin(struct vmm_text *line, int level,
    const struct vmm_log_place *place)
{
	const char *name = strrchr(place->file, '/');

	vmm_text_clear(line);
	vmm_text_str(line, "<libvmmalloc>: <");
	vmm_text_uint(line, (uint64_t)level);
	vmm_text_str(line, "> [");
	vmm_text_str(line, name == NULL ? place->file : name + 1);
	vmm_text_str(line, ":");
	vmm_text_uint(line, place->line);
	vmm_text_str(line, " ");
	vmm_text_str(line, place->function);
	vmm_text_str(line, "] ");
}

void
vmm_log_end(struct vmm_text *line)
{
	int saved_errno = errno;

	/* A line that was cut still ends with a newline. */
	if (line->length == sizeof(line->data) - 1)
		line->length--;
	vmm_text_str(line, "\n");
	vmm_log_write(line->data, line->length);
	errno = saved_errno;
}

void
vmm_log_enter(const struct vmm_log_place *place)
{
	struct vmm_text line;

	vmm_log_begin(&line, VMM_LOG_FUNCTIONS, place);
	vmm_text_str(&line, "entered");
	vmm_log_end(&line);
}

static void
append_value(struct vmm_text *line, const struct vmm_log_value *value)
{
	vmm_text_str(line, value->name);
	if (value->name[0] != '\0')
		vmm_text_str(line, " ");
	if (value->is_pointer)
		vmm_text_pointer(line, (const void *)value->value);
	else
		vmm_text_uint(line, value->value);
}

void
vmm_log_call(const struct vmm_log_place *place,
    const struct vmm_log_value *arguments, size_t count,
    const struct vmm_log_value *result)
{
	struct vmm_text line;

	vmm_log_begin(&line, VMM_LOG_CALLS, place);
	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			vmm_text_str(&line, ", ");
		append_value(&line, &arguments[i]);
	}
	if (result != NULL) {
		vmm_text_str(&line, " -> ");
		append_value(&line, result);
	}
	vmm_log_end(&line);
}

#endif
