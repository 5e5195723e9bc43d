/*
 * Looking into another process: ELF images, the loader's list, the heaps. What could break: a table
 * that claims more than there is, a list that never ends, memory that goes away while it is read,
 * and two ways to the same answer that disagree.
 */
#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../cli/heap_view.h"
#include "../../cli/link_map.h"
#include "../../cli/verdict.h"

/* Memory of a pretended process: `bytes` lie at BASE, nothing lies elsewhere. */
enum { BASE = 0x10000 };
struct pretended {
    const char *bytes;
    size_t size;
};

static bool pretended_read(void *context, uint64_t address, void *to, size_t size)
{
    const struct pretended *p = context;
    if (address < BASE || address - BASE > p->size || size > p->size - (address - BASE))
        return false;
    memcpy(to, p->bytes + (address - BASE), size);
    return true;
}

static struct memory memory_pretend(struct pretended *p)
{
    return (struct memory){pretended_read, p};
}

static bool refuse_read(void *context, uint64_t address, void *to, size_t size)
{
    (void)context, (void)address, (void)to, (void)size;
    return false;
}

static const struct memory forbidden = {refuse_read, NULL};

/* ---- the loader's list ------------------------------------------------------------------------ */

/* Dynamic section, r_debug and three modules, in words. */
struct loader_image {
    uint64_t dynamic[6], debug[2], maps[3][4];
};

static struct loader_image loader_image(void)
{
    struct loader_image image = {.dynamic = {DT_NEEDED, 1, DT_DEBUG}};
    uint64_t at = BASE + offsetof(struct loader_image, maps), step = sizeof image.maps[0];
    image.dynamic[3] = BASE + offsetof(struct loader_image, debug);
    image.debug[0] = 1;
    image.debug[1] = at;
    for (uint64_t i = 0; i < 3; i++) {
        image.maps[i][0] = 0x1000 * i;
        image.maps[i][2] = 0x500 + i;
        image.maps[i][3] = i < 2 ? at + (i + 1) * step : 0;
    }
    return image;
}

static bool read_loader(const struct loader_image *image, struct link_list *list)
{
    struct pretended p = {(const char *)image, sizeof *image};
    struct memory memory = memory_pretend(&p);
    return link_list_read(list, &memory, 8, BASE);
}

static void test_link_list__is_read_in_order(void **state)
{
    (void)state;
    struct loader_image image = loader_image();
    struct link_list list;
    assert_true(read_loader(&image, &list));
    assert_int_equal(list.count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(list.entries[i].bias, 0x1000 * i);
        assert_int_equal(list.entries[i].dynamic, 0x500 + i);
    }
    link_list_finish(&list);
}

static void test_link_list__reads_pointers_of_four_bytes(void **state)
{
    (void)state;
    uint32_t words[] = {DT_DEBUG, BASE + 16, DT_NULL, 0, 1, BASE + 24, 0x7000, 0, 0x7f00, 0, 0};
    struct pretended p = {(const char *)words, sizeof words};
    struct memory memory = memory_pretend(&p);
    struct link_list list;
    assert_true(link_list_read(&list, &memory, 4, BASE));
    assert_int_equal(list.count, 1);
    assert_int_equal(list.entries[0].dynamic, 0x7f00);
    link_list_finish(&list);
}

static void assert_loader_refused(const struct loader_image *image)
{
    struct link_list list;
    assert_false(read_loader(image, &list));
    link_list_finish(&list);
}

static void test_link_list__ends_although_the_list_does_not(void **state)
{
    (void)state;
    struct loader_image circle = loader_image(), wild = loader_image(), early = loader_image();
    circle.maps[2][3] = circle.debug[1];
    wild.maps[1][3] = 0xdeadbeef;
    early.dynamic[3] = 0; /* the loader has not come that far */
    assert_loader_refused(&circle);
    assert_loader_refused(&wild);
    assert_loader_refused(&early);
    struct loader_image endless = loader_image();
    for (size_t i = 0; i < 6; i++) endless.dynamic[i] = DT_NEEDED;
    for (size_t i = 0; i < 2; i++) endless.debug[i] = DT_NEEDED;
    memset(endless.maps, 1, sizeof endless.maps);
    assert_loader_refused(&endless);
}

