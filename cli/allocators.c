/* The table of allocators, and how a file is compared with it. See allocators.h. */
#include <string.h>

#include <freehold/registry.h>

#include "allocators.h"

enum match { MATCH_END, SYMBOL, SYMBOL_SUFFIX, SYMBOL_PART, FILE_PART };

struct sign {
    enum match match;
    const char *text;
};

struct allocator {
    const char *name;
    enum { PLAIN, WRAPPER, SANITIZER, REDIRECTOR } kind;
    struct sign signs[4];
    const char *message; /* in a stripped static program */
};

#define BOEHM_SYMBOL "GC_malloc_kind"

/* Ordered: who stands further up is named first when one file shows several. The C libraries stand
 * at the end because a program that brings its own allocator often has theirs linked in too. */
static const struct allocator allocators[] = {
    {"Freehold", PLAIN, {{SYMBOL, "fh_registry"}}, NULL},
    {"Freehold's libgc", PLAIN, {{MATCH_END, NULL}}, NULL}, /* see take_libgc */
    {"AddressSanitizer", SANITIZER, {{SYMBOL, "__asan_init"}}, "AddressSanitizer: "},
    {"HWAddressSanitizer", SANITIZER, {{SYMBOL, "__hwasan_init"}}, NULL},
    {"MemorySanitizer", SANITIZER, {{SYMBOL, "__msan_init"}}, NULL},
    {"ThreadSanitizer", SANITIZER, {{SYMBOL, "__tsan_init"}}, NULL},
    {"LeakSanitizer", SANITIZER, {{SYMBOL, "__lsan_init"}, {FILE_PART, "liblsan."}}, NULL},
    {"Valgrind", REDIRECTOR, {{SYMBOL_SUFFIX, "ZU_libcZdsoZa_malloc"}}, NULL},
    {"heaptrack", WRAPPER, {{FILE_PART, "libheaptrack_preload"}}, NULL},
    {"bytehound", WRAPPER, {{FILE_PART, "libbytehound"}}, NULL},
    {"glibc's malloc debugging", WRAPPER, {{FILE_PART, "libc_malloc_debug"}}, NULL},
    {"mozjemalloc", PLAIN, {{SYMBOL, "jemalloc_purge_freed_pages"}}, NULL},
    {"jemalloc", PLAIN, {{SYMBOL_SUFFIX, "mallctlnametomib"}}, "<jemalloc>: "},
    {"mimalloc", PLAIN, {{SYMBOL, "mi_malloc"}, {SYMBOL, "mi_version"}}, "mimalloc: "},
    {"TCMalloc", PLAIN, {{SYMBOL, "TCMallocInternalMalloc"}}, NULL},
    {"gperftools tcmalloc", PLAIN, {{SYMBOL, "tc_malloc"}, {SYMBOL, "tc_version"}}, "tcmalloc: "},
    {"rpmalloc", PLAIN, {{SYMBOL, "rpmalloc"}, {SYMBOL, "rpmalloc_initialize"}}, NULL},
    {"snmalloc", PLAIN, {{SYMBOL_PART, "snmalloc"}}, NULL},
    {"Scudo", PLAIN, {{SYMBOL, "__scudo_print_stats"}, {SYMBOL_PART, "N5scudo"}}, "Scudo ERROR"},
    {"hardened_malloc", PLAIN, {{SYMBOL, "malloc_object_size_fast"}}, "fatal allocator error: "},
    {"IsoAlloc", PLAIN, {{SYMBOL, "iso_alloc"}}, NULL},
    {"PartitionAlloc", PLAIN, {{SYMBOL_PART, "15partition_alloc"}}, NULL},
    {"Mesh", PLAIN, {{SYMBOL, "mesh_in_bounds"}}, NULL},
    {"Hoard", PLAIN, {{FILE_PART, "libhoard"}}, NULL},
    {"TBB's scalable allocator", PLAIN, {{SYMBOL, "scalable_malloc"}}, NULL},
    {"libumem", PLAIN, {{SYMBOL, "umem_alloc"}}, NULL},
    {"Lockless", PLAIN, {{FILE_PART, "libllalloc"}}, NULL},
    {"Electric Fence", PLAIN, {{SYMBOL, "EF_ALIGNMENT"}, {FILE_PART, "libefence"}}, NULL},
    {"DUMA", PLAIN, {{SYMBOL, "DUMA_ALIGNMENT"}, {FILE_PART, "libduma"}}, NULL},
    {"dmalloc", PLAIN, {{SYMBOL, "dmalloc_malloc"}}, NULL},
    {"dlmalloc", PLAIN, {{SYMBOL, "dlmalloc"}}, NULL},
    {"the Go runtime's heap", PLAIN, {{SYMBOL, "runtime.mallocgc"}}, "runtime.mallocgc"},
    {"Boehm's collector", PLAIN, {{SYMBOL, BOEHM_SYMBOL}}, NULL},
    {"glibc",
     PLAIN,
     {{SYMBOL, "_int_malloc"}, {FILE_PART, "libc.so.6"}},
     "malloc(): corrupted top size"},
    {"musl",
     PLAIN,
     {{SYMBOL, "__libc_malloc_impl"}, {SYMBOL, "__dls3"}, {FILE_PART, "ld-musl-"}},
     "No error information"},
    {"uClibc", PLAIN, {{FILE_PART, "libuClibc"}}, NULL},
};

