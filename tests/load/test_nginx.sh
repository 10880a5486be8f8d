#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_nginx.sh: nginx with four worker processes, all on pools, under wrk and graceful
# reloads. Every answer is checked.
. "${top_srcdir:-..}/tests/support/lib.sh"
. "$top_srcdir/tests/load/server_tests.sh"

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

# nginx_tells WHAT N: WHAT is on at least N lines of the log, or the server has ended.
nginx_tells() {
	gone "$server" || test "$(grep -c "$1" "$web_dir/log")" -ge "$2"
}

# Starts the server on the first of five ports that is free.
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

# nginx_get HEADER FILE: puts the page's body into FILE.
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

# nginx_lua CONNECTION: prints a script for wrk. Each thread of wrk has its own copy. An
# answer is right if it has status 200 and one of three different bodies.
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

# nginx_load CONNECTION: starts wrk in the background, for half of $SERVER_SECONDS.
nginx_load() {
	nginx_lua "$1" >"$work/lua"
	# wrk allocates room for ten million measurements.
	pool_size=512M
	start "$work/wrk" wrk -t 2 -c 16 --timeout 30 \
		-d $(((${SERVER_SECONDS:-6} + 1) / 2)) \
		-s "$work/lua" "http://127.0.0.1:$port/"
	load=$pid
	pool_size=64M
}

# nginx_served: wrk has ended, with thousands of answers, all right.
nginx_served() {
	patience=${SERVER_SECONDS:-0}
	status_of "$load"
	patience=0
	cat "$work/wrk"
	grep -q '^right [0-9]\{4,\} wrong 0 errors 0$' "$work/wrk"
}

# Old workers finish their connections. New ones take over.
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

try_nginx() {
	what="nginx, $variant,$fork"
	web_dir=$public/web
	mkdir "$web_dir"
	seq 10000 >"$web_dir/page"
	echo small >"$web_dir/small"
	reloads=0
	expect "$what: starts" nginx_start
	expect "$what: the page is the same, plain and compressed" nginx_pages
	expect "$what: all processes on pools" soon on_pools "$server" 4
	nginx_load keep-alive
	expect "$what: every answer is right" nginx_served
	grep '^right' "$work/wrk" | comment
	# With close: a reload may cut a connection that is kept alive.
	nginx_load close
	expect "$what: graceful reloads under load" nginx_reloads
	expect "$what: every answer meanwhile is right" nginx_served
	grep '^right' "$work/wrk" | comment
	echo "# $reloads reloads"
	expect "$what: clean stop" stopped QUIT "$server"
	expect "$what: the log has no errors" none \
		'on signal|\[(warn|error|crit|alert|emerg)\]|libvmmalloc' \
		"$web_dir/log"
	rm -rf "$web_dir"
}

nginx_server=$(command -v nginx || command -v /usr/sbin/nginx)
pool_size=64M
if [ -z "$nginx_server" ]; then
	skip nginx "needs nginx"
elif ! command -v wrk >/dev/null 2>&1; then
	skip nginx "needs wrk"
else
	with_each_setting try_nginx
fi

expect "nothing is left of any pool" test -z "$(ls -A "$pool")"
plan
