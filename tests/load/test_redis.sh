#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_redis.sh: redis under load, on pools on tmpfs and on ext4. It forks for each BGSAVE.
# The dumps can be loaded, and every answer to a client is checked.
. "${top_srcdir:-..}/tests/support/lib.sh"
. "$top_srcdir/tests/load/server_tests.sh"

cli() {
	preloaded redis-cli -s "$redis_dir/socket" "$@"
}

# redis_says COMMAND TEXT: TEXT is in the answer to COMMAND.
redis_says() {
	# shellcheck disable=SC2086 # words
	cli $1 | tr -d '\r' | grep "$2"
}

redis_start() {
	start "$redis_dir/log" "$redis_server" --port 0 --save "" \
		--unixsocket "$redis_dir/socket" --dir "$redis_dir" \
		--enable-debug-command yes
	server=$pid
	soon redis_says PING '^PONG$'
}

# redis_save DUMP: a child of the server writes a dump while the server goes on. The
# dump is whole.
redis_save() {
	rm -f "$redis_dir/dump.rdb"
	redis_says BGSAVE '^Background saving started' &&
		soon redis_says "INFO persistence" '^rdb_bgsave_in_progress:0' &&
		redis_says "INFO persistence" '^rdb_last_bgsave_status:ok$' &&
		cp "$redis_dir/dump.rdb" "$1" &&
		preloaded redis-check-rdb "$1"
}

redis_sums() {
	cli DBSIZE && cli DEBUG DIGEST
}

redis_loaded() {
	! gone "$load" && grep rps "$work/load"
}

# For until_over: one dump.
redis_saves() {
	redis_save "$work/dump" && rm -f "$work/dump"
}

redis_asked() {
	ask redis "$redis_dir/socket"
	if [ -n "$SERVER_SECONDS" ]; then
		expect "$what: dump after dump for $SERVER_SECONDS seconds" \
			until_over redis_saves
		echo "# $times dumps"
	fi
	answered
}

try_redis() {
	what="redis, $1, $variant,$fork"
	redis_dir=$public/redis
	mkdir "$redis_dir"
	expect "$what: starts" redis_start
	expect "$what: filled" redis_says "DEBUG POPULATE 200000 key 100" '^OK$'
	start "$work/load" redis-benchmark -s "$redis_dir/socket" -c 8 -P 4 -l -q \
		-t set,sadd,hset,zadd -r 20000 -n 20000 -d 200
	load=$pid
	for i in 1 2 3 4 5 6 7 8; do
		expect "$what: BGSAVE $i under load" redis_save "$work/dump.$i"
	done
	redis_asked
	expect "$what: the heap is in the pool" soon on_pools "$server" 0
	expect "$what: the load is still running" redis_loaded
	kill "$load"
	status_of "$load" >/dev/null 2>&1
	expect "$what: the first and the last dump differ" sh -c "! cmp -s $work/dump.1 $work/dump.8"
	expect "$what: BGSAVE without load" redis_save "$work/dump"
	redis_sums >"$work/before"
	cli SHUTDOWN NOSAVE
	expect "$what: clean stop" status_of "$server"
	expect "$what: the log has no errors" none \
		'BUG REPORT|crash|ASSERT|saving error|an.t save|libvmmalloc' \
		"$redis_dir/log"
	# redis asks its allocator for a background thread. The library has none.
	expect "$what: the log has no message of jemalloc" none '<jemalloc>' "$redis_dir/log"
	expect "$what: starts from the dump" redis_start
	redis_sums >"$work/after"
	expect "$what: all data is there" cmp "$work/before" "$work/after"
	cli SHUTDOWN NOSAVE
	expect "$what: clean stop again" status_of "$server"
	rm -rf "$redis_dir" "$work"/dump*
}

# Debian's redis-tools has the server under another name.
redis_server=$(command -v redis-server)
if [ -z "$redis_server" ] && command -v redis-check-rdb >/dev/null 2>&1; then
	redis_server=$public/redis-server
	ln -s "$(readlink -f "$(command -v redis-check-rdb)")" "$redis_server"
fi
case $("${redis_server:-false}" --version 2>/dev/null) in
*" v="[0-6].*) redis_missing="needs redis 7, for DEBUG" ;;
"Redis server "*) redis_missing= ;;
*) redis_missing="needs redis-server" ;;
esac
command -v redis-benchmark >/dev/null 2>&1 || redis_missing="needs redis-benchmark"
command -v python3 >/dev/null 2>&1 || redis_missing="needs python3"
pool_size=512M
for type in "a pool" ext4; do
	if [ -n "$redis_missing" ]; then
		skip "redis, $type" "$redis_missing"
		continue
	fi
	if [ "$type" = ext4 ]; then
		file_system ext4 1536M ||
			{ skip "redis, $type" "$mounted_not"; continue; }
		pool=$mounted
	fi
	for setting in $settings; do
		use "$setting"
		[ "$type $variant" = "ext4 debug" ] || try_redis "$type"
	done
done
pool=$shared_pool

expect "nothing is left of any pool" test -z "$(ls -A "$pool")"
plan
