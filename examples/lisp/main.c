/*
 * lisp: a Scheme whose every value lives in the collector.
 *
 *      lisp [options] [file...]      runs the files; without any, reads from the terminal
 *
 * The program runs on a thread of its own, whose stack is as large as its recursion may be deep
 * (--stack): the collector searches what is used of it. The main thread only waits, and the collector
 * does not know of it.
 */
#include <getopt.h>
#include <locale.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "port.h"
#include "program.h"
#include "value.h"

enum { STACK_RESERVE = 4 << 20 }; /* below the check: C functions, and nodes inside each other */

static struct settings {
    struct fh_gc_options heap;
    size_t stack;
    const char *expression;
    bool stats, interactive;
    int argc;
    char **argv;
} settings = {.stack = 256 << 20};

/* ---- options ------------------------------------------------------------------------------------------- */

static const char usage[] =
    "usage: lisp [options] [file...]\n"
    "  --policy NAME   mark, generational, concurrent or watched\n"
    "  --heap SIZE     limit of the heap, as in 64M\n"
    "  --fixed         collect only when the limit is reached\n"
    "  --adaptive      size the heap by how much is live and how fast it changes\n"
    "  --markers N     threads that mark\n"
    "  --stress N      collect at every N-th allocation\n"
    "  --verify        check the heap before and after each collection\n"
    "  --poison        overwrite what was freed\n"
    "  --fence         find what is written beyond the end of an object\n"
    "  --move          move all objects that may move, at every full collection\n"
    "  --delay         delay handshakes with the program at random\n"
    "  --stack SIZE    of C stack, which bounds the depth of recursion (256M)\n"
    "  --stats         at the end, what the collector did, as JSON on standard error\n"
    "  -e EXPRESSION   evaluate this, print the value\n"
    "  -i              read from the terminal after the files\n";

static _Noreturn void refuse(const char *what, const char *value)
{
    fprintf(stderr, "lisp: %s: %s\n%s", what, value, usage);
    exit(2);
}

static size_t size_read(const char *text)
{
    char *end;
    errno = 0;
    unsigned long long size = strtoull(text, &end, 10);
    static const char units[] = "KMG";
    const char *unit = *end ? strchr(units, *end) : NULL;
    int shift = unit ? (int)(unit - units + 1) * 10 : 0;
    if (unit) end++;
    bool bad = end == text || *text == '-' || *end || errno || size << shift >> shift != size;
    if (bad || size == 0) refuse("not a size", text);
    return (size_t)size << shift;
}

static uint32_t policy_read(const char *name)
{
    static const char *const names[] = {"mark", "generational", "concurrent", "watched"};
    for (uint32_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0) return i;
    refuse("no such policy", name);
}

static void option_take(int option)
{
    switch (option) {
    case 'p': settings.heap.policy = policy_read(optarg); break;
    case 'h': settings.heap.limit = size_read(optarg); break;
    case 'f': settings.heap.sizing = FH_GC_FIXED; break;
    case 'a': settings.heap.sizing = FH_GC_ADAPTIVE; break;
    case 'm': settings.heap.markers = (uint32_t)size_read(optarg); break;
    case 's': settings.heap.stress = (uint32_t)size_read(optarg); break;
    case 'v': settings.heap.debug |= FH_GC_VERIFY; break;
    case 'P': settings.heap.debug |= FH_GC_POISON; break;
    case 'F': settings.heap.debug |= FH_GC_FENCE; break;
    case 'M': settings.heap.debug |= FH_GC_MOVE_ALL; break;
    case 'D': settings.heap.debug |= FH_GC_RANDOM_DELAY; break;
    case 'S': settings.stack = size_read(optarg); break;
    case 'J': settings.stats = true; break;
    case 'e': settings.expression = optarg; break;
    case 'i': settings.interactive = true; break;
    case 'H': fputs(usage, stdout); exit(0);
    default: fputs(usage, stderr); exit(2);
    }
}

