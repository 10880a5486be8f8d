# SPDX-License-Identifier: BSD-3-Clause
# sshd.sh: tests sshd, which forks for each connection. The child forks once more: the part
# without privileges runs in a sandbox. Sourced by tests/load/test_fork_programs.sh.
#
# sshd closes all descriptors, also that of the pool file. So its heap is in the pool
# until the first fork. The fork copies it into ordinary memory, and it does not return.

sshd_conf() {
	cat <<EOF
ListenAddress 127.0.0.1
Port $1
HostKey $sshd_dir/host_key
PidFile none
AuthorizedKeysFile $sshd_dir/user_key.pub
AuthenticationMethods publickey
StrictModes no
UsePAM no
PermitRootLogin prohibit-password
LogLevel VERBOSE
MaxStartups 50
PrintMotd no
PrintLastLog no
Subsystem sftp internal-sftp
EOF
}

sshd_keys() {
	for sshd_key in host_key user_key; do
		ssh-keygen -q -t ed25519 -N '' -C '' -f "$sshd_dir/$sshd_key" || return 1
	done
}

sshd_listens() {
	gone "$server" || grep -q 'Server listening' "$sshd_dir/log"
}

# Starts the server on the first of five ports that is free.
sshd_start() {
	sshd_keys || return 1
	for port in 1 2 3 4 5; do
		port=$((20000 + ($$ + port * 7) % 10000))
		sshd_conf "$port" >"$sshd_dir/conf"
		start "$sshd_dir/log" "$sshd" -D -e -f "$sshd_dir/conf"
		server=$pid
		soon sshd_listens
		gone "$server" || return 0
		status_of "$server"
		cat "$sshd_dir/log"
		grep -q 'Address already in use' "$sshd_dir/log" || return 1
	done
	return 1
}

# sshd_client ssh|sftp ARGUMENT...
sshd_client() {
	sshd_program=$1
	shift
	timeout -k 5 30 "$sshd_program" -F none -i "$sshd_dir/user_key" \
		-o IdentitiesOnly=yes -o IdentityAgent=none -o BatchMode=yes \
		-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
		-o LogLevel=ERROR -o Port="$port" "$@"
}

sshd_runs() {
	sshd_client ssh "$(id -un)@127.0.0.1" "$@"
}

# A command has the right output, input and status.
sshd_command() {
	sshd_runs "seq $1 | cat -n; cat; exit $(($1 % 50))" <"$work/ssh.in" \
		>"$work/ssh.out.$1"
	[ $? -eq $(($1 % 50)) ] || return 1
	{ seq "$1" | cat -n; cat "$work/ssh.in"; } | cmp - "$work/ssh.out.$1"
}

# Five connections one after the other, then three at the same time.
sshd_commands() {
	seq 50000 >"$work/ssh.in"
	for sshd_i in 1 2 3 4 5; do
		sshd_command $((sshd_i * 1000)) || return 1
	done
	sshd_pids=
	for sshd_i in 1 2 3; do
		sshd_command $((sshd_i * 1111)) &
		sshd_pids="$sshd_pids $!"
	done
	sshd_failed=
	for pid in $sshd_pids; do
		wait "$pid" || sshd_failed=yes
	done
	[ -z "$sshd_failed" ]
}

# internal-sftp is part of sshd: this child does not call execve(2).
sshd_files() {
	printf 'put %s %s\nget %s %s\nls -l %s\n' \
		"$work/ssh.in" "$sshd_dir/put" "$sshd_dir/put" "$work/ssh.got" \
		"$sshd_dir" >"$work/ssh.batch"
	sshd_client sftp -b "$work/ssh.batch" "$(id -un)@127.0.0.1" &&
		cmp "$work/ssh.in" "$work/ssh.got"
}

try_sshd() {
	what="sshd, $where"
	sshd_dir=$public/sshd
	mkdir "$sshd_dir"
	expect "$what: starts" sshd_start
	[ "$variant" = plain ] || expect "$what: the heap is in the pool" on_pools "$server" 0
	expect "$what: commands over ssh, login with a key" sshd_commands
	expect "$what: files over sftp" sshd_files
	kill -s TERM "$server"
	status_of "$server" >/dev/null 2>&1
	expect "$what: the log has no errors" none \
		'fatal|terminated|by signal|rror:|libvmmalloc' "$sshd_dir/log"
	rm -rf "$sshd_dir"
}

# The part without privileges needs an empty directory, which Debian's service makes.
sshd_empty=/run/sshd
sshd_made=
if [ "$(id -u)" -eq 0 ] && ! [ -d $sshd_empty ]; then
	mkdir -m 755 $sshd_empty 2>/dev/null && sshd_made=yes
fi
sshd_shell=$(getent passwd "$(id -un)" | cut -d : -f 7)
sshd=$(command -v sshd || command -v /usr/sbin/sshd)
pool_size=64M
if ! asked_for sshd; then
	:
elif [ -z "$sshd" ]; then
	skip sshd "needs sshd"
elif ! command -v ssh >/dev/null 2>&1; then
	skip sshd "needs ssh to log in"
elif [ "$(id -u)" -eq 0 ] && ! [ -d $sshd_empty ]; then
	skip sshd "needs the directory $sshd_empty, which cannot be made"
elif ! "${sshd_shell:-/bin/sh}" -c true >/dev/null 2>&1; then
	skip sshd "needs a user whose shell runs commands"
else
	plain_and_pools try_sshd
fi
[ -z "$sshd_made" ] || rmdir $sshd_empty