/* ---- heaps ------------------------------------------------------------------------------------ */

/* A registry with one heap and room for a few descriptors behind it. */
struct heap_image {
    struct fh_registry registry;
    struct fh_heap heap;
    struct fh_span spans[8];
};

static struct heap_image heap_image(void)
{
    struct heap_image image = {
        .registry = {.magic = FH_REGISTRY_MAGIC,
                     .version = FH_REGISTRY_VERSION,
                     .size = sizeof(struct fh_registry),
                     .library = "1.2.3",
                     .base = BASE + offsetof(struct heap_image, spans),
                     .heaps = BASE + offsetof(struct heap_image, heap),
                     .heap_count = 1,
                     .heap_stride = sizeof(struct fh_heap),
                     .first_slice = 1,
                     .high = 8,
                     .span_bytes = sizeof image.spans,
                     .class_size = {[3] = 48}},
        .heap = {.state = FH_HEAP_LIVE},
    };
    image.registry.limit = image.registry.base + (8ull << FH_SLICE_SHIFT);
    image.spans[1] = (struct fh_span){.kind = FH_SPAN_SLAB, .size_class = 3, .countdown = 7};
    image.spans[2] = (struct fh_span){.kind = FH_SPAN_LARGE, .slices = 2, .bytes = 100000};
    image.spans[4] = (struct fh_span){.kind = FH_SPAN_FREE, .slices = 3, .flags = FH_SPAN_DIRTY};
    return image;
}

static enum heap_view_error view_heap(const struct heap_image *image, struct heap_view *view)
{
    struct pretended p = {(const char *)image, sizeof *image};
    struct memory memory = memory_pretend(&p);
    return heap_view_read(view, &memory, BASE);
}

static void test_heap_view__adds_up_what_the_descriptors_say(void **state)
{
    (void)state;
    struct heap_image image = heap_image();
    struct heap_view view;
    assert_int_equal(view_heap(&image, &view), HEAP_VIEW_READ);
    assert_string_equal(view.library, "1.2.3");
    assert_int_equal(view.live_heaps, 1);
    assert_int_equal(view.slab_bytes, 7 * 48);
    assert_int_equal(view.large_bytes, 100000);
    assert_int_equal(view.large_count, 1);
    assert_int_equal(view.dirty_bytes, 3 << FH_SLICE_SHIFT);
}

static void test_heap_view__bounds_a_torn_or_wrong_descriptor(void **state)
{
    (void)state;
    struct heap_image image = heap_image();
    struct heap_view view;
    image.spans[1].countdown = UINT32_MAX; /* more blocks than a slab has */
    image.spans[5] = (struct fh_span){.kind = FH_SPAN_SLAB, .size_class = 255, .countdown = 7};
    assert_int_equal(view_heap(&image, &view), HEAP_VIEW_READ);
    assert_int_equal(view.slab_bytes, 1 << FH_SLICE_SHIFT);
}

static void assert_view(const struct heap_image *image, enum heap_view_error expected)
{
    struct heap_view view;
    assert_int_equal(view_heap(image, &view), expected);
}

