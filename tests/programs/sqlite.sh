# sqlite3: tables, indexes, joins, strings, blobs, in memory and in a file.
. "$(dirname "$0")/tools.sh"
need sqlite3
on sqlite3 file.db <<'SQL'
PRAGMA cache_size = 2000;
CREATE TABLE word (id INTEGER PRIMARY KEY, text TEXT, n REAL, bytes BLOB);
WITH RECURSIVE i(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM i WHERE x < 60000)
INSERT INTO word SELECT x, 'word ' || (x * 7919 % 60013) || substr('abcdefghijklmnop', 1, x % 16),
    x / 7.0, zeroblob(x % 300) FROM i;
CREATE INDEX by_text ON word (text);
ANALYZE;
SELECT count(*), sum(length(text)), sum(length(bytes)), max(text) FROM word;
SELECT substr(text, 6, 2) AS k, count(*), group_concat(id % 10, '') FROM word GROUP BY k ORDER BY k;
SELECT a.id, b.id FROM word a JOIN word b ON a.text = b.text WHERE a.id % 997 = 0 ORDER BY a.id;
UPDATE word SET text = upper(text) WHERE id % 3 = 0;
DELETE FROM word WHERE id % 5 = 0;
SELECT count(*), group_concat(text, ',') FROM (SELECT text FROM word ORDER BY text DESC LIMIT 500);
VACUUM;
PRAGMA integrity_check;
SQL
sha256sum file.db
