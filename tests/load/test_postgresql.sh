#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_postgresql.sh: PostgreSQL with all of its processes on pools, under pgbench, which
# starts many connections and parallel workers. Sums are checked afterwards.
. "${top_srcdir:-..}/tests/support/lib.sh"
. "$top_srcdir/tests/load/server_tests.sh"

pg_setting="-c min_parallel_table_scan_size=0 -c parallel_setup_cost=0
	-c parallel_tuple_cost=0 -c max_parallel_workers_per_gather=3"

pg() {
	pg_program=$1
	shift
	preloaded env PGHOST="$pg_dir" PGPORT=5432 PGUSER=admin PGDATABASE=postgres \
		PGCONNECT_TIMEOUT=30 PGOPTIONS="${pg_options-}" \
		"$pg_bin/$pg_program" "$@"
}

# pg_bench ARGUMENT...: pgbench makes transactions, and none of them fails.
pg_bench() {
	pg pgbench -n "$@" >"$work/pgbench" 2>&1
	pg_status=$?
	cat "$work/pgbench"
	[ $pg_status -eq 0 ] && grep -q 'processed: [1-9]' "$work/pgbench" &&
		none 'failed transactions: [1-9]|rror|abort' "$work/pgbench"
}

# Each transaction is in all tables, exactly once.
pg_consistent() {
	pg psql -XAtqc "
		select sum(abalance), (select sum(bbalance) from pgbench_branches),
			(select sum(tbalance) from pgbench_tellers),
			(select sum(delta) from pgbench_history), count(*)
		from pgbench_accounts" >"$work/sums" 2>&1
	cat "$work/sums"
	awk -F '|' '$1 != "" && $1 == $2 && $1 == $3 && $1 == $4 && $5 == 200000 {
		found = 1 } END { exit !found }' "$work/sums"
}

pg_parallel() {
	pg_options=$pg_setting
	pg psql -XAtqc "explain (analyze, costs off, timing off)
		select sum(a.aid) from pgbench_accounts a" >"$work/explain" 2>&1
	unset pg_options
	cat "$work/explain"
	grep -q 'Workers Launched: [1-9]' "$work/explain"
}

try_postgresql() {
	what="PostgreSQL, $variant,$fork"
	pg_dir=$public/pg
	mkdir "$pg_dir"
	[ -z "$as" ] || chown "$user" "$pg_dir" "$pool"
	expect "$what: initdb" pg initdb -N -D "$pg_dir/data" -U admin -A trust \
		--no-locale -E UTF8
	# mmap: shared memory is in files in $pg_dir, so that none of it is left behind.
	start "$pg_dir.log" "$pg_bin/postgres" -D "$pg_dir/data" -k "$pg_dir" \
		-c listen_addresses= -c port=5432 -c fsync=off \
		-c dynamic_shared_memory_type=mmap
	server=$pid
	expect "$what: starts" soon grep -q 'ready to accept' "$pg_dir.log"
	expect "$what: pgbench -i" pg pgbench -i -q -s 2
	expect "$what: all processes on pools" soon on_pools "$server" 4
	expect "$what: 8 clients for ${SERVER_SECONDS:-10} seconds" \
		pg_bench -c 8 -T "${SERVER_SECONDS:-10}"
	grep 'actually processed' "$work/pgbench" | comment
	expect "$what: 400 connections" pg_bench -C -c 4 -t 100
	expect "$what: all sums are right" pg_consistent
	expect "$what: parallel workers" pg_parallel
	expect "$what: clean stop" stopped INT "$server"
	expect "$what: the log has no errors" \
		none 'PANIC|FATAL|ERROR|WARNING|crash|by signal|libvmmalloc' \
		"$pg_dir.log"
	[ -z "$as" ] || chown root "$pool"
	rm -rf "$pg_dir" "$pg_dir.log"
}

pool_size=256M
# Debian keeps the server's programs out of PATH.
for pg_bin in "$(pg_config --bindir 2>/dev/null)" /usr/lib/postgresql/*/bin; do
	[ ! -x "$pg_bin/postgres" ] || [ ! -x "$pg_bin/pgbench" ] || break
done
user=$(id -un)
if [ "$(id -u)" -eq 0 ]; then
	user=nobody
	as="setpriv --reuid=$(id -u nobody) --regid=$(id -g nobody) --clear-groups"
fi
if ! [ -x "$pg_bin/postgres" ] || ! [ -x "$pg_bin/pgbench" ]; then
	skip PostgreSQL "needs a PostgreSQL server with pgbench"
elif [ -n "$as" ] && ! $as true 2>/dev/null; then
	skip PostgreSQL "does not run as root: needs setpriv to change the user"
else
	with_each_setting try_postgresql
fi
as=

expect "nothing is left of any pool" test -z "$(ls -A "$pool")"
plan
