#!/bin/sh
# A setuid program does not listen to its caller's environment:   secure.sh PROGRAM
# It is made setuid to another user than root, which root may do; anybody else skips the test.
set -eu
program=$1
[ "$("$program")" = 'secure 0 purge_delay 1000' ] || { echo 'unexpected default'; exit 1; }
[ "$(FREEHOLD_OPTIONS=purge_delay=77 "$program")" = 'secure 0 purge_delay 77' ] ||
    { echo 'the environment is ignored without a reason'; exit 1; }

[ "$(id -u)" = 0 ] || { echo 'skipped: only root can make a program setuid'; exit 77; }
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
chmod 755 "$copy"
cp "$program" "$copy/secure"
chown nobody "$copy/secure"
chmod 4755 "$copy/secure"
said=$(FREEHOLD_OPTIONS=purge_delay=77 "$copy/secure")
case $said in
'secure 0 '*) echo 'skipped: this file system ignores setuid'; exit 77 ;;
'secure 1 purge_delay 1000') ;;
*) echo "a setuid program says: $said"; exit 1 ;;
esac
