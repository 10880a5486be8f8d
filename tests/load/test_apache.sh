#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_apache.sh: Apache with processes that it forks ahead (prefork), all on pools,
# under load and graceful restarts. Every request is answered.
. "${top_srcdir:-..}/tests/support/lib.sh"
. "$top_srcdir/tests/load/server_tests.sh"

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

# web_runs N: the server has logged N starts, or it has ended.
web_runs() {
	gone "$server" || test "$(grep -c 'resuming normal' "$web_dir/log")" -eq "$1"
}

# Starts the server on the first of five ports that is free.
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

# web_served LOAD PID: the load has ended, and all its requests were answered.
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

# For until_over: 3000 requests, and a restart meanwhile.
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

# All requests had status 200, and more than 100 children served them.
web_access() {
	awk '!seen[$1]++ { children++ } $2 != 200 { bad++ }
		END { print NR, "requests,", children, "children,", bad + 0, "bad"
		exit !(NR > 6000 && children > 100 && bad == 0) }' "$web_dir/access"
}

try_apache() {
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
	expect "$what: the page is the same" web_page
	expect "$what: all processes on pools" soon on_pools "$server" 4
	expect "$what: graceful restart" web_restart 3
	if [ -n "$SERVER_SECONDS" ]; then
		rounds=0
		expect "$what: load and restarts for $SERVER_SECONDS seconds" \
			until_over web_round
		echo "# $rounds times 3000 requests"
	fi
	expect "$what: clean stop" stopped TERM "$server"
	expect "$what: many children served all requests" web_access
	expect "$what: the log has no errors" none \
		'exit signal|egmentation|:error|:crit|:emerg|libvmmalloc' \
		"$web_dir/log"
	rm -rf "$web_dir"
}

web_server=$(command -v apache2 || command -v /usr/sbin/apache2)
web_modules=/usr/lib/apache2/modules
pool_size=64M
if [ -z "$web_server" ] || ! command -v ab >/dev/null 2>&1; then
	skip Apache "needs apache2 and ab"
elif ! [ -e $web_modules/mod_mpm_prefork.so ]; then
	skip Apache "needs mod_mpm_prefork, to fork ahead"
else
	with_each_setting try_apache
fi

expect "nothing is left of any pool" test -z "$(ls -A "$pool")"
plan
