/* SPDX-License-Identifier: BSD-3-Clause */
/* init.c: the one-time start, at the first allocation, whenever that comes. */
#include "config.h"

#include "fatal.h"
#include "init.h"
#include "log.h"
#include "os.h"
#include "pool.h"

const struct vmm_settings *
vmm_init_start(void)
{
	static struct vmm_settings settings;
	static bool is_started;
	struct vmm_text error;

	if (is_started)
		return &settings;
	if (!vmm_settings_read(&settings, vmm_os_getenv, &error))
		vmm_fatal_setup(&error);
#ifdef VMMALLOC_DEBUG
	vmm_log_level = settings.log_level;
#endif
	if (!vmm_pool_open(&settings, &error))
		vmm_fatal_setup(&error);
	is_started = true;
	return &settings;
}
