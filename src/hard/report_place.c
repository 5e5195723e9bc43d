/* report: what is at an address: a mapping by /proc/self/maps, a module by the dynamic linker's own table. */
#include <dlfcn.h>
#include <link.h>

#include "hard/report.h"
#include "os/os.h"

/* ---- mappings -------------------------------------------------------------------------------------------------- */

/* The table that unwinders use: no lock, no allocation, also in a signal handler. */
static const struct link_map *module_of(uintptr_t pc)
{
    struct dl_find_object found;
    return _dl_find_object((void *)pc, &found) == 0 ? found.dlfo_link_map : NULL;
}

static bool hex_read(const char **at, const char *end, uintptr_t *value)
{
    const char *start = *at;
    for (*value = 0; *at < end; ++*at) {
        unsigned c = (unsigned char)**at, digit = c - '0';
        if (c >= 'a' && c <= 'f') digit = c - 'a' + 10;
        if (digit >= 16) break;
        *value = *value << 4 | digit;
    }
    return *at > start;
}

/* "start-end perms offset device inode   name": whether it holds p; *name is then its name. */
static bool line_holds(const char *line, const char *end, uintptr_t p, const char **name)
{
    uintptr_t from, to;
    if (!hex_read(&line, end, &from) || line >= end || *line++ != '-') return false;
    if (!hex_read(&line, end, &to) || p < from || p >= to) return false;
    for (int field = 0; field < 5; field++) {
        while (line < end && *line == ' ') line++;
        if (field == 4) break;
        while (line < end && *line != ' ') line++;
    }
    *name = line;
    return true;
}

/* What a module has beyond its file, for data that begin as zeros, has no name in that list. */
static void place_tell(uintptr_t p, const char *name, const char *end, struct text *t)
{
    const struct link_map *module = name == end ? module_of(p) : NULL;
    if (module) {
        text_str(t, "static data of ");
        text_str(t, module->l_name && module->l_name[0] ? module->l_name : "the program");
        return;
    }
    text_str(t, name < end ? "memory of " : "anonymous memory");
    text_strn(t, name, (size_t)(end - name));
}

/* Looks through what is in the buffer; lines that are not whole stay for the next time. */
static bool lines_look(char *buffer, size_t *have, size_t capacity, uintptr_t p, struct text *t)
{
    size_t start = 0;
    for (size_t i = 0; i < *have; i++) {
        const char *name, *end = buffer + i;
        if (buffer[i] != '\n') continue;
        if (line_holds(buffer + start, end, p, &name)) {
            place_tell(p, name, end, t);
            return true;
        }
        start = i + 1;
    }
    *have = start == 0 && *have == capacity ? 0 : *have - start; /* too long for us: passed over */
    for (size_t i = 0; i < *have; i++) buffer[i] = buffer[start + i];
    return false;
}

void report_place(uintptr_t p, struct text *t)
{
    char buffer[512];
    size_t have = 0;
    bool found = false;
    int fd = os_file_open("/proc/self/maps");
    if (fd < 0) {
        text_str(
            t, "not a block of freehold; /proc/self/maps, which could say more, cannot be opened");
        return;
    }
    for (long n; !found && (n = os_file_read(fd, buffer + have, sizeof buffer - have)) > 0;) {
        have += (size_t)n;
        found = lines_look(buffer, &have, sizeof buffer, p, t);
    }
    os_file_close(fd);
    text_str(t, found ? ", not a block of freehold" : "not mapped: no memory is there");
}

/* ---- modules --------------------------------------------------------------------------------------------------- */

const char *report_module(uintptr_t pc, const char *program, uintptr_t *offset)
{
    const struct link_map *module = module_of(pc);
    if (module == NULL) return NULL;
    *offset = pc - module->l_addr;
    return module->l_name && module->l_name[0] ? module->l_name : program;
}

uintptr_t report_call_site(const struct report *report, uintptr_t pc)
{
    bool interrupted = report->fault.context && pc == report->here[0];
    return interrupted || pc == 0 ? pc : pc - 1;
}

/* In a program that has the library inside, its frames cannot be told from the program's. */
unsigned report_own_frames(const uintptr_t *pcs, unsigned count)
{
    const struct link_map *own = module_of((uintptr_t)report_own_frames);
    unsigned n = 0;
    if (own == NULL || own->l_name == NULL || own->l_name[0] == 0) return 0;
    while (n < count && module_of(pcs[n] - 1) == own) n++;
    return n;
}
