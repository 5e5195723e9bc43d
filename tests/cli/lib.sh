# What the scripts of this folder share; they are sourced with
#   FREEHOLD the command, STANDIN_SO the library that stands in, PARTS the folder of the test programs
set -u
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch" || exit 99
unset LD_PRELOAD FREEHOLD_OPTIONS FREEHOLD_LIBRARY STANDIN NO_COLOR
export LC_ALL=C
cases=0

# try STATUS COMMAND...: runs it, keeps its streams in ./out and ./err, demands the exit status.
try() {
    wanted=$1
    shift
    cases=$((cases + 1))
    "$@" >out 2>err
    got=$?
    if [ $got -ne "$wanted" ]; then fail "exit status $got instead of $wanted: $*"; fi
}

fail() {
    echo "FAILED: $1"
    echo '--- stdout'; cat out
    echo '--- stderr'; cat err
    exit 1
}

# says FILE TEXT: the file holds the text; silent FILE: it is empty.
says() { grep -qF -e "$2" "$1" || fail "no '$2' in $1"; }
says_not() { if grep -qF -e "$2" "$1"; then fail "'$2' in $1"; fi; }
silent() { [ ! -s "$1" ] || fail "$1 is not empty"; }

# holds FILE EXPRESSION: python's json reads the file, and the expression over it, `j`, is true.
holds() {
    python3 -c 'import json, sys; j = json.load(open(sys.argv[1])); sys.exit(not eval(sys.argv[2]))' \
        "$1" "$2" || fail "not true of $1: $2"
}

finish() {
    [ $cases -gt 0 ] || exit 99
    echo "$cases cases"
}
