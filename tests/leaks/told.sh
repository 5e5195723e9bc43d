#!/bin/sh
# The report: the verdict first, at most 20 lines, types and texts named, what is known not told again.
. "$(dirname "$0")/lib.sh"

look 1 "$PARTS/plant" 20000 2000 2 --
[ "$(wc -l <out)" -le 20 ] || fail 'more than 20 lines'
head -n 1 out | grep -q 'lost in 2,000 blocks, of' || fail 'no verdict in the first line'
says out 'planted '
says out 'stopped  '
says out 'no stacks'
says err 'stopping plant (pid '

# Suppressed.
printf '# known\ntext:planted*\n' >known
look 1 "$PARTS/plant" 20000 2000 2 -- --suppress known --json
holds out "sum(g['count'] for g in j['groups'] if g['suppressed']) == 1800"
printf 'text:planted*\ncontent:text\ncontent:links\ncontent:zeros\ncontent:data\n' >known
look 0 "$PARTS/plant" 20000 2000 2 -- --suppress known
says out 'no lost memory'
says out 'suppressed'
for pattern in 'size:*' 'content:*'; do
    echo "$pattern" >known
    look 0 "$PARTS/plant" 20000 2000 2 -- --suppress known
done

# Reachable ones, by wish.
look 0 "$PARTS/plant" 20000 0 1 -- --reachable --json
holds out "sum(g['count'] for g in j['groups'] if g['kind'] == 'reachable') == j['totals']['reachable']['count']"

# A copy in a file, and one made while it stands.
look 1 "$PARTS/plant" 20000 500 2 -- --scratch . --json
holds out "j['totals']['lost']['count'] + j['totals']['indirectly_lost']['count'] == 500"
look 1 "$PARTS/plant" 20000 500 2 -- --copy --json
holds out "j['totals']['lost']['count'] + j['totals']['indirectly_lost']['count'] == 500"

# C++: types by their virtual tables, and an array that is only known by its middle.
if [ -x "$PARTS/types" ]; then
    look 1 "$PARTS/types" -- --json
    holds out "[(g['type'], g['count']) for g in j['groups'] if g['kind'] == 'lost'] == [('net::Session', 50)]"
    holds out "[g['count'] for g in j['groups'] if g['kind'] == 'possibly lost'] == [1]"
fi
finish
