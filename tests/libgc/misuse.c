/*
 * misuse HOW [PATH]: what programs do that they should not, one kind at a time; misuse.sh holds the library to what it
 * says and how the process ends.
 *
 *      roots MODULE    a module adds roots and is unloaded, without taking them back
 *      mark            a mark procedure follows a wild pointer; the program has a handler of its own for the signal
 *      push            the same in GC_push_other_roots
 *      own             the program's handler for its own faults still works
 *      gone MODULE     a mark procedure's module was unloaded
 *      fork            the library is used for the first time in a child of fork
 *      beside LIBRARY  another libgc is loaded and used
 *      smash           the program writes beyond the ends of debug objects
 *      finalize        finalizers that collect, and register themselves again
 */
#include <dlfcn.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gc/gc.h>
#include <gc/gc_mark.h>

static const char *path;
static sigjmp_buf back;
static void *kept[1000];

static void fill(void)
{
    for (int round = 0; round < 20; round++)
        for (int i = 0; i < 1000; i++) {
            kept[i] = GC_MALLOC(200);
            memset(kept[i], round, 200);
        }
    GC_gcollect();
}

static int whole(void)
{
    for (int i = 0; i < 1000; i++)
        if (((char *)kept[i])[199] != 19) return 1;
    return 0;
}

static void *open_path(void)
{
    void *module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (module == NULL) fprintf(stderr, "%s\n", dlerror());
    if (module == NULL) exit(99);
    return module;
}

static void *function_of(void *module, const char *name)
{
    void *function = dlsym(module, name);
    if (function == NULL) exit(98);
    return function;
}

static int roots(void)
{
    void *module = open_path();
    void **(*add)(void) = (void **(*)(void))function_of(module, "module_add_roots");
    void **slots = add();
    slots[0] = GC_STRDUP("held by the module");
    fill();
    if (strcmp(slots[0], "held by the module") != 0) return 2;
    dlclose(module);
    fill();
    fill();
    return whole();
}

/* ---- faults ------------------------------------------------------------------------------------------------- */

static void jump_back(int signal)
{
    siglongjmp(back, signal);
}

static void handle(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = jump_back;
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
}

static struct GC_ms_entry *mark_wild(GC_word *object, struct GC_ms_entry *top,
                                     struct GC_ms_entry *limit, GC_word environment)
{
    (void)environment;
    void *next = *(void *volatile *)object[1]; /* an address of nothing */
    return GC_MARK_AND_PUSH(next, top, limit, (void **)object);
}

static int fault_in(unsigned proc)
{
    int kind = (int)GC_new_kind(GC_new_free_list(), GC_MAKE_PROC(proc, 0), 0, 1);
    GC_word *object = GC_generic_malloc(64, kind);
    object[1] = 0x1234560;
    kept[0] = object;
    if (sigsetjmp(back, 1) == 0) GC_gcollect();
    fprintf(stderr, "went on after the fault\n");
    return 0;
}

static int mark(void)
{
    handle();
    return fault_in(GC_new_proc(mark_wild));
}

static void push_wild(void)
{
    kept[1] = *(void *volatile *)0x1234560;
}

static int push(void)
{
    handle();
    GC_set_push_other_roots(push_wild);
    GC_gcollect();
    fprintf(stderr, "went on after the fault\n");
    return 0;
}

static int own(void)
{
    handle();
    for (volatile int i = 0; i < 3; i++) {
        fill();
        if (sigsetjmp(back, 1) == 0) {
            *(volatile int *)0x10 = i;
            return 2;
        }
    }
    return whole();
}

static int gone(void)
{
    void *module = open_path();
    unsigned proc = GC_new_proc((GC_mark_proc)function_of(module, "module_mark"));
    dlclose(module);
    return fault_in(proc);
}

/* ---- processes, and others of the kind -------------------------------------------------------------------------- */

static int in_child(void)
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        fill();
        pid_t grandchild = fork();
        if (grandchild == 0) {
            fill();
            _exit(whole());
        }
        if (waitpid(grandchild, &status, 0) != grandchild || status != 0) _exit(3);
        fill();
        _exit(whole());
    }
    if (waitpid(child, &status, 0) != child || status != 0) return 4;
    fill();
    return whole();
}

static int again_runs;

/* Its own collection, or the next one's, queues it again. */
static void again(void *object, void *data)
{
    (void)data;
    again_runs++;
    GC_gcollect();
    GC_register_finalizer(object, again, NULL, NULL, NULL);
}

static int finalize(void)
{
    for (int i = 0; i < 20; i++) GC_register_finalizer(GC_MALLOC(40), again, NULL, NULL, NULL);
    for (int i = 0; i < 3; i++) GC_gcollect();
    return again_runs == 0;
}

/* Two of many objects are overrun, one of them is garbage by then. */
static int smash(void)
{
    for (int i = 0; i < 1000; i++) kept[i] = GC_debug_malloc(23, GC_EXTRAS);
    ((char *)kept[7])[23] = 1;
    ((char *)kept[900])[25] = 2;
    kept[900] = NULL;
    GC_gcollect();
    GC_gcollect();
    return 0;
}

static int beside(void)
{
    fill();
    void *other = open_path();
    void (*other_init)(void) = (void (*)(void))function_of(other, "GC_init");
    void *(*other_malloc)(size_t) = (void *(*)(size_t))function_of(other, "GC_malloc");
    other_init();
    memset(other_malloc(100), 1, 100);
    fill();
    return whole();
}

int main(int count, char **arguments)
{
    static const struct {
        const char *name;
        int (*function)(void);
    } kinds[] = {{"roots", roots},   {"mark", mark},   {"push", push},
                 {"own", own},       {"gone", gone},   {"fork", in_child},
                 {"beside", beside}, {"smash", smash}, {"finalize", finalize}};
    alarm(60);
    path = count > 2 ? arguments[2] : "";
    for (size_t i = 0; count > 1 && i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].name, arguments[1]) == 0) return kinds[i].function();
    return 97;
}
