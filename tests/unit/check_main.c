/* SPDX-License-Identifier: BSD-3-Clause */
/* check_main.c: runs a Check suite and prints TAP for automake's driver. */
#include "config.h"

#include "check_main.h"

int
main(void)
{
	SRunner *runner = srunner_create(make_suite());

	srunner_set_tap(runner, "-");
	srunner_run_all(runner, CK_SILENT);
	srunner_free(runner);
	/* The TAP reports the failures. A status other than 0 would count them twice. */
	return 0;
}
