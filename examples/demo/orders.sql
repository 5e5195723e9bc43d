-- A shop in memory: 400,000 orders of 20,000 customers, two indexes, then what a report asks for, with
-- sorting, grouping and string building; half of the rows go in the end, so that memory comes back.
CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT, city TEXT);
CREATE TABLE orders (id INTEGER PRIMARY KEY, customer INTEGER, day INTEGER, cents INTEGER, note TEXT);

WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
INSERT INTO customer SELECT i, 'customer ' || i, 'city ' || (i * 7919 % 100) FROM n;

WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400000)
INSERT INTO orders
SELECT i, 1 + i * 48271 % 20000, i * i % 365, i * 69621 % 10000,
       'order ' || i || printf('%*s', i % 60, 'x')
FROM n;

CREATE INDEX by_customer ON orders (customer, day);
CREATE INDEX by_note ON orders (note);

.mode column
SELECT city, count(*) AS orders, sum(cents) / 100 AS turnover, count(DISTINCT customer) AS customers
FROM orders JOIN customer ON customer.id = orders.customer
GROUP BY city ORDER BY turnover DESC LIMIT 5;

SELECT length(group_concat(note, ';')) AS bytes_of_notes FROM orders WHERE day < 180;
SELECT count(*) AS pairs FROM orders a JOIN orders b ON a.customer = b.customer AND a.day = b.day AND a.id < b.id;
DELETE FROM orders WHERE id % 2;
SELECT count(*) AS orders_left FROM orders;
