// Many threads, more than there are processors: each has a table of trees of depth 6 (4 KB each; all
// tables together are the parameter in MiB), replaces a random one in each iteration, and every 16th
// time trades it through one of 16 mailboxes, so that objects of all threads refer to and outlive each
// other. Stopping all threads at once is what costs here. Thread pools, actors, servers.
#include "kit/job.h"

#include <pthread.h>

enum { DEPTH = 6, TREE_BYTES = ((2 << DEPTH) - 1) * 32, BOXES = 16, ITERATIONS = 400000 };

static struct {
    pthread_mutex_t lock;
} boxes[BOXES] = {[0 ... BOXES - 1] = {PTHREAD_MUTEX_INITIALIZER}};

static struct node *tree_make(unsigned depth)
{
    if (depth == 0) return node_new();
    struct node *left = tree_make(depth - 1), *right = tree_make(depth - 1);
    struct node *node = node_new();
    INIT(node, &node->left, left);
    INIT(node, &node->right, right);
    node->value = depth;
    return node;
}

static void tree_drop(struct node *node)
{
    if (!BACKEND_BY_HAND || !node) return;
    tree_drop(node->left);
    tree_drop(node->right);
    object_free(node);
}

// Leaves a tree and takes what was there. Nothing is allocated under the lock.
static struct node *trade(struct random *random, struct node *tree)
{
    size_t box = random_below(random, BOXES);
    struct array *all = roots[0];
    pthread_mutex_lock(&boxes[box].lock);
    struct node *other = all->slots[box];
    STORE(all, &all->slots[box], tree);
    pthread_mutex_unlock(&boxes[box].lock);
    return other ? other : tree_make(DEPTH);
}

static size_t table_size(const struct job *job)
{
    return ((size_t)job->parameter << 20) / TREE_BYTES / job->threads;
}

static void iterate(struct array *table, size_t size, struct random *random, bool trades)
{
    struct node *tree = tree_make(DEPTH);
    if (trades) tree = trade(random, tree);
    size_t at = random_below(random, size);
    struct node *old = table->slots[at];
    if (old && old->value != DEPTH) fail("a tree is damaged");
    STORE(table, &table->slots[at], tree);
    tree_drop(old);
    meter_tick();
}

static void threads_work(struct job *job, unsigned index)
{
    struct random random = random_seeded(index);
    size_t size = table_size(job);
    struct array *table = array_new(size);
    ROOT_STORE(1 + index, table);
    for (size_t i = 0; i < size; i++) {
        STORE(table, &table->slots[i], tree_make(DEPTH));
        meter_tick();
    }
    for (size_t i = job_share(job, ITERATIONS); i > 0; i--)
        iterate(table, size, &random, i % 16 == 0);
}

void threads_run(struct job *job)
{
    if (job->threads > ROOTS - 1) fail("at most %d threads", ROOTS - 1);
    ROOT_STORE(0, array_new(BOXES));
    crew_run(job, threads_work);
}
