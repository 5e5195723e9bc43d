#!/bin/sh
# The man page and the completions know every command and every option that --help shows; bash
# completes by them; what can check their syntax here finds nothing wrong.
. "$(dirname "$0")/lib.sh"
man=$SOURCES/docs/man/freehold.1
bash=$SOURCES/completions/bash/freehold
zsh=$SOURCES/completions/zsh/_freehold
fish=$SOURCES/completions/fish/freehold.fish

for command in run which leaks doctor check compare map top plug; do
    try 0 "$FREEHOLD" $command --help
    cp out help
    grep -q "^\.SS \"freehold $command" "$man" || fail "$command is not in the man page"
    options=$(sed -nE 's/^  +(-[a-z], )?--([a-z-]+).*/\2/p' help | grep -vx usage)
    [ -n "$options" ] || fail "no options in the help of $command"
    for option in $options; do
        sed 's/\\-/-/g' "$man" >text
        grep -qE -- "--$option" text || fail "--$option of $command is not in the man page"
        for file in "$bash" "$zsh"; do
            grep -qE -- "--$option" "$file" || fail "--$option of $command is not in $file"
        done
        grep -qE "from $command' .*-l $option" "$fish" || fail "--$option of $command is not in $fish"
    done
done
grep -q '^\.SS "freehold gc run' "$man" || fail 'gc run is not in the man page'
try 0 "$FREEHOLD" gc run --help
grep -q -- '--quiet' out || fail 'gc run --help lacks --quiet'
for file in "$man" "$bash" "$zsh" "$fish"; do grep -q 'gc' "$file" || fail "gc is not in $file"; done
grep -q "\"Freehold $("$FREEHOLD" --version | cut -d' ' -f2)\"" "$man" || fail 'another version in the man page'

# complete WORDS...: what bash offers for the last word.
complete_bash() {
    bash -c '. "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _freehold
        printf "%s\n" "${COMPREPLY[@]}"' bash "$bash" freehold "$@" >out 2>err
}
complete_bash ''
for word in run which leaks doctor check compare map top plug gc --help --version; do says out "$word"; done
complete_bash run --q
[ "$(cat out)" = --quiet ] || fail 'run --q is not completed'
complete_bash run -- ech
grep -qx echo out || fail 'a program is not completed'
complete_bash run --json /etc/pass
grep -qx /etc/passwd out || fail 'a file is not completed'
complete_bash check --peak 1M -- ech
grep -qx echo out || fail 'a program is not completed after the value of an option'
complete_bash check --ju
[ "$(cat out)" = --junit ] || fail 'check --ju is not completed'
complete_bash map $$
grep -qx $$ out || fail 'a process is not completed'
complete_bash which $$
grep -qx $$ out || fail 'a process is not completed'
silent err

if command -v groff >/dev/null; then
    try 0 groff -man -Tascii -ww -z "$man"
    silent err
fi
if command -v zsh >/dev/null; then try 0 zsh -n "$zsh"; fi
if command -v fish >/dev/null; then try 0 fish --no-execute "$fish"; fi
finish
