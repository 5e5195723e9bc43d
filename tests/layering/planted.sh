#!/bin/sh
# A check that finds nothing might look at nothing: plant each kind of breach in a tree of its own, and
# what is allowed in another.
set -eu
floors=$(dirname "$0")/floors.sh
floors=$(cd "$(dirname "$floors")" && pwd)/floors.sh
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT

# plant FILE LINE: one file with one include, alone in the tree beside a sound one.
plant() {
    rm -rf "$tree/src" "$tree/cli" "$tree/include"
    mkdir -p "$tree/src/base" "$tree/$(dirname "$1")"
    echo '#include <stdint.h>' >"$tree/src/base/base.h"
    printf '/* a comment */\n%s\n' "$2" >"$tree/$1"
}

must_find() {
    plant "$1" "$2"
    if output=$("$floors" "$tree"); then echo "not found: $1: $2"; exit 1; fi
    case $output in *"$1:2: "*) ;; *) echo "found elsewhere: $output"; exit 1 ;; esac
}

must_allow() {
    plant "$1" "$2"
    "$floors" "$tree" || { echo "wrongly found: $1: $2"; exit 1; }
}

must_find src/base/bits.h '#include "os/os.h"'
must_find src/os/linux/vm.c '#include "span/span.h"'
must_find src/event/ring.c '#  include "span/span.h"'
must_find src/span/arena.c '#include "heap/heap.h"'
must_find src/heap/block.c '#include "gc/gc.h"'
must_find src/gc/mark.c '#include "pool/pool.h"'
must_find src/heap/block.c '#include "hard/hard.h"'
must_find src/hard/slot.c '#include "heap/heap.h"'
must_find src/hard/slot.c '#include "gc/gc.h"'
must_find src/gc/mark.c '#include "hard/hard.h"'
must_find src/hard/slot.c '#include "face/face.h"'
must_find include/freehold/registry.h '#include <hard/hard.h>'
must_find src/pool/region.c '#include "face/face.h"'
must_find src/span/span.c '#include "../heap/heap.h"'
must_find src/span/span.c '#include "arena.h"'
must_find cli/run.c '#include "../src/span/span.h"'
must_find cli/run.c '#include "span/span.h"'
must_find include/freehold/freehold.h '#include "registry.h"'
must_find include/freehold/freehold.h '#include <span/span.h>'
must_allow cli/run.c '#include "span/reach.h"'
must_allow src/hard/slot.c '#include "span/span.h"'
must_allow src/face/hardened/malloc.c '#include "hard/slot.h"'
must_allow src/face/face.c '#include "heap/heap.h"'
must_allow src/heap/block.c '#include "span/span.h"'
must_allow src/os/fake/vm.c '#include "os/os.h"'
must_allow src/span/span.c '#include <freehold/registry.h>'
must_allow src/one.c '#include "face/face.c"'
must_allow cli/run.c '#include <freehold/registry.h>'
must_allow include/freehold/freehold.h '#include <freehold/registry.h>'

# A tree without sources must not pass.
rm -rf "$tree/src" "$tree/cli" "$tree/include"
if "$floors" "$tree" >/dev/null; then echo 'an empty tree passed'; exit 1; fi
