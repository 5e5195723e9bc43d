#!/bin/sh
# Runs Scheme tests and compares what they write with the .out beside them.
#   run.sh LISP all|small|stress [option...]   small: without data of a million; stress: those that
#                                              do not allocate much, as each allocation is dear
#   run.sh LISP NAME.scm [option...]           that one
set -u
lisp=$1 which=$2
shift 2
cd "$(dirname "$0")" || exit 1
quick='numbers.scm lists.scm strings.scm forms.scm macros.scm reader.scm weak.scm collect.scm'
case $which in
all) files="$quick errors.scm tables.scm ports.scm large_deep.scm" ;;
small) files="$quick errors.scm tables.scm ports.scm" ;;
stress) files=$quick ;;
*) files=$which ;;
esac
status=0
for file in $files; do
    "$lisp" "$@" "$file" 2>&1 | diff -u "${file%.scm}.out" - >&2 && continue
    echo "$file fails with: $*" >&2
    status=1
done
exit $status
