# SPDX-License-Identifier: BSD-3-Clause
# work_mariadb.sh: starts a new MariaDB server in the current directory, and its clients.
user=$(id -un)
mariadb-install-db --no-defaults --datadir="$PWD/data" --skip-test-db --force \
	--auth-root-authentication-method=normal --user="$user" >install 2>&1 || cat install
mariadbd --no-defaults --datadir="$PWD/data" --user="$user" --skip-networking \
	--socket="$PWD/s" --pid-file="$PWD/p" --innodb-buffer-pool-size=32M >log 2>&1 &
server=$!
m="mariadb --no-defaults -uroot -S $PWD/s -N"
for i in $(seq 600); do
	$m -e "select 1" >/dev/null 2>&1 && break
	sleep 0.1
done
$m -e "create database d;
	create table d.t(a int primary key, b varchar(200), c double, key(b)) engine=innodb;
	create table d.m(a int, b text) engine=aria;
	use d; insert into d.t select seq, repeat(md5(seq), seq % 6), seq / 3 from seq_1_to_30000;
	insert into d.m select a, b from d.t"
clients=
for i in 1 2 3 4 5 6; do
	for j in $(seq 100 299); do
		echo "update d.t set c = c + 1 where a = $i$j;"
	done | $m d &
	clients="$clients $!"
done
wait $clients
$m -e "select count(*), sum(a), round(sum(c)) from d.t;
	select b, count(*) n from d.m group by b order by n desc, b limit 3;
	check table d.t, d.m;
	select a, row_number() over (order by c desc, a) from d.t limit 5;
	select x.a, y.b from d.t x join d.m y on x.b = y.b and x.a = y.a + 6 limit 3;
	select length(group_concat(a)) from d.t where a < 150;
	shutdown"
wait $server
echo $?
grep -iE 'error|assert|signal|libvmmalloc' log
exit 0