static void options_read(int argc, char **argv)
{
    static const struct option options[] = {
        {"policy", required_argument, NULL, 'p'},
        {"heap", required_argument, NULL, 'h'},
        {"fixed", no_argument, NULL, 'f'},
        {"adaptive", no_argument, NULL, 'a'},
        {"markers", required_argument, NULL, 'm'},
        {"stress", required_argument, NULL, 's'},
        {"verify", no_argument, NULL, 'v'},
        {"poison", no_argument, NULL, 'P'},
        {"fence", no_argument, NULL, 'F'},
        {"move", no_argument, NULL, 'M'},
        {"delay", no_argument, NULL, 'D'},
        {"stack", required_argument, NULL, 'S'},
        {"stats", no_argument, NULL, 'J'},
        {"help", no_argument, NULL, 'H'},
        {NULL, 0, NULL, 0},
    };
    int option;
    while ((option = getopt_long(argc, argv, "+e:i", options, NULL)) != -1) option_take(option);
    settings.argc = argc - optind;
    settings.argv = argv + optind;
    if (settings.heap.sizing == FH_GC_FIXED && settings.heap.limit == 0)
        refuse("--fixed needs a limit", "--heap");
    if (settings.stack < 4 * STACK_RESERVE) settings.stack = 4 * STACK_RESERVE;
    if (settings.argc == 0 && settings.expression == NULL) settings.interactive = true;
}

/* ---- start and end ---------------------------------------------------------------------------------------- */

/* The next call finds its stack too small. */
static void interrupt(int signal)
{
    (void)signal;
    lisp.stack_limit = UINTPTR_MAX;
}

static void interpreter_start(void)
{
    settings.heap.no_static_data = true;
    lisp.heap = fh_gc_create(&settings.heap);
    if (lisp.heap == NULL && errno == EINVAL)
        refuse("cannot create the heap", "--heap is below 256K, or --markers above 1024");
    if (lisp.heap == NULL) refuse("cannot create the heap", strerror(errno));
    if (fh_gc_root_add(lisp.heap, &lisp.roots, sizeof lisp.roots / sizeof(value))) abort();
    value_start();
    error_define();
    number_define();
    list_define();
    string_define();
    vector_define();
    table_define();
    port_define();
    read_define();
    print_define();
    control_define();
    record_define();
    syntax_define();
    if (settings.interactive && isatty(0)) signal(SIGINT, interrupt);
}

static void stats_write(void)
{
    static char text[1 << 16];
    size_t length = fh_gc_stats_json(lisp.heap, text, sizeof text);
    fwrite(text, 1, length < sizeof text ? length : sizeof text, stderr);
    fputc('\n', stderr);
}

_Noreturn void program_exit(int status)
{
    port_flush(lisp.roots.standard_output);
    if (settings.stats) stats_write();
    fflush(NULL);
    _exit(status);
}

static value start(void *data)
{
    (void)data;
    interpreter_start();
    return UNSPECIFIED;
}

static value finish(void *data)
{
    program_exit(*(int *)data);
}

static void *run(void *data)
{
    value result;
    int status = 0;
    char *top = __builtin_frame_address(0);
    (void)data;
    lisp.stack_bottom = (uintptr_t)top - settings.stack + STACK_RESERVE;
    lisp.stack_limit = lisp.stack_bottom;
    if (!catch_errors(start, NULL, &result)) refuse("cannot start", "the heap is too small");
    for (int i = 0; i < settings.argc && status == 0; i++)
        if (!program_run_file(settings.argv[i])) status = 1;
    if (settings.expression && !program_run_text(settings.expression)) status = 1;
    if (settings.interactive) program_repl();
    if (!catch_errors(finish, &status, &result)) condition_report(result);
    _exit(1);
}

int main(int argc, char **argv)
{
    pthread_attr_t attributes;
    pthread_t thread;
    setlocale(LC_CTYPE, "C.UTF-8");
    options_read(argc, argv);
    pthread_attr_init(&attributes);
    if (pthread_attr_setstacksize(&attributes, settings.stack)) refuse("bad --stack", "size");
    if (pthread_create(&thread, &attributes, run, NULL))
        refuse("cannot start", "no memory for --stack");
    pthread_join(thread, NULL);
    return 1;
}
