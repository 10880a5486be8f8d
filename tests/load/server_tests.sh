# SPDX-License-Identifier: BSD-3-Clause
# server_tests.sh: functions for the tests of shells and servers: they set variant and
# VMMALLOC_FORK, keep a server under load, and start a client that checks answers. Sourced
# after lib.sh, before anything else.
#
# SERVER_SECONDS: how long each server is under load with each setting. The default is a
# few seconds; with CI_FULL it is 10. SERVER_SETTINGS: test only these settings.

[ -z "${CI_FULL-}" ] || : "${SERVER_SECONDS:=10}"
: "${SERVER_SECONDS=}"

. "$top_srcdir/tests/load/servers.sh"
pool=$shared_pool
[ "$(variants)" = release ] || settings="$settings debug,3"
settings=${SERVER_SETTINGS:-$settings}
bounded="timeout -k 10 $((120 + ${SERVER_SECONDS:-0}))"

# until_over COMMAND...: repeats the command until $SERVER_SECONDS have passed. Fails if
# the command fails.
until_over() {
	over=$(($(date +%s) + SERVER_SECONDS))
	times=0
	while [ "$(date +%s)" -lt $over ]; do
		"$@" || return 1
		times=$((times + 1))
	done
	[ $times -gt 0 ]
}

# with_each_setting COMMAND...: runs the command with each setting, as $variant and $fork.
with_each_setting() {
	for setting in $settings; do
		use "$setting"
		"$@"
	done
}

# ask KIND SOCKET: starts a client in the background that checks each answer.
ask() {
	start "$work/answers" python3 "$top_srcdir/tests/load/answers.py" "$1" "$2" \
		"${SERVER_SECONDS:-4}"
	asking=$pid
}

# answered: every answer that the client got was right.
answered() {
	patience=${SERVER_SECONDS:-0}
	expect "$what: every answer is right" status_of "$asking"
	patience=0
	comment "$work/answers"
}
