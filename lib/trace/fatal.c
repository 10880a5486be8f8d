/* SPDX-License-Identifier: BSD-3-Clause */
/* fatal.c: writes a last message and ends the process. */
#include "config.h"

#include "os/os.h"
#include "trace/fatal.h"
#include "trace/log.h"

_Noreturn void
vmm_fatal_setup(const struct vmm_text *message)
{
	vmm_log_report(message->data, message->length);
	vmm_os_exit(1);
}

_Noreturn void
vmm_fatal_abort(const char *what)
{
	struct vmm_text message;

	vmm_text_clear(&message);
	vmm_text_str(&message, "Error (libvmmalloc): ");
	vmm_text_str(&message, what);
	vmm_text_str(&message, "\n");
	vmm_log_report(message.data, message.length);
	vmm_os_abort();
}
