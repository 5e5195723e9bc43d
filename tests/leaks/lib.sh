# shellcheck shell=sh disable=SC1091
# What the scripts of this folder share, beside what tests/cli/lib.sh gives them:
#   FREEHOLD the command, HOLD tests/cli/hold, PARTS the folder of the programs, LIBRARY libfreehold
folder=$SOURCES/tests/cli
. "$folder/lib.sh"
if [ "$(cat /proc/sys/kernel/yama/ptrace_scope 2>/dev/null || echo 0)" -gt 1 ]; then
    echo 'ptrace is forbidden here'
    exit 77
fi

# look STATUS PROGRAM [ARGS] -- [OPTIONS]: freehold leaks with the options while the program stands ready;
# what it said is in ./out and ./err, what the program says when it ends in ./err too.
look() {
    wanted_status=$1
    shift
    program=
    while [ "$1" != -- ]; do program="$program $1"; shift; done
    shift
    # shellcheck disable=SC2086 # a list of words without spaces
    try "$wanted_status" "$HOLD" $program -- "$FREEHOLD" leaks "$@" @
}
