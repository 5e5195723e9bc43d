-- An in-memory database: orders and customers, indexes, joins, groupings, updates and deletes.
-- The table `scale` (one row, column s) says how much; 1 takes a second or two.
pragma journal_mode = off;
pragma temp_store = memory;

create table customer (id integer primary key, name text, city text, note text);
create table purchase (id integer primary key, customer integer, item text, price real, day text);

with recursive n(i) as (select 1 union all select i + 1 from n, scale where i < 40000 * s)
insert into customer
select i, 'customer ' || (i * 7919 % 100003), 'city ' || (i * 31 % 997),
       printf('%.*c', 5 + i % 60, 'x') from n;

with recursive n(i) as (select 1 union all select i + 1 from n, scale where i < 200000 * s)
insert into purchase
select i, 1 + i * 7919 % (select count(*) from customer), 'item ' || (i * 13 % 4999),
       (i * 37 % 10000) / 100.0, date('2020-01-01', (i % 1500) || ' days') from n;

create index purchase_customer on purchase (customer);
create index purchase_day on purchase (day, item);
create index customer_city on customer (city);

select 'sales by city', count(*), round(sum(total), 2)
from (select city, sum(price) as total from customer join purchase on customer.id = customer
      group by city having total > 10);
select 'longest list', max(length(items))
from (select group_concat(item, ',') as items from purchase group by day);
select 'names', count(distinct upper(substr(name, 1, 12)) || city) from customer;
select 'best days', group_concat(day)
from (select day from purchase group by day order by sum(price) desc, day limit 5);
select 'ranked', sum(place)
from (select rank() over (partition by day order by price desc) as place from purchase);

update purchase set item = item || ' (' || customer || ')', price = price * 1.1 where id % 3 = 0;
delete from purchase where id % 5 = 0;
delete from customer where id not in (select customer from purchase);
insert into purchase select id + 10000000, customer, replace(item, 'item', 'again'), price, day
from purchase where id % 4 = 1;

select 'rows', (select count(*) from customer), (select count(*) from purchase);
select 'text', sum(length(item)), min(item), max(item) from purchase;
