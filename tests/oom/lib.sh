# What the scripts of this folder share; they are sourced with
#   GROW the program that takes memory, FREEHOLD_SO the library
set -u
scratch=$(mktemp -d)
cleanup() { rm -rf "$scratch"; }
trap cleanup EXIT
cd "$scratch" || exit 99
unset LD_PRELOAD FREEHOLD_OPTIONS
export LC_ALL=C
box=$scratch/box

fail() {
    echo "FAILED: $1"
    for file in out err box; do
        [ -f $file ] && { echo "--- $file"; cat $file; }
    done
    exit 1
}

# calm COMMAND...: runs it, streams to ./out and ./err, status to $got; and once more, the box as it was, if the whole
# machine was short of memory just then: that is told as well, and another report within ten seconds is not.
calm() {
    [ ! -f box ] || cp box before
    for try in 1 2 3 4 5 6; do
        "$@" >out 2>err
        got=$?
        [ -f box ] && grep -q 'why         stall' box || return 0
        rm -f box
        [ ! -f before ] || cp -p before box
        sleep "$try"
    done
}

# with OPTIONS COMMAND...: runs it on the library.
with() {
    options=$1
    shift
    rm -f before
    calm env LD_PRELOAD="$FREEHOLD_SO" FREEHOLD_OPTIONS="$options" "$@"
}

says() { grep -qF -e "$2" "$1" || fail "no '$2' in $1"; }
reports() { grep -c ', report [0-9]*, ' "$box"; }

# The size of the group that has most, in report $1.
first_group() {
    awk -v n="report $1, " 'index($0, n) { here = 1 } here && /block size/ { getline; print $1; exit }' "$box"
}

# Does the ledger of the first report add up to its sum? And how much of it, in percent, was not found?
adds_up() {
    awk '/: resident, by owner/ { here = 1; next }
        here && $1 == "sum" { total = $2; exit }
        here { for (i = 1; i <= NF; i++) if ($i ~ /^-?[0-9]+$/) { sum += $i; if (/not found/) rest = $i; break } }
        END {
            if (total == 0 || sum != total) { print "the ledger gives " sum ", not " total; exit 1 }
            if (rest < 0) rest = -rest
            if (rest * 100 > total * 10) { print rest " of " total " were not found"; exit 1 }
        }' "$box" || fail 'the ledger does not add up'
}
