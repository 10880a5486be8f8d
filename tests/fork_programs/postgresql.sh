# SPDX-License-Identifier: BSD-3-Clause
# postgresql.sh: PostgreSQL, which forks for each connection. Sourced by
# test_fork_programs.sh.

pg() {
	pg_program=$1
	shift
	preloaded env PGHOST="$pg_dir" PGPORT=5432 PGUSER=admin PGDATABASE=postgres \
		PGCONNECT_TIMEOUT=30 "$pg_bin/$pg_program" "$@"
}

# pg_bench ARGUMENT...: transactions are made, and none fails.
pg_bench() {
	pg pgbench -n "$@" >"$work/pgbench" 2>&1
	pg_status=$?
	cat "$work/pgbench"
	[ $pg_status -eq 0 ] && grep -q 'processed: [1-9]' "$work/pgbench" &&
		none 'failed transactions: [1-9]|rror|abort' "$work/pgbench"
}

# Each transaction has changed all tables by the same amount.
pg_consistent() {
	pg psql -XAtqc "
		select sum(abalance), (select sum(bbalance) from pgbench_branches),
			(select sum(tbalance) from pgbench_tellers),
			(select sum(delta) from pgbench_history), count(*)
		from pgbench_accounts" >"$work/sums" 2>&1
	cat "$work/sums"
	awk -F '|' '$1 != "" && $1 == $2 && $1 == $3 && $1 == $4 && $5 == 100000 {
		found = 1 } END { exit !found }' "$work/sums"
}

try_postgresql() {
	what="PostgreSQL, $where"
	pg_seconds=5
	[ "$variant" != plain ] || pg_seconds=1
	pg_dir=$public/pg
	mkdir "$pg_dir"
	[ -z "$as" ] || chown nobody "$pg_dir"
	expect "$what: initdb" pg initdb -N -D "$pg_dir/data" -U admin -A trust \
		--no-locale -E UTF8
	# Shared memory is in files in the data directory, so that none can stay behind.
	start "$pg_dir.log" "$pg_bin/postgres" -D "$pg_dir/data" -k "$pg_dir" \
		-c listen_addresses= -c port=5432 -c fsync=off \
		-c dynamic_shared_memory_type=mmap
	server=$pid
	expect "$what: starts" soon grep -q 'ready to accept' "$pg_dir.log"
	expect "$what: pgbench -i" pg pgbench -i -q -s 1
	[ "$variant" = plain ] ||
		expect "$what: all processes on pools" soon on_pools "$server" 4
	expect "$what: 8 clients for $pg_seconds seconds" pg_bench -c 8 -T $pg_seconds
	expect "$what: 80 connections" pg_bench -C -c 4 -t 20
	expect "$what: every sum is right" pg_consistent
	expect "$what: clean stop" stopped INT "$server"
	expect "$what: no complaint in its log" \
		none 'PANIC|FATAL|ERROR|WARNING|crash|by signal|libvmmalloc' \
		"$pg_dir.log"
	rm -rf "$pg_dir" "$pg_dir.log"
}

# Debian keeps them from PATH.
for pg_bin in "$(pg_config --bindir 2>/dev/null)" /usr/lib/postgresql/*/bin; do
	[ ! -x "$pg_bin/postgres" ] || [ ! -x "$pg_bin/pgbench" ] || break
done
[ "$(id -u)" -ne 0 ] ||
	as="setpriv --reuid=$(id -u nobody) --regid=$(id -g nobody) --clear-groups"
pool_size=256M
if ! asked_for PostgreSQL; then
	:
elif ! [ -x "$pg_bin/postgres" ] || ! [ -x "$pg_bin/pgbench" ]; then
	skip PostgreSQL "no PostgreSQL server with pgbench here"
elif [ -n "$as" ] && ! $as true 2>/dev/null; then
	skip PostgreSQL "does not run as root, and there is no setpriv to leave root"
else
	plain_and_pools try_postgresql
fi
as=
