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

# How long it will stand: mappings count.
cat >mappings <<'END'
#!/usr/bin/env python3
import mmap, sys
kept = [mmap.mmap(-1, 4096, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, mmap.PROT_READ | i % 2 * mmap.PROT_WRITE)
        for i in range(20000)]
print('ready', flush=True)
sys.stdin.read()
END
chmod +x mappings
"$HOLD" ./mappings -- "$FREEHOLD" leaks @ >out 2>err # what python has lost is its own matter
[ $? -le 1 ] || fail 'python cannot be looked into'
grep -Eq 'for about [2-9][0-9] ms, [0-9]{2,3} if' err || fail 'mappings do not count'

# Suppressed.
printf '# known\ntext:planted*\n' >known
look 1 "$PARTS/plant" 20000 2000 2 -- --suppress known --json
holds out "sum(g['count'] for g in j['groups'] if g['suppressed']) == 1800"
holds out "sum(j['totals'][k]['count'] for k in ('lost', 'indirectly_lost')) == 200 and j['suppressed_blocks'] == 1800"
look 1 "$PARTS/plant" 20000 2000 2 -- --suppress known
head -n 1 out | grep -q 'lost in 200 blocks, of' || fail 'the verdict counts what is suppressed'
grep -qE '^  lost +20 blocks, .*: nothing points' out || fail 'the sums count what is suppressed'
grep -qE '^  suppressed +1,800 blocks, .* by 1 rule,' out || fail 'what is suppressed is not summed up'
# What only they keep goes along: lists are known by their first blocks, whose last one is none of these.
printf 'content:links\nsize:1\n' >known
look 1 "$PARTS/plant" 20000 2000 2 -- --suppress known --json
holds out "j['suppressed_blocks'] == 200 and j['suppressions_used'] == 1 and j['totals']['indirectly_lost']['count'] == 0"
holds out "sum(g['count'] for g in j['groups'] if g['suppressed'] and g['content'] != 'links') == 20"
printf 'text:planted*\ncontent:text\ncontent:links\ncontent:zeros\ncontent:data\n' >known
look 0 "$PARTS/plant" 20000 2000 2 -- --suppress known
says out 'no lost memory'
says out 'suppressed'
for pattern in 'size:*' 'content:*'; do
    echo "$pattern" >known
    look 0 "$PARTS/plant" 20000 2000 2 -- --suppress known
done

# Nothing is lost: where to look on. What it took is told whole.
look 0 "$PARTS/plant" 20000 0 1 --
tail -n 1 out | grep -qE '^  growing\? .*freehold leaks --reachable [0-9]+ .*freehold top [0-9]+ ' || fail 'no hint'
grep -qE '^  looked at .* for the copy; .* in all$' out || fail 'the copy and the sum are not told'
look 0 "$PARTS/plant" 20000 0 1 -- --json
holds out "0 < j['copy_us'] + j['walk_us'] + j['mark_us'] <= j['took_us']"
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
    holds out "[g['count'] for g in j['groups'] if g['type'] == 'net::Session' and g['kind'] == 'lost'] == [50]"
    holds out "[g['count'] for g in j['groups'] if (g['type'] or '').startswith('std::_Sp_counted_ptr_inplace<Node, std::allocator<')] == [7]"
    holds out "not [g['type'] for g in j['groups'] if (g['type'] or '').startswith('_Z')]"
    holds out "[g['count'] for g in j['groups'] if g['kind'] == 'possibly lost'] == [1]"
fi
finish
