#include "inputs.h"

#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint32_t next(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

// An input is written under another name and renamed when whole: an interrupted run leaves no half.
static bool input_exists(char path[PATH_MAX], const char *folder, const char *name)
{
    snprintf(path, PATH_MAX, "%s/%s", folder, name);
    return access(path, R_OK) == 0;
}

// --- a large C file ------------------------------------------------------------------------------

static void c_statement(FILE *file, uint32_t *state)
{
    uint32_t a = next(state) % 8, b = next(state) % 8, c = next(state) % 1000;
    switch (next(state) % 5) {
    case 0: fprintf(file, "    v[%u] += v[%u] * %uu;\n", a, b, c); break;
    case 1: fprintf(file, "    if (v[%u] > %uu) v[%u] ^= item->weight;\n", a, c, b); break;
    case 2:
        fprintf(file, "    for (unsigned k = 0; k < v[%u] %% 9; k++) v[%u] += k;\n", a, b);
        break;
    case 3: fprintf(file, "    item->name[v[%u] %% 16] = (char)v[%u];\n", a, b); break;
    case 4: fprintf(file, "    v[%u] = v[%u] >> %u | item->next->weight;\n", a, b, c % 31); break;
    }
}

static void c_function(FILE *file, unsigned number, uint32_t *state)
{
    fprintf(file,
            "\nunsigned work_%u(struct item *item, unsigned x)\n{\n"
            "    unsigned v[8] = {x, x + 1, x ^ 3, item->weight, 4, 5, 6, %uu};\n",
            number, next(state) % 100);
    for (unsigned i = 0; i < 18; i++) c_statement(file, state);
    fprintf(file, "    switch (v[1] %% 6) {\n");
    for (unsigned i = 0; i < 6 && number; i++)
        fprintf(file, "    case %u: return work_%u(item->next, v[%u]);\n", i, next(state) % number,
                i);
    fprintf(file, "    default: return v[0] + v[7];\n    }\n}\n");
}

bool input_c_file(const char *folder, double scale)
{
    char path[PATH_MAX], partial[PATH_MAX + 8];
    if (input_exists(path, folder, "large.c")) return true;
    snprintf(partial, sizeof partial, "%s.new", path);
    FILE *file = fopen(partial, "we");
    if (!file) return false;
    uint32_t state = 1;
    fputs("struct item { struct item *next; unsigned weight; char name[16]; };\n", file);
    for (unsigned i = 0; i < (unsigned)(200 * scale); i++) c_function(file, i, &state);
    return fclose(file) == 0 && rename(partial, path) == 0;
}

// --- a git repository ----------------------------------------------------------------------------

enum { FILES = 40, LINES = 400, EDITED_PER_COMMIT = 3 };

// A file is the numbers its lines are made from; an edit changes some of them.
struct source {
    uint32_t lines[LINES];
};

static size_t source_text(const struct source *source, char *text)
{
    size_t length = 0;
    for (unsigned i = 0; i < LINES; i++) {
        uint32_t line = source->lines[i];
        length += (size_t)sprintf(text + length, "%*sresult_%u = compute_%u(value_%u, %u);\n",
                                  4 * (int)(line % 4), "", line % 211, line % 97, line / 7 % 503,
                                  line / 11);
    }
    return length;
}

static void commit_write(FILE *stream, unsigned commit, struct source *sources, uint32_t *state)
{
    static char text[LINES * 96];
    fprintf(stream,
            "commit refs/heads/main\ncommitter Bench <bench@example.org> %u +0000\n"
            "data <<END\nChange number %u\nEND\n",
            1500000000 + commit * 600, commit);
    unsigned edited = commit ? EDITED_PER_COMMIT : FILES;
    for (unsigned e = 0; e < edited; e++) {
        unsigned which = commit ? next(state) % FILES : e;
        for (unsigned i = 0; i < (commit ? 12 : LINES); i++)
            sources[which].lines[commit ? next(state) % LINES : i] = next(state);
        size_t length = source_text(&sources[which], text);
        fprintf(stream, "M 100644 inline part_%u/file_%u.c\ndata %zu\n", which % 7, which, length);
        fwrite(text, 1, length, stream);
        fputc('\n', stream);
    }
}

static bool commits_import(const char *repository, unsigned commits)
{
    char command[PATH_MAX + 100];
    struct source *sources = calloc(FILES, sizeof *sources);
    uint32_t state = 2;
    snprintf(command, sizeof command,
             "export GIT_DIR='%s'; git init -q --bare -b main && git fast-import --quiet",
             repository);
    FILE *stream = sources ? popen(command, "w") : NULL;
    for (unsigned i = 0; stream && i < commits; i++) commit_write(stream, i, sources, &state);
    free(sources);
    return stream && pclose(stream) == 0;
}

bool input_repository(const char *folder, double scale)
{
    char path[PATH_MAX], partial[PATH_MAX + 8];
    if (input_exists(path, folder, "repository.git")) return true;
    snprintf(partial, sizeof partial, "%s.%d", path, (int)getpid());
    fprintf(stderr, "bench: building %s\n", path);
    return commits_import(partial, (unsigned)(1500 * scale)) && rename(partial, path) == 0;
}
