# SPDX-License-Identifier: BSD-3-Clause
# php_fpm.sh: tests php-fpm, which forks new workers all the time. Sourced by
# tests/load/test_fork_programs.sh.

php_pages=240

php_conf() {
	cat <<EOF
[global]
error_log = $php_dir/log
log_level = notice
daemonize = no
process_control_timeout = 10s
[www]
listen = $php_dir/socket
listen.mode = 0666
pm = dynamic
pm.max_children = 6
pm.start_servers = 3
pm.min_spare_servers = 2
pm.max_spare_servers = 4
pm.max_requests = 10
clear_env = no
catch_workers_output = yes
EOF
	[ "$(id -u)" -ne 0 ] || printf 'user = nobody\ngroup = %s\n' "$(id -gn nobody)"
}

# php_tells WHAT COUNT: WHAT is on at least COUNT lines of the log, or the server has ended.
php_tells() {
	gone "$server" || test "$(grep -c "$1" "$php_dir/log")" -ge "$2"
}

php_start() {
	php_conf >"$php_dir/conf"
	: >"$php_dir/log"
	# USE_ZEND_ALLOC=0: without php's own allocator. -n: without extensions, which
	# each process of a reload would load again.
	start "$php_dir/out" env USE_ZEND_ALLOC=0 "$php_fpm" -n -F -y "$php_dir/conf"
	server=$pid
	soon php_tells 'ready to handle connections' 1 && ! gone "$server" &&
		soon test -S "$php_dir/socket"
}

# php_ask NAME: asks for all pages, and puts digests into $work/NAME.
php_ask() {
	timeout -k 5 60 python3 "$files/ask_php.py" "$php_dir/socket" \
		"$php_dir/page.php" "$php_pages" >"$work/$1" 2>"$work/$1.processes"
}

# php_same NAME: all answers are those of the server on the ordinary heap, and at least 20
# workers answered, as max_requests requires.
php_same() {
	cat "$work/$1.processes"
	diff "$work/php.plain" "$work/$1" && [ "$(cat "$work/$1.processes")" -ge 20 ]
}

php_reload() {
	kill -s USR2 "$server" && soon php_tells 'ready to handle connections' 2 &&
		! gone "$server"
}

try_php_fpm() {
	what="php-fpm, $where"
	php_dir=$public/php
	mkdir "$php_dir"
	cp "$files/page.php" "$php_dir"
	[ "$(id -u)" -ne 0 ] || chmod 777 "$php_dir"
	expect "$what: starts" php_start
	if [ "$variant" = plain ]; then
		expect "$what: all pages" php_ask php.plain
	else
		expect "$what: all pages" php_ask php.pool
		expect "$what: all pages are right, from many processes" php_same php.pool
		expect "$what: all processes on pools" soon on_pools "$server" 2
		expect "$what: reload" php_reload
		expect "$what: all pages again" php_ask php.again
		expect "$what: all pages are right again" php_same php.again
		expect "$what: all processes on pools again" soon on_pools "$server" 2
	fi
	expect "$what: clean stop" stopped QUIT "$server"
	expect "$what: the log has no errors" none \
		'SIGSEGV|SIGABRT|SIGBUS|on signal|ERROR|ALERT|libvmmalloc' \
		"$php_dir/log"
	rm -rf "$php_dir"
}

# Debian has the version in the name of the program.
for php_fpm in /usr/sbin/php-fpm /usr/sbin/php-fpm[0-9]*; do
	[ ! -x "$php_fpm" ] || break
done
pool_size=128M
if ! asked_for php-fpm; then
	:
elif ! [ -x "$php_fpm" ]; then
	skip php-fpm "needs php-fpm"
elif ! command -v python3 >/dev/null 2>&1; then
	skip php-fpm "needs python3 for the client"
else
	plain_and_pools try_php_fpm
fi