static void test_heap_view__refuses_a_registry_that_contradicts_itself(void **state)
{
    (void)state;
    struct heap_image image = heap_image();
    image.registry.magic[0] = 'x';
    assert_view(&image, HEAP_VIEW_DAMAGED);
    image = heap_image(), image.registry.high = UINT32_MAX;
    assert_view(&image, HEAP_VIEW_DAMAGED);
    image = heap_image(), image.registry.first_slice = 9;
    assert_view(&image, HEAP_VIEW_DAMAGED);
    image = heap_image(), image.registry.heap_count = UINT32_MAX;
    assert_view(&image, HEAP_VIEW_DAMAGED);
    image = heap_image(), image.registry.heap_stride = 0;
    assert_view(&image, HEAP_VIEW_DAMAGED);
    image = heap_image(), image.registry.limit = 0;
    assert_view(&image, HEAP_VIEW_DAMAGED);
    image = heap_image(), image.registry.size = 8;
    assert_view(&image, HEAP_VIEW_DAMAGED);
    image = heap_image(), image.registry.version = 2;
    assert_view(&image, HEAP_VIEW_VERSION);
    image = heap_image(), image.registry.base = 0;
    assert_view(&image, HEAP_VIEW_UNUSED);
    image = heap_image(), image.registry.base = 1 << 30, image.registry.limit = 1ull << 40;
    assert_view(&image, HEAP_VIEW_UNREADABLE);
    struct heap_view view;
    assert_int_equal(heap_view_read(&view, &forbidden, BASE), HEAP_VIEW_UNREADABLE);
}

/* An older library's registry ends earlier; what it has not is 0. */
static void test_heap_view__takes_a_shorter_registry(void **state)
{
    (void)state;
    struct heap_image image = heap_image();
    struct heap_view view;
    image.registry.threads_peak = 9;
    image.registry.size = offsetof(struct fh_registry, threads_peak);
    assert_int_equal(view_heap(&image, &view), HEAP_VIEW_READ);
    assert_int_equal(view.registry.threads_peak, 0);
    assert_int_equal(view.large_bytes, 100000);
}

/* ---- ELF -------------------------------------------------------------------------------------- */

static char *file_bytes(const char *path, size_t *size)
{
    struct file_text text;
    assert_true(file_read(&text, path, 64 << 20));
    *size = text.size;
    return text.data;
}

static bool count_symbol(void *context, const struct elf_symbol *symbol)
{
    *(size_t *)context += strlen(symbol->name) + 1;
    return true;
}

static void count_needed(void *context, const char *name)
{
    *(size_t *)context += strlen(name);
}

/* Asks every question; the answers do not matter, that they are given does. */
static size_t ask_everything(struct elf_image *image)
{
    char text[256];
    struct fh_note note;
    struct allocator_signs signs;
    size_t sum = 0, size;
    uint64_t address;
    elf_image_interpreter(image, text, sizeof text);
    elf_image_soname(image, text, sizeof text);
    elf_image_needed(image, count_needed, &sum);
    elf_image_symbols(image, count_symbol, &sum);
    elf_image_note(image, FH_NOTE_NAME, FH_NOTE_REGISTRY, &note, &size, sizeof note, &address);
    elf_machine_name(image, text, sizeof text);
    allocator_signs_read(&signs, image, "x");
    return sum + elf_image_bias(image, 1 << 20);
}

static void test_elf__finds_the_same_through_file_and_memory(void **state)
{
    (void)state;
    struct elf_image file, memory;
    struct elf_symbol a, b;
    char soname[64];
    size_t size;
    char *bytes = file_bytes(STANDIN_SO, &size);
    assert_true(elf_image_open_path(&file, STANDIN_SO));
    assert_true(elf_image_open_memory(&memory, bytes, size, 0));
    assert_true(elf_image_symbol(&file, "fh_registry", &a));
    assert_true(elf_image_symbol(&memory, "fh_registry", &b));
    assert_true(a.exported && b.exported && a.value == b.value && a.value != 0);
    assert_false(elf_image_symbol(&memory, "no_such_symbol", &b));
    assert_true(elf_image_soname(&memory, soname, sizeof soname));
    assert_string_equal(soname, "libstandin.so");
    elf_image_close(&file);
    elf_image_close(&memory);
}

