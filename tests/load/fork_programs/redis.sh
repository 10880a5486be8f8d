# SPDX-License-Identifier: BSD-3-Clause
# redis.sh: tests redis with threads for its connections. It forks to save a dump, while
# clients write. Sourced by tests/load/test_fork_programs.sh.

redis_keys=100000
# After the return of the heap, private memory may have grown by this much.
redis_private_kb=4096
redis_quiet_seconds=5

redis_cli() {
	timeout -k 5 60 redis-cli -s "$redis_dir/socket" "$@"
}

# redis_says TEXT COMMAND...: TEXT is in the answer to COMMAND.
redis_says() {
	redis_text=$1
	shift
	redis_cli "$@" | tr -d '\r' | grep "$redis_text"
}

redis_start() {
	start "$redis_dir/log" "$redis_server" --port 0 --save "" \
		--unixsocket "$redis_dir/socket" --dir "$redis_dir" \
		--io-threads 4 --io-threads-do-reads yes --enable-debug-command yes
	server=$pid
	soon redis_says '^PONG$' PING
}

# Stores keys all over the heap. The load changes them.
redis_fill() {
	redis_says '^OK$' EVAL "for i = 0, $redis_keys - 1 do
		redis.call('set', string.format('key:%012d', i), string.rep('v', 400))
	end return redis.status_reply('OK')" 0
}

# Starts a load that changes keys from several connections, until it is killed.
redis_load() {
	redis-benchmark -s "$redis_dir/socket" -c 16 -P 4 -l -q -t set,hset,zadd \
		-r $redis_keys -n 20000 -d 300 >"$work/load" 2>&1 &
	load=$!
	started="$started $load"
}

# Starts a client in the background that checks all answers.
redis_ask() {
	timeout -k 5 60 python3 "$top_srcdir/tests/load/answers.py" redis \
		"$redis_dir/socket" 1 >"$work/answers" 2>&1 &
	asking=$!
	started="$started $asking"
}

# redis_memory WHEN: prints the resident memory of the server: private, and of files.
redis_memory() {
	awk -v when="$1" '/^Rss/ { kb[$1] = $2 } END {
		print when ": private " kb["RssAnon:"] " KiB, of files " \
			kb["RssFile:"] + kb["RssShmem:"] " KiB" }' \
		"/proc/$server/status" | comment
}

redis_private() {
	awk '/^RssAnon:/ { print $2 }' "/proc/$server/status"
}

# Succeeds if no dump is being written. Keeps in $redis_most the largest private memory that
# was seen.
redis_saved() {
	redis_now=$(redis_private)
	[ "$redis_now" -le "$redis_most" ] || redis_most=$redis_now
	redis_says '^rdb_bgsave_in_progress:0' INFO persistence
}

# redis_save DUMP: a child of the server writes a dump. The dump is whole.
redis_save() {
	redis_most=0
	rm -f "$redis_dir/dump.rdb"
	redis_says '^Background saving started' BGSAVE &&
		soon redis_saved &&
		redis_says '^rdb_last_bgsave_status:ok$' INFO persistence &&
		mv "$redis_dir/dump.rdb" "$1" && redis-check-rdb "$1"
}

# Sends a few requests at a time until the heap has returned. Fails after
# $redis_quiet_seconds.
redis_returns() {
	redis_end=$(($(date +%s) + redis_quiet_seconds))
	while [ "$(redis_private)" -gt $((redis_before + redis_private_kb)) ]; do
		[ "$(date +%s)" -lt $redis_end ] || return 1
		redis-benchmark -s "$redis_dir/socket" -c 1 -n 500 -r $redis_keys -d 300 \
			-q -t set >/dev/null
		sleep 0.1
	done
}

redis_digest() {
	redis_cli DBSIZE && redis_cli DEBUG DIGEST
}

redis_loaded() {
	! gone "$load" && grep rps "$work/load"
}

redis_has_threads() {
	[ "$(grep -c '^io_thd' "/proc/$server"/task/*/comm | grep -c ':1$')" -ge 3 ]
}

try_redis() {
	what="redis, $where"
	redis_dir=$public/redis
	mkdir "$redis_dir"
	expect "$what: starts" redis_start
	expect "$what: has threads for its connections" soon redis_has_threads
	expect "$what: filled" redis_fill
	redis_load
	sleep 0.5
	redis_before=$(redis_private)
	redis_memory "$what: before BGSAVE 1"
	redis_saves=8
	# Two are enough on the ordinary heap, and on ext4 after tmpfs.
	[ "$variant" != plain ] && [ "$place" != ext4 ] || redis_saves=2
	for redis_i in $(seq $redis_saves); do
		expect "$what: BGSAVE $redis_i under load" redis_save "$work/dump.$redis_i"
		echo "# $what: BGSAVE $redis_i: private $redis_most KiB at most"
	done
	[ "$variant" = plain ] ||
		expect "$what: the heap is in the pool" soon on_pools "$server" 0
	expect "$what: the load is still running" redis_loaded
	kill "$load"
	status_of "$load" >/dev/null 2>&1
	# With the delay, the child lives longer, and more of the heap becomes private.
	redis_ask
	redis_cli CONFIG SET rdb-key-save-delay -8 >/dev/null
	expect "$what: slow BGSAVE while answers are checked" redis_save "$work/dump"
	redis_cli CONFIG SET rdb-key-save-delay 0 >/dev/null
	expect "$what: every answer was right" status_of "$asking"
	comment "$work/answers"
	echo "# $what: private $redis_most KiB at most"
	redis_memory "$what: after BGSAVE"
	if [ "$variant" != plain ]; then
		redis_begin=$(date +%s)
		expect "$what: the heap returns under a small load" redis_returns
		redis_memory "$what: $(($(date +%s) - redis_begin)) s later"
	fi
	expect "$what: BGSAVE without load" redis_save "$work/dump"
	redis_digest >"$work/digest"
	cp "$work/dump" "$redis_dir/dump.rdb"
	redis_cli SHUTDOWN NOSAVE
	expect "$what: clean stop" status_of "$server"
	expect "$what: the log has no errors" none \
		'BUG REPORT|crash|ASSERT|saving error|an.t save|libvmmalloc|<jemalloc>' \
		"$redis_dir/log"
	expect "$what: starts from the dump" redis_start
	redis_digest >"$work/digest.again"
	expect "$what: all data is there" cmp "$work/digest" "$work/digest.again"
	redis_cli SHUTDOWN NOSAVE
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
if ! asked_for redis; then
	:
elif [ -n "$redis_missing" ]; then
	skip redis "$redis_missing"
else
	plain_and_pools try_redis
	on_ext4 redis try_redis release,1
fi
