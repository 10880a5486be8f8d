#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_jemalloc_options.sh: the options that jemalloc starts with, and what VMMALLOC_CONF may
# change of them.
. "${top_srcdir:-..}/tests/support/lib.sh"

for variant in $(variants); do
	# lib/jemalloc/conf.c has the reasons for these options.
	on_pool "$variant" env VMMALLOC_CONF=stats_print:true "$programs/support/churn" 10 \
		>"$work/out" 2>&1
	for option in retain:false oversize_threshold:0 dirty_decay_ms:-1 muzzy_decay_ms:0 \
		lg_tcache_nslots_mul:2 dss:\"disabled\" hpa:false background_thread:false \
		zero_realloc:\"free\" metadata_thp:\"disabled\"; do
		expect "$variant: jemalloc starts with $option" \
			grep -q "opt\.${option%%:*}: ${option#*:}\( \|\$\)" "$work/out"
	done
	# jemalloc gets at most one arena for each 16 MiB of the pool.
	expect "$variant: a small pool has few arenas" sh -c "
		test \$(sed -n 's/.*opt\.narenas: \([0-9]*\).*/\1/p' '$work/out') -le 4"
	expect "$variant: VMMALLOC_CONF overrides an option" sh -c "
		env VMMALLOC_POOL_DIR='$pool_dir' VMMALLOC_POOL_SIZE=64M \
			VMMALLOC_CONF=stats_print:true,narenas:3,retain:true \
			LD_PRELOAD='$(library "$variant")' '$programs/support/churn' 10 2>&1 |
			grep -e 'opt.narenas: 3' -e 'opt.retain: true' | wc -l | grep -q '^2\$'"
	expect "$variant: MALLOC_CONF has no effect" sh -c "
		env VMMALLOC_POOL_DIR='$pool_dir' VMMALLOC_POOL_SIZE=64M \
			MALLOC_CONF=stats_print:true LD_PRELOAD='$(library "$variant")' \
			'$programs/support/churn' 10 2>&1 | wc -l | grep -q '^0\$'"

	# The library refuses options that jemalloc rejects, and other values of the options
	# that VMMALLOC_CONF must not change (dss, hpa, background_thread, zero_realloc).
	for conf in nonsense:1 narenas:none narenas hpa:true narenas:1,background_thread:true \
		dss:primary zero_realloc:alloc; do
		on_pool "$variant" env VMMALLOC_CONF=$conf /bin/true >"$work/out" 2>&1
		status=$?
		expect "$variant: VMMALLOC_CONF=$conf ends the process" test $status -eq 1
		expect "$variant: VMMALLOC_CONF=$conf: the message has two lines" sh -c "
			test \$(wc -l <'$work/out') -eq 2 && grep '^Error (libvmmalloc): \
incorrect VMMALLOC_CONF value ($conf)\$' '$work/out' &&
				grep '^libvmmalloc: VMMALLOC_CONF is $conf, ' '$work/out'"
	done
	expect "$variant: VMMALLOC_CONF may repeat the fixed options" on_pool \
		"$variant" env VMMALLOC_CONF=hpa:false,background_thread:false /bin/true
	on_pool "$variant" env VMMALLOC_CONF=confirm_conf:true,narenas:1 /bin/true \
		>"$work/out" 2>&1
	expect "$variant: VMMALLOC_CONF: confirm_conf prints the options" \
		grep -q 'Set conf value: narenas:1' "$work/out"
done
plan
