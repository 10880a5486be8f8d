#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_servers.sh: programs that live by fork(2), all of their processes on pools:
# shells, make and python3 by the hundred; PostgreSQL, redis, Apache, memcached and nginx
# under load, every answer checked.
#
# SERVER_SECONDS: how long each server is under load, with each setting; some seconds if
# it is not set, 20 under CI_FULL. SERVER_KINDS, SERVER_SETTINGS: these alone.
. "${top_srcdir:-..}/tests/support/lib.sh"

[ -z "${CI_FULL-}" ] || : "${SERVER_SECONDS:=20}"
: "${SERVER_SECONDS=}"
: "${SERVER_KINDS:=programs PostgreSQL redis Apache memcached nginx}"

asked=$SERVER_KINDS
. "$top_srcdir/tests/load/servers.sh"
pool=$shared_pool
[ "$(variants)" = release ] || settings="$settings debug,3"
settings=${SERVER_SETTINGS:-$settings}
bounded="timeout -k 10 $((120 + ${SERVER_SECONDS:-0}))"

# until_over COMMAND...: again and again, it succeeds while the load is meant to last.
until_over() {
	over=$(($(date +%s) + SERVER_SECONDS))
	times=0
	while [ "$(date +%s)" -lt $over ]; do
		"$@" || return 1
		times=$((times + 1))
	done
	[ $times -gt 0 ]
}

#
# Programs whose output is the same without a pool.
#

# run_in DIR COMMAND: in a fresh directory, output and status into files.
run_in() {
	run_dir=$work/$1
	shift
	rm -rf "$run_dir"
	mkdir "$run_dir"
	(cd "$run_dir" && "$@") >"$run_dir.out" 2>"$run_dir.err" </dev/null
	echo "status $?" >>"$run_dir.out"
}

# same_output NAME: and processes NAME, and all others, had their heaps on pools.
same_output() {
	diff "$work/plain.out" "$work/pool.out" &&
		diff "$work/plain.err" "$work/pool.err" || return 1
	grep -q "^$1[^ ]* in=yes pool=[1-9][0-9]* pool-rss=[1-9]" "$work/probe" ||
		{ echo "no process $1 on a pool"; return 1; }
	! grep -v ' in=yes .* brk-rss=0 ' "$work/probe"
}

# same WHAT NAME COMMAND...: plain, and with each setting.
same() {
	same_what=$1 same_name=$2
	shift 2
	if ! command -v "$same_name" >/dev/null 2>&1; then
		skip "$same_what" "no $same_name here"
		return
	fi
	run_in plain "$@"
	for setting in $settings; do
		use "$setting"
		rm -f "$work/probe"
		run_in pool timeout -k 10 120 env VMMALLOC_POOL_DIR="$pool" \
			VMMALLOC_POOL_SIZE="$pool_size" VMMALLOC_FORK="$fork" \
			LD_PRELOAD="$public/$variant/libvmmalloc.so.1 $probe" \
			PROBE_FILE="$work/probe" "$@"
		expect "$same_what, $setting" same_output "$same_name"
	done
}

cat >"$work/shells.bash" <<'END'
declare -A table
for i in {1..2000}; do table[$i]="value $i of many"; done
# Substitutions in substitutions; what a subshell changes is its own.
for i in {1..150}; do
	x=$(table[$i]="changed $i"
		echo "${table[$i]} $(echo $((i * i)) | tr 0-9 a-j)")
	table[$((i + 1))]+=" $(unset 'table[7]'; echo ${#table[@]})"
	echo "$x: ${table[$i]}"
done
# Pipelines of subshells that are at work at the same time.
for i in {1..100}; do
	for ((j = 0; j < 20; j++)); do echo "$i $j ${table[$j]}"; done |
		while read -r a b rest; do echo "$((a * b)) $rest"; done |
		{ mapfile -t lines; echo "${#lines[@]} ${lines[19]}"; }
