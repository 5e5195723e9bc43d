#!/bin/sh
# floors.sh TREE: includes go only downward. Prints "file:line: what is wrong" for each breach.
#
#     face                       cli       <freehold/...>, the system, its own files
#     heap | hard | pool | gc    include/  <freehold/...>, the system
#     span
#     event                      Within src/, "floor/file.h" is written from src/. A floor may include
#     os                         itself and the floors below it; neighbours on one line never each
#     base                       other. src/one.c, which is the list of all, belongs to no floor.
#
# One file of the library is the command's too: the marker, span/reach.h, which knows addresses and nothing
# of the library, so that leaks are found by the same code from inside and from outside.
set -u
cd "$1" || exit 2

# shellcheck disable=SC2016 # the quotes hold an awk program
find src cli include -name '*.[ch]' 2>/dev/null | sort | xargs awk '
BEGIN {
    rank["base"] = 0; rank["os"] = 1; rank["event"] = 2; rank["span"] = 3
    rank["heap"] = 4; rank["hard"] = 4; rank["pool"] = 4; rank["gc"] = 4; rank["face"] = 5
}
function breach(why) {
    printf "%s:%d: %s: %s\n", FILENAME, FNR, why, $0
    found = 1
}
function check_src(own, name,    part, other) {
    if (name !~ /\// || name ~ /(^|\/)\.\.?(\/|$)/) return breach("includes are written from src/")
    split(name, part, "/")
    other = part[1]
    if (!(other in rank)) return breach("no such floor")
    if (other != own && rank[other] > rank[own]) breach("includes upward")
    else if (other != own && rank[other] == rank[own]) breach("neighbours do not include each other")
}
FNR == 1 { files++; split(FILENAME, path, "/") }
FILENAME == "src/one.c" { next }
FNR == 1 && path[1] == "src" && !(path[2] in rank) { breach("a file of src/ that stands on no floor") }
/^[ \t]*#[ \t]*include[ \t]*[<"]/ {
    quoted = ($0 ~ /include[ \t]*"/)
    name = $0
    sub(/^[^<"]*[<"]/, "", name)
    sub(/[>"].*$/, "", name)
    if (path[1] == "src" && quoted && (path[2] in rank)) check_src(path[2], name)
    if (path[1] == "cli" && name ~ /(^|\/)(src|\.\.)\//) breach("the command uses public headers only")
    if (path[1] == "cli" && quoted && name == "span/reach.h") next
    if (path[1] == "cli" && quoted && name ~ /\// && system("test -f cli/" name)) breach("not a file of cli/")
    if (path[1] == "include" && quoted) breach("public headers include <...> only")
    if (path[1] == "include" && name ~ /^(base|os|event|span|heap|hard|pool|gc|face)\//) breach("public headers know no floor")
}
END {
    if (!files) { print "no sources found"; exit 1 }
    exit found
}'
