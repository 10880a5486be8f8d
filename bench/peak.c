/* SPDX-License-Identifier: BSD-3-Clause */
/* peak.c: the peak of memory of this process. */
#include "config.h"

#include <stdio.h>

#include "bench.h"

unsigned long
bench_peak_kib(void)
{
	char line[256];
	unsigned long peak = 0, huge = 0;
	FILE *status = fopen("/proc/self/status", "r");

	while (status != NULL && fgets(line, sizeof(line), status) != NULL) {
		sscanf(line, "VmHWM: %lu", &peak);
		sscanf(line, "HugetlbPages: %lu", &huge);
	}
	if (status != NULL)
		fclose(status);
	return peak + huge;
}
