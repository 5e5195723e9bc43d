/* The registry itself, and the ELF note by which a tool finds it in a program without symbols. The
 * layout is the public header's: freehold/registry.h. */
#include <freehold/freehold.h>

#include "event/ring.h"
#include "span/span.h"

__attribute__((visibility("default"))) struct fh_registry fh_registry = {
    .magic = FH_REGISTRY_MAGIC,
    .version = FH_REGISTRY_VERSION,
    .size = sizeof(struct fh_registry),
    .library = FH_VERSION_TEXT,
    .heap_stride = 0,
    .events = (uintptr_t)&event_ring,
};

/* struct fh_note, with the distance to the registry resolved by the linker. */
__asm__(".pushsection .note.freehold, \"a\", %note\n"
        ".balign 4\n"
        ".long 9\n"             /* length of the name */
        ".long 16\n"            /* length of the descriptor */
        ".long 1\n"             /* FH_NOTE_REGISTRY */
        ".asciz \"Freehold\"\n" /* 9 bytes, */
        ".balign 4\n"           /* padded to 12 */
        ".long 1\n"             /* FH_REGISTRY_VERSION */
        ".long 0\n"
        ".hidden fh_registry_here\n"
        ".set fh_registry_here, fh_registry\n"
        ".quad fh_registry_here - .\n"
        ".balign 4\n"
        ".popsection\n");
static_assert(FH_REGISTRY_VERSION == 1 && FH_NOTE_REGISTRY == 1, "the note above says so too");
