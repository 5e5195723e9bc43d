#!/bin/sh
# Runs Scheme tests and compares what they write with the .out beside them.
#   run.sh LISP all|small|stress [option...]   small: without data of a million; stress: those that
#                                              do not allocate much, as each allocation is dear
#   run.sh LISP NAME.scm [option...]           that one
set -u
lisp=$1 which=$2
shift 2
# In a folder of its own: (random) says the same in every run, also for names of files.
tests=$(cd "$(dirname "$0")" && pwd) && folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
trap 'exit 130' INT TERM
cp "$tests"/*.scm "$folder" && cd "$folder" || exit 1
quick='numbers.scm lists.scm strings.scm forms.scm macros.scm reader.scm weak.scm collect.scm'
case $which in
all) files="$quick errors.scm tables.scm ports.scm large_deep.scm" ;;
small) files="$quick errors.scm tables.scm ports.scm" ;;
stress) files=$quick ;;
*) files=$which ;;
esac
status=0
for file in $files; do
    "$lisp" "$@" "$file" 2>&1 | diff -u "$tests/${file%.scm}.out" - >&2 && continue
    echo "$file fails with: $*" >&2
    status=1
done
exit $status
