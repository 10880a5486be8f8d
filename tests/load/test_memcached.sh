#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_memcached.sh: memcached with threads, on a pool. A client checks every answer.
. "${top_srcdir:-..}/tests/support/lib.sh"
. "$top_srcdir/tests/load/server_tests.sh"

try_memcached() {
	what="memcached, $variant,$fork"
	mem_dir=$public/mem
	mkdir "$mem_dir"
	# Started by root, memcached changes to nobody after its pool is open.
	chmod 777 "$mem_dir"
	start "$mem_dir.log" memcached -s "$mem_dir/socket" -a 777 -m 512 -t 4 -u nobody
	server=$pid
	expect "$what: starts" soon test -S "$mem_dir/socket"
	ask memcached "$mem_dir/socket"
	expect "$what: the heap is in the pool" soon on_pools "$server" 0
	answered
	expect "$what: clean stop" stopped TERM "$server"
	expect "$what: no errors are printed" none 'rror|ailed|libvmmalloc' "$mem_dir.log"
	rm -rf "$mem_dir" "$mem_dir.log"
}

pool_size=1G
if ! command -v memcached >/dev/null 2>&1; then
	skip memcached "needs memcached"
elif ! command -v python3 >/dev/null 2>&1; then
	skip memcached "needs python3 for the client"
else
	with_each_setting try_memcached
fi

expect "nothing is left of any pool" test -z "$(ls -A "$pool")"
plan