enum { ALLOCATORS = sizeof allocators / sizeof *allocators, MESSAGE_MAX = 64 };
_Static_assert(ALLOCATORS <= 64, "a mask has 64 bits");

const char *const allocator_functions[FUNCTION_COUNT] = {
    "malloc",        "calloc",         "realloc",  "free",
    "aligned_alloc", "posix_memalign", "memalign", "malloc_usable_size",
};

static bool ends_with(const char *name, const char *suffix)
{
    size_t length = strlen(name), wanted = strlen(suffix);
    return length >= wanted && strcmp(name + length - wanted, suffix) == 0;
}

static bool sign_matches(const struct sign *sign, const char *symbol)
{
    switch (sign->match) {
    case SYMBOL: return strcmp(symbol, sign->text) == 0;
    case SYMBOL_SUFFIX: return ends_with(symbol, sign->text);
    case SYMBOL_PART: return strstr(symbol, sign->text) != NULL;
    default: return false;
    }
}

static uint64_t allocators_of_symbol(const char *symbol)
{
    uint64_t found = 0;
    for (size_t i = 0; i < ALLOCATORS; i++) {
        for (const struct sign *s = allocators[i].signs; s->match != MATCH_END; s++) {
            if (sign_matches(s, symbol)) found |= 1ull << i;
        }
    }
    return found;
}

static uint64_t allocators_of_file(const char *name)
{
    uint64_t found = 0;
    for (size_t i = 0; i < ALLOCATORS; i++) {
        for (const struct sign *s = allocators[i].signs; s->match != MATCH_END; s++) {
            if (s->match == FILE_PART && strstr(name, s->text)) found |= 1ull << i;
        }
    }
    return found;
}

static bool take_symbol(void *context, const struct elf_symbol *symbol)
{
    struct allocator_signs *signs = context;
    signs->allocators |= allocators_of_symbol(symbol->name);
    if (strcmp(symbol->name, "fh_registry") == 0) signs->registry = symbol->value;
    for (size_t i = 0; symbol->function && i < FUNCTION_COUNT; i++) {
        if (strcmp(symbol->name, allocator_functions[i]) != 0) continue;
        signs->defined |= 1u << i;
        if (symbol->exported) signs->exported |= 1u << i;
    }
    return true;
}

/* The note outlives `strip`; the symbol may not. */
static void take_note(struct allocator_signs *signs, const struct elf_image *image)
{
    struct fh_note note = {0};
    size_t size;
    uint64_t address;
    if (!elf_image_note(image, FH_NOTE_NAME, FH_NOTE_REGISTRY, &note, &size, sizeof note, &address))
        return;
    signs->allocators |= 1ull << ALLOCATOR_FREEHOLD;
    if (size == sizeof note && signs->registry == 0)
        signs->registry = address + offsetof(struct fh_note, offset) + (uint64_t)note.offset;
}

/* The note of ours and the functions of Boehm's: our library of his ABI, and neither of the two. */
static void take_libgc(struct allocator_signs *signs)
{
    uint64_t both = 1ull << ALLOCATOR_FREEHOLD | allocators_of_symbol(BOEHM_SYMBOL);
    if ((signs->allocators & both) == both)
        signs->allocators = (signs->allocators & ~both) | 1ull << ALLOCATOR_LIBGC;
}

void allocator_signs_read(struct allocator_signs *signs, const struct elf_image *image,
                          const char *name)
{
    char soname[256] = "";
    elf_image_soname(image, soname, sizeof soname);
    *signs = (struct allocator_signs){0};
    signs->allocators = allocators_of_file(name) | allocators_of_file(soname);
    signs->symbol_table = elf_image_has_symbol_table(image);
    elf_image_symbols(image, take_symbol, signs);
    take_note(signs, image);
    take_libgc(signs);
}

static void take_messages(void *context, const char *piece, size_t size)
{
    struct allocator_signs *signs = context;
    for (size_t i = 0; i < ALLOCATORS; i++) {
        const char *message = allocators[i].message;
        if (message && memmem(piece, size, message, strlen(message)))
            signs->allocators |= 1ull << i;
    }
}

void allocator_signs_guess(struct allocator_signs *signs, const struct elf_image *image)
{
    elf_image_pieces(image, (size_t)256 << 20, MESSAGE_MAX, take_messages, signs);
    signs->likely = true;
}

int allocator_first(uint64_t found)
{
    return found ? __builtin_ctzll(found) : ALLOCATOR_NONE;
}

int allocator_of_static(uint64_t found)
{
    for (int i = 0; i < ALLOCATORS; i++) {
        if (found & 1ull << i && strcmp(allocators[i].name, "glibc") == 0) return i;
    }
    return allocator_first(found);
}

const char *allocator_name(int allocator)
{
    return allocator < 0 || allocator >= ALLOCATORS ? "an unknown allocator"
                                                    : allocators[allocator].name;
}

bool allocator_is_wrapper(int allocator)
{
    return allocator >= 0 && allocators[allocator].kind == WRAPPER;
}

bool allocator_is_redirector(int allocator)
{
    return allocator >= 0 && allocators[allocator].kind == REDIRECTOR;
}

bool allocator_is_sanitizer(int allocator)
{
    return allocator >= 0 && allocators[allocator].kind == SANITIZER;
}
