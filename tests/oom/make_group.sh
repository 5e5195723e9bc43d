# Makes $group, a control group with the memory controller inside the one that this shell is in, or ends with 77. It goes
# with the shell.
own_path() { awk -F: -v c="$1" '(c == "" && $2 == "") || (c != "" && "," $2 "," ~ "," c ",") { print $3; exit }' /proc/self/cgroup; }
mount_of() { awk -v t="$1" -v o="$2" '{ for (i = 7; i <= NF; i++) if ($i == "-") break }
    $(i + 1) == t && (o == "" || "," $(i + 3) "," ~ "," o ",") { print $5; exit }' /proc/self/mountinfo; }

group=
one=$(mount_of cgroup memory)
two=$(mount_of cgroup2 '')
if [ -n "$one" ]; then
    version=1
    group=$one$(own_path memory)/freehold-oom-$$
elif [ -n "$two" ]; then
    version=2
    group=$two$(own_path '')/freehold-oom-$$
fi
if [ -z "$group" ]; then
    echo 'skipped: no control groups with the memory controller are mounted here'
    exit 77
fi
if ! mkdir "$group" 2>why; then
    echo "skipped: cannot make a control group: $(cat why)"
    exit 77
fi
remove_group() {
    cleanup
    for try in 1 2 3 4 5 6 7 8 9 10; do
        rmdir "$group" 2>/dev/null && return
        sleep 0.2
    done
    echo "left behind, after $try tries: $group"
}
trap remove_group EXIT
if [ $version = 2 ] && [ ! -e "$group/memory.max" ]; then
    echo "skipped: the memory controller is not given to groups in $(dirname "$group") (cgroup.subtree_control)"
    exit 77
fi

group_limit() {
    if [ $version = 2 ]; then
        echo "$1" >"$group/memory.max"
        [ ! -e "$group/memory.swap.max" ] || echo 0 >"$group/memory.swap.max"
    else
        echo "$1" >"$group/memory.limit_in_bytes"
        [ ! -e "$group/memory.swappiness" ] || echo 0 >"$group/memory.swappiness"
    fi
}

# Version 1 can let processes stand at the limit.
group_stands() {
    [ $version = 1 ] && echo 1 2>/dev/null >"$group/memory.oom_control"
}
