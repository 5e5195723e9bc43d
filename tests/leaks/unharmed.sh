#!/bin/sh
# A program does not notice that it was looked at: see calls.c for what it would notice.
. "$(dirname "$0")/lib.sh"

cat >again <<END
#!/bin/sh
i=0
while [ \$i -lt 12 ]; do
    "$FREEHOLD" leaks --json \$2 "\$1" >one.json 2>said || { cat said; exit 1; }
    i=\$((i + 1))
done
END
chmod +x again
try 0 "$HOLD" "$PARTS/calls" -- ./again @
says err ' 0 failures'
holds one.json "j['copied_while_stopped'] is None and j['totals']['lost']['count'] == 0"
try 0 "$HOLD" "$PARTS/calls" -- ./again @ --copy
says err ' 0 failures'
holds one.json "j['copied_while_stopped'] is not None"

# Each call in turn by the thread that is made to fork.
call=0
while [ $call -lt 9 ]; do
    try 0 "$HOLD" "$PARTS/calls" $call -- ./again @
    says err ' 0 failures'
    holds one.json "j['copied_while_stopped'] is None and j['threads'] == 1"
    call=$((call + 1))
done
finish
