# shellcheck shell=sh disable=SC1091
# What the scripts of this folder share, beside what tests/cli/lib.sh gives them:
#   FREEHOLD the command, PARTS the folder of the programs, LIBRARY libfreehold
folder=$SOURCES/tests/cli
. "$folder/lib.sh"
if [ "$(cat /proc/sys/kernel/yama/ptrace_scope 2>/dev/null || echo 0)" -gt 1 ]; then
    echo 'ptrace is forbidden here'
    exit 77
fi
