/* Builtins: procedures, equality, programs, the collector, time. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "args.h"
#include "eval.h"
#include "port.h"
#include "program.h"

/* ---- procedures and equality --------------------------------------------------------------------------- */

static value builtin_is_procedure(unsigned argc, value *argv)
{
    (void)argc;
    return boolean(is_procedure(argv[0]));
}

static value builtin_is_eq(unsigned argc, value *argv)
{
    (void)argc;
    return boolean(argv[0] == argv[1]);
}

static value builtin_is_eqv(unsigned argc, value *argv)
{
    (void)argc;
    return boolean(is_eqv(argv[0], argv[1]));
}

static value builtin_is_equal(unsigned argc, value *argv)
{
    (void)argc;
    return boolean(is_equal(argv[0], argv[1]));
}

static value builtin_not(unsigned argc, value *argv)
{
    (void)argc;
    return boolean(argv[0] == FALSE);
}

static value builtin_is_boolean(unsigned argc, value *argv)
{
    (void)argc;
    return boolean(argv[0] == TRUE || argv[0] == FALSE);
}

/* ---- programs -------------------------------------------------------------------------------------------- */

static value builtin_eval(unsigned argc, value *argv)
{
    (void)argc;
    return eval_form(argv[0]);
}

static value builtin_load(unsigned argc, value *argv)
{
    (void)argc;
    arg_string(argv[0]);
    program_load(argv[0]);
    return UNSPECIFIED;
}

static value builtin_exit(unsigned argc, value *argv)
{
    program_exit(argc == 0 || argv[0] == TRUE ? 0
                 : is_fixnum(argv[0])         ? (int)fixnum_get(argv[0])
                                              : 1);
}

/* ---- the collector ------------------------------------------------------------------------------------------ */

/* (gc ['minor | 'full | 'compact]): also runs the finalizers that are due; returns how many. */
static value builtin_gc(unsigned argc, value *argv)
{
    enum fh_gc_kind kind = FH_GC_FULL;
    if (argc && argv[0] == symbol_intern("minor"))
        kind = FH_GC_MINOR;
    else if (argc && argv[0] == symbol_intern("compact"))
        kind = FH_GC_COMPACT;
    else if (argc && argv[0] != symbol_intern("full"))
        fail("minor, full or compact", argv[0]);
    fh_gc_collect(lisp.heap, kind);
    return fixnum((int64_t)fh_gc_finalize(lisp.heap, 0));
}

/* (gc-stats): an association list. */
static value builtin_gc_stats(unsigned argc, value *argv)
{
    struct fh_gc_stats stats;
    (void)argc;
    (void)argv;
    fh_gc_stats_get(lisp.heap, &stats);
    const struct {
        const char *name;
        uint64_t number;
    } rows[] = {
        {"collections", stats.collections},         {"minor-collections", stats.minor_collections},
        {"allocated-bytes", stats.allocated_bytes}, {"live-bytes", stats.live_bytes},
        {"heap-bytes", stats.heap_bytes},           {"heap-bytes-peak", stats.heap_bytes_peak},
        {"objects-marked", stats.objects_marked},   {"weak-cleared", stats.weak_cleared},
        {"finalizers-run", stats.finalizers_run},   {"pause-ns-max", stats.pauses.max_ns},
        {"pause-ns-total", stats.pauses.total_ns},
    };
    struct list list = {NIL, NIL};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        list_add(&list, cons(symbol_intern(rows[i].name), fixnum((int64_t)rows[i].number)));
    return list.head;
}

static value builtin_gc_verify(unsigned argc, value *argv)
{
    (void)argc;
    (void)argv;
    return boolean(fh_gc_verify(lisp.heap) == 0);
}

/* ---- time ------------------------------------------------------------------------------------------------------ */

static value clock_seconds(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return flonum((double)now.tv_sec + (double)now.tv_nsec * 1e-9);
}

static value builtin_cpu_time(unsigned argc, value *argv)
{
    (void)argc;
    (void)argv;
    return clock_seconds(CLOCK_PROCESS_CPUTIME_ID);
}

static value builtin_real_time(unsigned argc, value *argv)
{
    (void)argc;
    (void)argv;
    return clock_seconds(CLOCK_MONOTONIC);
}

static const struct builtin_row rows[] = {
    {"procedure?", builtin_is_procedure, 1, 1},
    {"apply", builtin_apply, 2, -1},
    {"eq?", builtin_is_eq, 2, 2},
    {"eqv?", builtin_is_eqv, 2, 2},
    {"equal?", builtin_is_equal, 2, 2},
    {"not", builtin_not, 1, 1},
    {"boolean?", builtin_is_boolean, 1, 1},
    {"eval", builtin_eval, 1, 2},
    {"load", builtin_load, 1, 1},
    {"exit", builtin_exit, 0, 1},
    {"gc", builtin_gc, 0, 1},
    {"gc-stats", builtin_gc_stats, 0, 0},
    {"gc-verify", builtin_gc_verify, 0, 0},
    {"cpu-time", builtin_cpu_time, 0, 0},
    {"real-time", builtin_real_time, 0, 0},
};

void control_define(void)
{
    BUILTINS_DEFINE(rows);
}
