#include "kit/heap.h"

#include <mpsavm.h>
#include <mpscamc.h>
#include <pthread.h>

static mps_arena_t arena;
static mps_pool_t scanned_pool, leaf_pool;
static finalizer *finalize; // of all objects: no workload has two

_Thread_local mps_ap_t mps_scanned, mps_leaf;
static _Thread_local mps_thr_t thread;
static _Thread_local mps_root_t stack;

// --- the format ----------------------------------------------------------------------------------

// Of an object that has moved: where to, and how large it was.
struct moved {
    uintptr_t tag;
    void *to;
};

static mps_addr_t skip(mps_addr_t object)
{
    return (char *)object + tag_size(*(uintptr_t *)object);
}

static mps_res_t scan(mps_ss_t state, mps_addr_t base, mps_addr_t limit)
{
    MPS_SCAN_BEGIN(state)
    {
        for (char *at = base; at < (char *)limit; at = skip(at)) {
            size_t count = tag_references(*(uintptr_t *)at);
            mps_addr_t *slots = (mps_addr_t *)(at + sizeof(struct head));
            for (size_t i = 0; i < count; i++) {
                if (!MPS_FIX1(state, slots[i])) continue;
                mps_res_t result = MPS_FIX2(state, &slots[i]);
                if (result != MPS_RES_OK) return result;
            }
        }
    }
    MPS_SCAN_END(state);
    return MPS_RES_OK;
}

static void forward(mps_addr_t from, mps_addr_t to)
{
    struct moved *moved = from;
    moved->tag = tag_make(MOVED, tag_size(moved->tag));
    moved->to = to;
}

static mps_addr_t forwarded(mps_addr_t object)
{
    struct moved *moved = object;
    return tag_kind(moved->tag) == MOVED ? moved->to : NULL;
}

static void pad(mps_addr_t address, size_t size)
{
    *(uintptr_t *)address = tag_make(PAD, size);
}

// --- the heap ------------------------------------------------------------------------------------

static void must(mps_res_t result, const char *what)
{
    if (result != MPS_RES_OK) fail("%s: MPS result %d", what, (int)result);
}

static mps_fmt_t format_make(void)
{
    mps_fmt_t format;
    MPS_ARGS_BEGIN(args)
    {
        MPS_ARGS_ADD(args, MPS_KEY_FMT_ALIGN, 16);
        MPS_ARGS_ADD(args, MPS_KEY_FMT_SCAN, scan);
        MPS_ARGS_ADD(args, MPS_KEY_FMT_SKIP, skip);
        MPS_ARGS_ADD(args, MPS_KEY_FMT_FWD, forward);
        MPS_ARGS_ADD(args, MPS_KEY_FMT_ISFWD, forwarded);
        MPS_ARGS_ADD(args, MPS_KEY_FMT_PAD, pad);
        must(mps_fmt_create_k(&format, arena, args), "format");
    }
    MPS_ARGS_END(args);
    return format;
}

static mps_pool_t pool_make(mps_pool_class_t class, mps_fmt_t format, mps_chain_t chain)
{
    mps_pool_t pool;
    MPS_ARGS_BEGIN(args)
    {
        MPS_ARGS_ADD(args, MPS_KEY_FORMAT, format);
        MPS_ARGS_ADD(args, MPS_KEY_CHAIN, chain);
        must(mps_pool_create_k(&pool, arena, class, args), "pool");
    }
    MPS_ARGS_END(args);
    return pool;
}

// Address space for four times the limit, as the manual advises: from its default the arena is many
// times slower. The generations are sized by the heap: an eighth of it new, a quarter older.
void heap_open(size_t limit)
{
    mps_chain_t chain;
    mps_root_t root;
    mps_gen_param_s generations[] = {{limit / 8 >> 10, 0.8}, {limit / 4 >> 10, 0.4}};
    MPS_ARGS_BEGIN(args)
    {
        MPS_ARGS_ADD(args, MPS_KEY_ARENA_SIZE, limit * 4);
        MPS_ARGS_ADD(args, MPS_KEY_COMMIT_LIMIT, limit);
        must(mps_arena_create_k(&arena, mps_arena_class_vm(), args), "arena");
    }
    MPS_ARGS_END(args);
    must(mps_chain_create(&chain, arena, 2, generations), "generations");
    mps_fmt_t format = format_make();
    scanned_pool = pool_make(mps_class_amc(), format, chain);
    leaf_pool = pool_make(mps_class_amcz(), format, chain);
    must(mps_root_create_table(&root, arena, mps_rank_exact(), 0, roots, ROOTS), "roots");
    mps_message_type_enable(arena, mps_message_type_finalization());
    mutator_enter();
}

void heap_collect(void)
{
    mps_arena_collect(arena);
    mps_arena_release(arena);
}

unsigned long heap_collections(void)
{
    return (unsigned long)mps_collections(arena);
}

void mps_refused(mps_res_t result, size_t size, unsigned *tries)
{
    if ((result != MPS_RES_COMMIT_LIMIT && result != MPS_RES_MEMORY) || ++*tries > 3)
        heap_exhausted(size);
    heap_collect();
}

// --- threads -------------------------------------------------------------------------------------

// The coldest word of the thread's stack.
static void *stack_cold(void)
{
    pthread_attr_t attributes;
    void *start;
    size_t size;
    if (pthread_getattr_np(pthread_self(), &attributes) ||
        pthread_attr_getstack(&attributes, &start, &size))
        fail("no bounds of the stack");
    pthread_attr_destroy(&attributes);
    return (char *)start + size;
}

void mutator_enter(void)
{
    must(mps_thread_reg(&thread, arena), "thread");
    must(mps_root_create_thread(&stack, arena, thread, stack_cold()), "stack");
    must(mps_ap_create_k(&mps_scanned, scanned_pool, mps_args_none), "allocation point");
    must(mps_ap_create_k(&mps_leaf, leaf_pool, mps_args_none), "allocation point");
}

void mutator_leave(void)
{
    mps_ap_destroy(mps_leaf);
    mps_ap_destroy(mps_scanned);
    mps_root_destroy(stack);
    mps_thread_dereg(thread);
}

// --- finalizers ----------------------------------------------------------------------------------

void mps_finalizer_add(struct node *object, finalizer *function)
{
    mps_addr_t reference = object;
    finalize = function;
    must(mps_finalize(arena, &reference), "finalizer");
}

size_t finalizers_run(void)
{
    mps_message_t message;
    size_t count = 0;
    for (; mps_message_get(&message, arena, mps_message_type_finalization()); count++) {
        mps_addr_t object;
        mps_message_finalization_ref(&object, arena, message);
        mps_message_discard(arena, message);
        finalize(object);
    }
    return count;
}