/* Where the numbers are: the header, the program headers, the tables that they lead to. */
static void test_elf__survives_any_damage(void **state)
{
    (void)state;
    static const unsigned char values[] = {0, 1, 0x7f, 0x80, 0xff};
    size_t size;
    char *good = file_bytes(STANDIN_SO, &size);
    size_t reach = size < 4096 ? size : 4096;
    for (size_t at = SELFMAG; at < reach; at++) {
        char *bytes = malloc(size);
        memcpy(bytes, good, size);
        bytes[at] = (char)values[at % sizeof values];
        bytes[(at * 7919) % size] ^= (char)at;
        struct elf_image image;
        if (elf_image_open_memory(&image, bytes, size, 0)) ask_everything(&image);
        elf_image_close(&image);
    }
    free(good);
}

static void test_elf__survives_any_cut(void **state)
{
    (void)state;
    size_t size;
    char *good = file_bytes(STANDIN_SO, &size);
    for (size_t cut = 0; cut < size; cut += cut < 1024 ? 1 : 97) {
        char *bytes = malloc(cut + !cut);
        memcpy(bytes, good, cut);
        struct elf_image image;
        if (elf_image_open_memory(&image, bytes, cut, 0)) ask_everything(&image);
        elf_image_close(&image);
    }
    free(good);
}

/* ---- processes -------------------------------------------------------------------------------- */

/* The loader's own list and its rule redone from the files: two ways, one owner, one order. */
static void test_process__rule_agrees_with_the_loader(void **state)
{
    (void)state;
    struct process by_loader, by_rule;
    struct verdict a, b;
    assert_int_equal(process_read(&by_loader, getpid(), NULL), PROCESS_READ);
    assert_int_equal(process_read(&by_rule, getpid(), &forbidden), PROCESS_READ);
    assert_int_equal(by_loader.lookup, LOOKUP_LOADER);
    assert_int_equal(by_rule.lookup, LOOKUP_RULE);
    assert_int_equal(by_loader.module_count, by_rule.module_count);
    for (size_t i = 0; i < by_rule.module_count; i++)
        assert_string_equal(by_loader.modules[i].path, by_rule.modules[i].path);
    verdict_reach(&a, &by_loader);
    verdict_reach(&b, &by_rule);
    assert_string_equal(a.owner->path, b.owner->path);
    assert_string_equal(verdict_name(&a), verdict_name(&b));
    assert_false(a.is_static);
    process_finish(&by_loader);
    process_finish(&by_rule);
}

static void test_process__biases_are_those_of_the_loader(void **state)
{
    (void)state;
    struct process self;
    assert_int_equal(process_read(&self, getpid(), NULL), PROCESS_READ);
    struct module *program = process_executable(&self);
    struct elf_symbol symbol;
    assert_non_null(program);
    assert_true(elf_image_symbol(&program->image, "main", &symbol));
    extern int main(void);
    assert_int_equal(program->bias + symbol.value, (uintptr_t)main);
    process_finish(&self);
}

static void test_process__tells_a_process_that_is_not_there(void **state)
{
    (void)state;
    struct process none;
    assert_int_equal(process_read(&none, 4194305, NULL), PROCESS_NONE);
    process_finish(&none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_link_list__is_read_in_order),
        cmocka_unit_test(test_link_list__reads_pointers_of_four_bytes),
        cmocka_unit_test(test_link_list__ends_although_the_list_does_not),
        cmocka_unit_test(test_heap_view__adds_up_what_the_descriptors_say),
        cmocka_unit_test(test_heap_view__bounds_a_torn_or_wrong_descriptor),
        cmocka_unit_test(test_heap_view__refuses_a_registry_that_contradicts_itself),
        cmocka_unit_test(test_heap_view__takes_a_shorter_registry),
        cmocka_unit_test(test_elf__finds_the_same_through_file_and_memory),
        cmocka_unit_test(test_elf__survives_any_damage),
        cmocka_unit_test(test_elf__survives_any_cut),
        cmocka_unit_test(test_process__rule_agrees_with_the_loader),
        cmocka_unit_test(test_process__biases_are_those_of_the_loader),
        cmocka_unit_test(test_process__tells_a_process_that_is_not_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
