# Sourced by the tests that build against an installed tree: `installed BUILD` installs BUILD under a
# DESTDIR and puts the tree's place in $prefix. It is used where it was not configured to be, which is
# what a package, a moved tree and a cross root have in common.
set -eu
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

installed() {
    DESTDIR=$root cmake --install "$1" --prefix /opt/freehold >/dev/null
    prefix=$root/opt/freehold
}

# Runs a consumer with the libraries of the tree.
consumes() {
    LD_LIBRARY_PATH=$prefix/lib "$@" || { echo "failed: $*"; exit 1; }
}