done
# Jobs in the background, by the handful, and their status.
for i in {1..40}; do
	pids=()
	for j in {1..5}; do
		(for ((k = 0; k < 200; k++)); do table[new$k]=$k; done
			exit $(((i * j + ${#table[@]}) % 100))) & pids+=($!)
	done
	for p in "${pids[@]}"; do wait "$p"; echo -n "$? "; done; echo
done
for i in {1..40}; do
	paste <(echo "$i") <(printf '%s\n' "${table[$i]}") - <<<"here $i"
done
# Deep ones.
deep() { if (($1 > 0)); then (table[$1]=$1; deep $(($1 - 1))); else
	echo "${#table[@]} $BASH_SUBSHELL"; fi; }
deep 40; wait
printf '%s\n' "${table[@]}" | cksum
END

cat >"$work/Makefile" <<'END'
names := $(foreach n,1 2 3 4 5 6,$(addprefix f$n,0 1 2 3 4 5 6 7 8 9))
letters := $(foreach n,$(names),$(shell echo $n | tr 0-9 a-j))
all: $(names); @cat $^; echo $(letters)
$(names): common
	@seq 300 | sed "s/^/$@ /" | sort -r | cksum >$@
	@for i in 1 2 3; do (echo $@; echo $$i) | while read x; do \
		echo "$$x `tr a-z A-Z <common`"; done; done >>$@
common:; @(echo this; echo that) | tee $@ | wc -l
END

cat >"$work/forks.py" <<'END'
import multiprocessing, os, zlib
N = 40000
shared = {i: [i, "number %d" % i] for i in range(N)}

def change(n):
    # Each task has entries of its own: the result is the same in any worker.
    total = 0
    for i in range(n, N, 200):
        shared[i] = [i, shared[i][1][:9] + " changed by %d" % n * (n % 5), [n] * 10]
        total += len(shared[i][1]) + shared[i][0]
    return total

def digest():
    sum = 0
    for i in range(0, N, 3):
        sum = zlib.crc32(repr(shared[i]).encode(), sum)
    return sum

if __name__ == "__main__":
    before = digest()
    # New workers all the time, forked by a thread while others are at work.
    with multiprocessing.get_context("fork").Pool(4, maxtasksperchild=10) as pool:
        totals = pool.map(change, range(200), chunksize=1)
        pool.close()
        pool.join()
    # Not before: a worker that is forked with it in a buffer prints it, too.
    print(totals)
    print(before == digest())
    for n in range(100):
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            change(n)
            os.write(write, b"%d %d" % (n, digest()))
            os._exit(n % 50)
        os.close(write)
        # The parent goes on changing, too.
        shared[n] = [n, "parent's", n]
        print(os.read(read, 100).decode(), os.waitstatus_to_exitcode(
            os.waitpid(child, 0)[1]))
        os.close(read)
    print(digest())
END

if asked_for programs; then
	same "bash: a thousand subshells" bash bash "$work/shells.bash"
	same "make -j4" make make -s -j4 -f "$work/Makefile"
	# Small objects would otherwise be in mappings of Python's own.
	pool_size=256M
	same "python3: multiprocessing, os.fork" python3 env PYTHONMALLOC=malloc \
		python3 -W ignore "$work/forks.py"
fi
pool_size=256M

#
# PostgreSQL
#

pg_setting="-c min_parallel_table_scan_size=0 -c parallel_setup_cost=0
	-c parallel_tuple_cost=0 -c max_parallel_workers_per_gather=3"

pg() {
	pg_program=$1
	shift
	preloaded env PGHOST="$pg_dir" PGPORT=5432 PGUSER=admin PGDATABASE=postgres \
		PGCONNECT_TIMEOUT=30 PGOPTIONS="${pg_options-}" \
		"$pg_bin/$pg_program" "$@"
}

# pg_bench ARGUMENT...: transactions are made, and none fails.
pg_bench() {
	pg pgbench -n "$@" >"$work/pgbench" 2>&1
	pg_status=$?
	cat "$work/pgbench"
	[ $pg_status -eq 0 ] && grep -q 'processed: [1-9]' "$work/pgbench" &&
		none 'failed transactions: [1-9]|rror|abort' "$work/pgbench"
}

# What was handed out has arrived everywhere, and once.
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

postgresql() {
	what="PostgreSQL, $variant,$fork"
	pg_dir=$public/pg
	mkdir "$pg_dir"
	[ -z "$as" ] || chown "$user" "$pg_dir" "$pool"
	expect "$what: initdb" pg initdb -N -D "$pg_dir/data" -U admin -A trust \
		--no-locale -E UTF8
	# Shared memory is in files there, too, so that none can stay behind.
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
	expect "$what: every sum is right" pg_consistent
	expect "$what: parallel workers" pg_parallel
	expect "$what: clean stop" stopped INT "$server"
	expect "$what: no complaint in its log" \
		none 'PANIC|FATAL|ERROR|WARNING|crash|by signal|libvmmalloc' \
		"$pg_dir.log"
	[ -z "$as" ] || chown root "$pool"
	rm -rf "$pg_dir" "$pg_dir.log"
}

# Debian keeps them from PATH.
for pg_bin in "$(pg_config --bindir 2>/dev/null)" /usr/lib/postgresql/*/bin; do
	[ ! -x "$pg_bin/postgres" ] || [ ! -x "$pg_bin/pgbench" ] || break
done
user=$(id -un)
if [ "$(id -u)" -eq 0 ]; then
	user=nobody
	as="setpriv --reuid=$(id -u nobody) --regid=$(id -g nobody) --clear-groups"
fi
if ! asked_for PostgreSQL; then
	:
elif ! [ -x "$pg_bin/postgres" ] || ! [ -x "$pg_bin/pgbench" ]; then
	skip PostgreSQL "no PostgreSQL server with pgbench here"
elif [ -n "$as" ] && ! $as true 2>/dev/null; then
	skip PostgreSQL "does not run as root, and there is no setpriv to leave root"
else
	for setting in $settings; do
		use "$setting"
		postgresql
	done
fi
as=

# ask KIND SOCKET: begins to ask, and to check each answer, in the background.
ask() {
	start "$work/answers" python3 "$top_srcdir/tests/load/answers.py" "$1" "$2" \
		"${SERVER_SECONDS:-4}"
	asking=$pid
}

# answered: every answer was right.
answered() {
	patience=${SERVER_SECONDS:-0}
	expect "$what: every answer" status_of "$asking"
	patience=0
	comment "$work/answers"
}

#
# redis
#

cli() {
	preloaded redis-cli -s "$redis_dir/socket" "$@"
}

# redis_says COMMAND TEXT: it prints that, possibly among other things.
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

# redis_save DUMP: the child that writes it, while the server goes on, does it well.
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

# While another client checks what it is answered, dump after dump.
redis_saves() {
	redis_save "$work/dump" && rm -f "$work/dump"
}

redis_asked() {
	ask redis "$redis_dir/socket"
	if [ -n "$SERVER_SECONDS" ]; then
		expect "$what: BGSAVE for $SERVER_SECONDS seconds" \
			until_over redis_saves
		echo "# $times dumps"
	fi
	answered
}

redis() {
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
	expect "$what: on its pool" soon on_pools "$server" 0
	expect "$what: the load went on" redis_loaded
	kill "$load"
	status_of "$load" >/dev/null 2>&1
	expect "$what: the dumps differ" sh -c "! cmp -s $work/dump.1 $work/dump.8"
	expect "$what: BGSAVE at rest" redis_save "$work/dump"
	redis_sums >"$work/before"
	cli SHUTDOWN NOSAVE
	expect "$what: clean stop" status_of "$server"
	expect "$what: no complaint in its log" none \
		'BUG REPORT|crash|ASSERT|saving error|an.t save|libvmmalloc' \
		"$redis_dir/log"
	# It asks its allocator for a thread that purges, which it does not get.
	expect "$what: nor one of jemalloc's" none '<jemalloc>' "$redis_dir/log"
	expect "$what: starts from the dump" redis_start
	redis_sums >"$work/after"
	expect "$what: everything is there" cmp "$work/before" "$work/after"
	cli SHUTDOWN NOSAVE
	expect "$what: clean stop again" status_of "$server"
	rm -rf "$redis_dir" "$work"/dump*
}

# Debian's redis-tools has the server, by another name.
redis_server=$(command -v redis-server)
if [ -z "$redis_server" ] && command -v redis-check-rdb >/dev/null 2>&1; then
	redis_server=$public/redis-server
	ln -s "$(readlink -f "$(command -v redis-check-rdb)")" "$redis_server"
fi
case $("${redis_server:-false}" --version 2>/dev/null) in
*" v="[0-6].*) redis_missing="needs redis 7, for DEBUG" ;;
"Redis server "*) redis_missing= ;;
*) redis_missing="no redis server here" ;;
esac
command -v redis-benchmark >/dev/null 2>&1 || redis_missing="no redis-benchmark here"
command -v python3 >/dev/null 2>&1 || redis_missing="no python3 here"
pool_size=512M
for type in "a pool" ext4; do
	if ! asked_for redis; then
		continue
	elif [ -n "$redis_missing" ]; then
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
		[ "$type $variant" = "ext4 debug" ] || redis "$type"
	done
done
pool=$shared_pool

#
# Apache
#

web_conf() {
	cat <<END
ServerName 127.0.0.1
Listen 127.0.0.1:$1
PidFile $web_dir/pid
DefaultRuntimeDir $web_dir
DocumentRoot $web_dir
ErrorLog $web_dir/log
LogFormat "%P %>s %B" short
CustomLog $web_dir/access short
User nobody
Group #$(id -g nobody)
LoadModule mpm_prefork_module $web_modules/mod_mpm_prefork.so
LoadModule authz_core_module $web_modules/mod_authz_core.so
StartServers 4
MinSpareServers 16
MaxSpareServers 24
MaxRequestWorkers 24
MaxConnectionsPerChild 50
END
}

# web_runs N: it has said so N times, or ended.
web_runs() {
	gone "$server" || test "$(grep -c 'resuming normal' "$web_dir/log")" -eq "$1"
}

# On the first port that nobody else has.
web_start() {
	for port in 1 2 3 4 5; do
		port=$((20000 + ($$ + port) % 10000))
		web_conf $port >"$web_dir/conf"
		: >"$web_dir/log"
		start "$web_dir/out" "$web_server" -f "$web_dir/conf" -DFOREGROUND
		server=$pid
		soon web_runs 1
		gone "$server" || return 0
		status_of "$server"
		cat "$web_dir/out" "$web_dir/log"
		grep -q 'Address already in use' "$web_dir/out" "$web_dir/log" ||
			return 1
	done
	return 1
}

web_load() {
	start "$work/ab$1" ab -q -n 3000 -c 8 "http://127.0.0.1:$port/page"
}

# web_served LOAD PID: all of it.
web_served() {
	status_of "$2"
	cat "$work/ab$1"
	grep -q '^Complete requests: *3000$' "$work/ab$1" &&
		grep -q '^Failed requests: *0$' "$work/ab$1" &&
		none '^Non-2xx|^Write errors' "$work/ab$1"
}

web_half_done() {
	[ "$(wc -l <"$web_dir/access")" -gt 1500 ]
}

web_restart() {
	kill -s USR1 "$server" && soon web_runs "$1" && ! gone "$server"
}

# Load and restart, again and again.
web_round() {
	rounds=$((rounds + 1))
	web_load 3
	load=$pid
	web_restart $((rounds + 3)) && web_served 3 "$load"
}

web_page() {
	preloaded bash -c "exec 3<>/dev/tcp/127.0.0.1/$port
		printf 'GET /page HTTP/1.0\r\n\r\n' >&3; cat <&3" |
		sed '1,/^\r*$/d' >"$work/page"
	cmp "$web_dir/page" "$work/page"
}

# Of all requests, by which child they were served and how.
web_access() {
	awk '!seen[$1]++ { children++ } $2 != 200 { bad++ }
		END { print NR, "requests,", children, "children,", bad + 0, "bad"
		exit !(NR > 6000 && children > 100 && bad == 0) }' "$web_dir/access"
}

web() {
	what="Apache, $variant,$fork"
	web_dir=$public/web
	mkdir "$web_dir"
	seq 10000 >"$web_dir/page"
	expect "$what: starts" web_start
	web_load 1
	load=$pid
	soon web_half_done
	expect "$what: graceful restart under load" web_restart 2
	expect "$what: 3000 requests meanwhile" web_served 1 "$load"
	web_load 2
	expect "$what: 3000 requests" web_served 2 "$pid"
	expect "$what: the page" web_page
	expect "$what: all processes on pools" soon on_pools "$server" 4
	expect "$what: graceful restart" web_restart 3
	if [ -n "$SERVER_SECONDS" ]; then
		rounds=0
		expect "$what: load and restarts for $SERVER_SECONDS seconds" \
			until_over web_round
		echo "# $rounds times 3000 requests"
	fi
	expect "$what: clean stop" stopped TERM "$server"
	expect "$what: every request, by many children" web_access
	expect "$what: no complaint in its log" none \
		'exit signal|egmentation|:error|:crit|:emerg|libvmmalloc' \
		"$web_dir/log"
	rm -rf "$web_dir"
}

web_server=$(command -v apache2 || command -v /usr/sbin/apache2)
web_modules=/usr/lib/apache2/modules
pool_size=64M
if ! asked_for Apache; then
	:
elif [ -z "$web_server" ] || ! command -v ab >/dev/null 2>&1; then
	skip Apache "no apache2, or no ab, here"
elif ! [ -e $web_modules/mod_mpm_prefork.so ]; then
	skip Apache "it cannot fork ahead here: no mod_mpm_prefork"
else
	for setting in $settings; do
		use "$setting"
		web
	done
fi

#
# memcached
#

memcached() {
	what="memcached, $variant,$fork"
	mem_dir=$public/mem
	mkdir "$mem_dir"
	# Root's becomes nobody's, but not before its pool is open.
	chmod 777 "$mem_dir"
	start "$mem_dir.log" memcached -s "$mem_dir/socket" -a 777 -m 512 -t 4 -u nobody
	server=$pid
	expect "$what: starts" soon test -S "$mem_dir/socket"
	ask memcached "$mem_dir/socket"
	expect "$what: on its pool" soon on_pools "$server" 0
	answered
	expect "$what: clean stop" stopped TERM "$server"
	expect "$what: no complaint" none 'rror|ailed|libvmmalloc' "$mem_dir.log"
	rm -rf "$mem_dir" "$mem_dir.log"
}

pool_size=1G
if ! asked_for memcached; then
	:
elif ! command -v memcached >/dev/null 2>&1; then
	skip memcached "no memcached here"
elif ! command -v python3 >/dev/null 2>&1; then
	skip memcached "no python3 here, to ask it"
else
	for setting in $settings; do
		use "$setting"
		memcached
	done
fi

#
# nginx
#

nginx_conf() {
	[ "$(id -u)" -ne 0 ] || echo "user nobody $(id -gn nobody);"
	cat <<END
daemon off;
worker_processes 4;
pid $web_dir/pid;
error_log $web_dir/log notice;
events { worker_connections 256; }
http {
	access_log off;
	client_body_temp_path $web_dir/body;
	proxy_temp_path $web_dir/proxy;
	fastcgi_temp_path $web_dir/fastcgi;
	uwsgi_temp_path $web_dir/uwsgi;
	scgi_temp_path $web_dir/scgi;
	gzip on;
	gzip_http_version 1.0;
	gzip_types *;
	server {
		listen 127.0.0.1:$1;
		root $web_dir;
	}
}
END
}

# nginx_tells WHAT N: it has said so N times, or ended.
nginx_tells() {
	gone "$server" || test "$(grep -c "$1" "$web_dir/log")" -ge "$2"
}

# On the first port that nobody else has.
nginx_start() {
	for port in 1 2 3 4 5; do
		port=$((20000 + ($$ + port) % 10000))
		nginx_conf $port >"$web_dir/conf"
		: >"$web_dir/log"
		start "$web_dir/out" "$nginx_server" -e "$web_dir/log" \
			-c "$web_dir/conf"
		server=$pid
		soon nginx_tells 'start worker process ' 4
		gone "$server" || return 0
		status_of "$server"
		cat "$web_dir/log"
		grep -q 'Address already in use' "$web_dir/log" || return 1
	done
	return 1
}

# nginx_get HEADER FILE: the page's body.
nginx_get() {
	preloaded bash -c "exec 3<>/dev/tcp/127.0.0.1/$port
		printf 'GET /page HTTP/1.0\r\n$1\r\n' >&3; cat <&3" |
		sed '1,/^\r*$/d' >"$2"
}

nginx_pages() {
	nginx_get '' "$work/page" && cmp "$web_dir/page" "$work/page" &&
		nginx_get 'Accept-Encoding: gzip\r\n' "$work/page.gz" &&
		gzip -dc <"$work/page.gz" | cmp "$web_dir/page" -
}

# For wrk, each of whose threads has its own: an answer is right that has status 200 and
# one of these bodies, which differ.
nginx_lua() {
	cat <<END
local threads, bodies = {}, {}
for _, name in ipairs({ "$web_dir/page", "$web_dir/small", "$work/page.gz" }) do
	local file = io.open(name, "rb")
	bodies[file:read("*a")] = true
	file:close()
end
function setup(thread)
	table.insert(threads, thread)
end
right, wrong = 0, 0
local number = 0
function request()
	number = number + 1
	local headers = { Connection = "$1" }
	if number % 3 == 0 then headers["Accept-Encoding"] = "gzip" end
	return wrk.format("GET", number % 2 == 0 and "/page" or "/small", headers)
end
function response(status, headers, body)
	if status == 200 and bodies[body] then right = right + 1
	else wrong = wrong + 1 end
end
function done(summary)
	local rights, wrongs, errors = 0, 0, summary.errors
	for _, thread in ipairs(threads) do
		rights = rights + thread:get("right")
		wrongs = wrongs + thread:get("wrong")
	end
	print(string.format("right %d wrong %d errors %d", rights, wrongs,
		errors.connect + errors.read + errors.write + errors.timeout))
end
END
}

# nginx_load CONNECTION: in the background, for half of the time.
nginx_load() {
	nginx_lua "$1" >"$work/lua"
	# It has room for ten million times that it measures.
	pool_size=512M
	start "$work/wrk" wrk -t 2 -c 16 --timeout 30 \
		-d $(((${SERVER_SECONDS:-6} + 1) / 2)) \
		-s "$work/lua" "http://127.0.0.1:$port/"
	load=$pid
	pool_size=64M
}

# nginx_served: thousands of answers, all of them right.
nginx_served() {
	patience=${SERVER_SECONDS:-0}
	status_of "$load"
	patience=0
	cat "$work/wrk"
	grep -q '^right [0-9]\{4,\} wrong 0 errors 0$' "$work/wrk"
}

# Workers that serve go on until they are done, and new ones come.
nginx_reload() {
	reloads=$((reloads + 1))
	kill -s HUP "$server" &&
		soon nginx_tells 'worker process [0-9]* exited with code 0' \
			$((4 * reloads))
}

nginx_reloads() {
	while ! gone "$load"; do
		nginx_reload || return 1
	done
	[ $reloads -gt 3 ]
}

nginx() {
	what="nginx, $variant,$fork"
	web_dir=$public/web
	mkdir "$web_dir"
	seq 10000 >"$web_dir/page"
	echo small >"$web_dir/small"
	reloads=0
	expect "$what: starts" nginx_start
	expect "$what: the page, plain and compressed" nginx_pages
	expect "$what: all processes on pools" soon on_pools "$server" 4
	nginx_load keep-alive
	expect "$what: every answer" nginx_served
	grep '^right' "$work/wrk" | comment
	# New connections all the time: one that is kept, a reload may cut.
	nginx_load close
	expect "$what: graceful reloads under load" nginx_reloads
	expect "$what: every answer meanwhile" nginx_served
	grep '^right' "$work/wrk" | comment
	echo "# $reloads reloads"
	expect "$what: clean stop" stopped QUIT "$server"
	expect "$what: no complaint in its log" none \
		'on signal|\[(warn|error|crit|alert|emerg)\]|libvmmalloc' \
		"$web_dir/log"
	rm -rf "$web_dir"
}

nginx_server=$(command -v nginx || command -v /usr/sbin/nginx)
pool_size=64M
if ! asked_for nginx; then
	:
elif [ -z "$nginx_server" ]; then
	skip nginx "no nginx here"
elif ! command -v wrk >/dev/null 2>&1; then
	skip nginx "no wrk here"
else
	for setting in $settings; do
		use "$setting"
		nginx
	done
fi

expect "nothing is left of any pool" test -z "$(ls -A "$pool")"
plan
