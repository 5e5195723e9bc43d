#!/bin/sh
# programs.sh LIBRARY-FOLDER PROGRAM: runs a real program that is linked to libgc over the original and over ours. Its
# output and exit status must be the same, and the program must really have run on ours.
set -u
folder=$1 program=$2
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
here=$(cd "$(dirname "$0")" && pwd)
export HOME="$work" GUILE_AUTO_COMPILE=0 LC_ALL=C.UTF-8

need() {
    command -v "$1" >/dev/null || { echo "$1 is not installed"; exit 77; }
}

# A page of 2000 rows with nested tables.
page() {
    echo '<html><head><title>rows</title></head><body><h1>Rows</h1><table border=1>'
    seq 1 2000 | sed 's|.*|<tr><td>& <td><table><tr><td>a & <td>b</table><td><a href="x&.html">link \&amp; &</a>|'
    echo '</table></body></html>'
}

run() {
    case $program in
    guile) guile --no-auto-compile -s "$here/programs/work.scm" ;;
    ecl) ecl --norc --load "$here/programs/work.lisp" ;;
    w3m) w3m -dump -T text/html "$work/page.html" ;;
    nix) NIX_STATE_DIR="$work/nix" NIX_STORE_DIR="$work/store" nix-instantiate --eval --strict "$here/programs/work.nix" ;;
    neko) neko "$work/work.n" ;;
    poke) poke -q -L "$here/programs/work.pk" ;;
    parser3) parser3 "$here/programs/work.p" ;;
    mmv) mmv -v "$work/files/*.a" "$work/files/#1.b" ;;
    esac
}

prepare() {
    case $program in
    guile | ecl | poke | parser3) need "$program" ;;
    w3m) need w3m && page >"$work/page.html" ;;
    nix) need nix-instantiate ;;
    neko) need neko && need nekoc && cp "$here/programs/work.neko" "$work" && (cd "$work" && nekoc work.neko) ;;
    mmv) need mmv ;;
    *) exit 2 ;;
    esac
}

# mmv changes what it works on.
before() {
    [ "$program" = mmv ] || return 0
    rm -rf "$work/files"
    mkdir "$work/files"
    for i in $(seq 1 300); do echo "$i" >"$work/files/$i.a"; done
}

prepare || exit 1
before
run >"$work/expected" 2>"$work/expected.err" </dev/null
expected=$?
before
LD_DEBUG=libs LD_DEBUG_OUTPUT="$work/loaded" LD_LIBRARY_PATH=$folder run >"$work/got" 2>"$work/got.err" </dev/null
got=$?
[ $expected = 0 ] || { echo "$program failed on the original"; cat "$work/expected.err"; exit 1; }
[ -s "$work/expected" ] || { echo "$program wrote nothing on the original"; cat "$work/expected.err"; exit 1; }
cat "$work"/loaded.* | grep -q "calling init: $folder/libgc.so.1" || { echo "$program did not load $folder/libgc.so.1"; exit 1; }
[ $got = $expected ] || { echo "$program ended with $got, on the original with $expected"; cat "$work/got.err"; exit 1; }
cmp "$work/expected" "$work/got" || { diff "$work/expected" "$work/got" | head -n 20; cat "$work/got.err"; exit 1; }
echo "$program: $(wc -c <"$work/got") bytes, the same"
