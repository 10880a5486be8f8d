-- SPDX-License-Identifier: BSD-3-Clause
-- work.sql: many kinds of work for sqlite3.
pragma journal_mode = wal;
pragma cache_size = 200;
create table item(id integer primary key, name text unique, price real, tags text);
create table sale(id integer primary key, item references item, day text,
	amount integer, note blob);
create index sale_day on sale(day, item);
create table log(what text, n integer);
create trigger on_sale after insert on sale when new.amount > 8
	begin insert into log values('large', new.amount); end;
begin;
with recursive n(i) as (select 1 union all select i + 1 from n where i < 3000)
	insert into item select i, 'item ' || ((i * 7919) % 30011), i % 97 / 7.0,
		json_array(i % 5, i % 7, 'tag ' || (i % 11)) from n;
with recursive n(i) as (select 1 union all select i + 1 from n where i < 60000)
	insert into sale select i, (i * 31) % 3000 + 1, date('2020-01-01', (i % 700) || ' days'),
		i % 10, zeroblob(i % 200) from n;
savepoint deep;
delete from sale where id % 2;
rollback to deep;
release deep;
commit;
select count(*), sum(n) from log;
select i.name, count(*), sum(s.amount * i.price) as total
	from sale s join item i on i.id = s.item group by i.id
	having count(*) > 10 order by total desc, i.name limit 10;
select day, amount,
	sum(amount) over (order by day, id rows between 20 preceding and current row)
	from sale where item < 40 order by day desc, id limit 10;
select value, count(*) from item, json_each(item.tags)
	group by value order by 2 desc, 1 limit 12;
with recursive mandel(x, y, a, b, n) as (
	select c.id / 20.0 - 2, r.id / 10.0 - 1, 0.0, 0.0, 0 from item c, item r
		where c.id <= 50 and r.id <= 20
	union all select x, y, a * a - b * b + x, 2 * a * b + y, n + 1 from mandel
		where a * a + b * b < 4 and n < 30)
	select sum(n), count(*) from mandel;
create virtual table words using fts5(body);
insert into words select 'the ' || name || ' has ' || replace(tags, ',', ' and ') from item;
select count(*) from words where words match 'tag AND 30* NOT 7';
update item set name = name || upper(hex(zeroblob(id % 300))) where id % 3 = 0;
select sum(length(name)), max(length(name)) from item;
create table changed as select * from sale order by note, day limit 20000;
delete from changed where rowid % 4;
vacuum;
pragma integrity_check;
pragma foreign_key_check;
attach 'other.db' as other;
create table other.copy as select * from item;
insert into other.copy select id + 10000, name || '2', price, tags from item;
detach other;
select group_concat(upper(substr(name, 1, 9)), ';')
	from (select name from item order by name desc limit 5);
explain query plan select * from sale where day > '2021-01-01' order by item;
