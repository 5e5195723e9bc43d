# tar and xz with two threads: the archive must come out the same to the bit.
. "$(dirname "$0")/tools.sh"
need tar
need xz
mkdir tree
for i in $(seq 200); do seq "$i" $((i + 3000)) >"tree/file$i"; done
on tar --sort=name --mtime='2020-01-01' --owner=0 --group=0 --numeric-owner -cf tree.tar tree || exit 1
on xz -T2 --block-size=1MiB -6 -k tree.tar || exit 1
sha256sum tree.tar tree.tar.xz
on xz -dc -T2 tree.tar.xz | sha256sum
