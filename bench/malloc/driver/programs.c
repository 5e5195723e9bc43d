// The rows that are real programs: what is run, on what, and whose malloc it is that counts.
//
// In arguments, %P is the folder of the scripts, %I the folder of generated inputs, %S the scale.
// What a program produces is hashed and must be the same on every allocator.
#include "common/child.h"
#include "inputs.h"
#include "redis.h"
#include "row.h"
#include "tool.h"

#include <stdio.h>
#include <string.h>

enum { ARGUMENTS_MAX = 16 };

struct program {
    const char *name;
    unsigned threads;
    const char *tool;
    const char *worker;  // the program that the tool starts to do the work, if it is another one
    const char *product; // a file that must come out equal; "output" is standard output; NULL: none
    const char *arguments[ARGUMENTS_MAX];
    const char *settings[4];
    bool (*input)(const char *folder, double scale);
};

#define GIT_ALONE "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1"

static const struct program programs[] = {
    {.name = "sqlite3",
     .threads = 1,
     .tool = "sqlite3",
     .product = "output",
     .arguments = {"-batch", "-bail", "-cmd", "create table scale as select %S as s",
                   ":memory:", ".read %P/sqlite.sql"}},
    {.name = "python3",
     .threads = 1,
     .tool = "python3",
     .product = "output",
     .arguments = {"-S", "-s", "%P/python.py", "%S"},
     .settings = {"PYTHONMALLOC=malloc", "PYTHONHASHSEED=0"}},
    {.name = "gcc",
     .threads = 1,
     .tool = "gcc",
     .worker = "cc1",
     .product = "large.s",
     .arguments = {"-O2", "-S", "-o", "%I/large.s", "%I/large.c"},
     .input = input_c_file},
    {.name = "lua",
     .threads = 1,
     .tool = "lua5.4",
     .product = "output",
     .arguments = {"%P/lua.lua", "%S"}},
    {.name = "perl",
     .threads = 1,
     .tool = "perl",
     .product = "output",
     .arguments = {"%P/perl.pl", "%S"},
     .settings = {"PERL_HASH_SEED=0"}},
    {.name = "git_repack",
     .threads = 2,
     .tool = "git",
     .arguments = {"-C", "%I/repository.git", "-c", "pack.threads=2", "-c", "core.fsync=none",
                   "repack", "-adfq"},
     .settings = {GIT_ALONE},
     .input = input_repository},
    {.name = "git_log",
     .threads = 1,
     .tool = "git",
     .product = "output",
     .arguments = {"-C", "%I/repository.git", "log", "-p", "--stat"},
     .settings = {GIT_ALONE},
     .input = input_repository},
};

// --- running one ---------------------------------------------------------------------------------

static void argument_expand(char *expanded, size_t room, const char *argument,
                            const struct bench *bench)
{
    size_t length = 0;
    for (; *argument && length + 1 < room; argument++) {
        char plain[2] = {*argument, '\0'}, scale[16];
        const char *insert = plain;
        snprintf(scale, sizeof scale, "%g", bench->scale);
        if (*argument == '%') {
            argument++;
            insert = *argument == 'P' ? bench->scripts : *argument == 'I' ? bench->scratch : scale;
        }
        length += (size_t)snprintf(expanded + length, room - length, "%s", insert);
    }
}

// FNV-1a; 0 stands for "no product", so an empty file counts as a failure.
static uint64_t file_hash(const char *path)
{
    FILE *file = fopen(path, "re");
    uint64_t hash = 1469598103934665603u, bytes = 0;
    for (int byte; file && (byte = getc(file)) != EOF; bytes++)
        hash = (hash ^ (uint64_t)byte) * 1099511628211u;
    if (file) fclose(file);
    return bytes ? hash : 0;
}

static void product_read(const struct program *program, const char *path, struct sample *sample)
{
    if (!program->product) return;
    sample->product = file_hash(path);
    if (!sample->product) snprintf(sample->why, sizeof sample->why, "it produced nothing");
}

static void command_measure(const struct command *command, struct sample *sample)
{
    struct child child;
    struct usage usage;
    if (!command_run(command, &child, &usage)) {
        usage_explain(&usage, sample->why, sizeof sample->why);
        return;
    }
    sample->wall_s = usage.ended_s - child.started_s;
    sample->cpu_s = usage.cpu_s;
    sample->peak_rss_kib = usage.peak_rss_kib;
}

static bool program_find(const struct program *program, char tool[TOOL_PATH],
                         char worker[TOOL_PATH])
{
    return tool_find(tool, program->tool) &&
           (program->worker ? compiler_pass_find(worker, tool, program->worker)
                            : tool_find(worker, program->tool));
}

static void program_measure(const struct bench *bench, const struct row *row,
                            const struct allocator *allocator, struct sample *sample)
{
    static char expanded[ARGUMENTS_MAX][1200];
    const struct program *program = row->subject;
    const char *arguments[ARGUMENTS_MAX + 2] = {0};
    char tool[TOOL_PATH], worker[TOOL_PATH], product[1200];
    if (!program_find(program, tool, worker) ||
        !allocator_takes_effect(allocator, worker, false, bench->scratch, sample->why,
                                sizeof sample->why))
        return;
    if (program->input && !program->input(bench->scratch, bench->scale)) {
        snprintf(sample->why, sizeof sample->why, "its input cannot be made");
        return;
    }
    arguments[0] = tool;
    for (unsigned i = 0; program->arguments[i]; i++) {
        argument_expand(expanded[i], sizeof expanded[i], program->arguments[i], bench);
        arguments[i + 1] = expanded[i];
    }
    snprintf(product, sizeof product, "%s/%s", bench->scratch,
             program->product ? program->product : "");
    bool prints = program->product && !strcmp(program->product, "output");
    command_measure(&(struct command){.arguments = arguments,
                                      .preload = allocator_preload(allocator, false),
                                      .settings = program->settings,
                                      .output = prints ? product : NULL},
                    sample);
    if (!sample->why[0]) product_read(program, product, sample);
}

// --- the rows ------------------------------------------------------------------------------------

static void add_program(struct bench *bench, const struct program *program)
{
    char tool[TOOL_PATH], worker[TOOL_PATH];
    if (program_find(program, tool, worker))
        bench_add(bench, (struct row){.name = program->name,
                                      .threads = program->threads,
                                      .wall_ranked = true,
                                      .subject = program,
                                      .measure = program_measure});
    else
        fprintf(stderr, "bench: without %s: %s is not installed\n", program->name, program->tool);
}

static void add_redis(struct bench *bench)
{
    char path[TOOL_PATH];
    if (tool_find(path, "redis-server") && tool_find(path, "redis-benchmark"))
        bench_add(bench, (struct row){.name = "redis",
                                      .threads = 1,
                                      .wall_ranked = true,
                                      .measure = redis_measure});
    else
        fprintf(stderr, "bench: without redis: redis-server or redis-benchmark is not installed\n");
}

void bench_add_programs(struct bench *bench)
{
    for (unsigned i = 0; i < sizeof programs / sizeof programs[0]; i++)
        add_program(bench, &programs[i]);
    add_redis(bench);
}
