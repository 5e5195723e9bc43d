// Steady state: a forest of binary trees of depth 12 (8,191 nodes of 32 bytes), one node in 63 with a
// blob of 64 to 1,024 bytes. An iteration
//    replaces a subtree of 63 nodes and whatever hangs on it by a new one,
//    swaps four pairs of old subtrees,
//    makes and drops a list of 128 nodes,
//    hangs a new blob on some node:
// 6.7 KB, of which a third stays for long. What is live stays as much as it is, and is the parameter in
// MiB. Each thread has its own range of trees and is metered by the iteration. This is the program that
// has a large heap and must answer: a game, an editor, a database, a server with sessions.
#include "kit/job.h"

enum {
    DEPTH = 12,
    NODES = (2 << DEPTH) - 1,
    SUBTREE_DEPTH = 5,
    SUBTREE_NODES = (2 << SUBTREE_DEPTH) - 1,
    BLOB_LEAST = 64,
    BLOB_MOST = 1024,
    SWAPS = 4,
    LIST = 128,
};

// Nodes and blobs of a tree, in bytes.
enum { TREE_BYTES = NODES * 32 + NODES / SUBTREE_NODES * ((BLOB_LEAST + BLOB_MOST) / 2 + 16) };

struct range {
    struct array *forest;
    size_t first, count; // trees
    struct random random;
};

static struct bytes *blob_make(struct random *random)
{
    size_t size = random_between(random, BLOB_LEAST, BLOB_MOST);
    struct bytes *blob = bytes_new(size);
    blob->data[0] = blob->data[size - 1] = (unsigned char)size;
    return blob;
}

static struct tree *tree_make(unsigned depth)
{
    if (depth == 0) return tree_new();
    struct tree *left = tree_make(depth - 1), *right = tree_make(depth - 1);
    struct tree *tree = tree_new();
    INIT(tree, &tree->left, left);
    INIT(tree, &tree->right, right);
    return tree;
}

static void tree_drop(struct tree *tree)
{
    if (!BACKEND_BY_HAND || !tree) return;
    tree_drop(tree->left);
    tree_drop(tree->right);
    object_free(tree->blob);
    object_free(tree);
}

// --- places in the forest ------------------------------------------------------------------------

static struct tree *tree_pick(struct range *range)
{
    return range->forest->slots[range->first + random_below(&range->random, range->count)];
}

// Some node of a level, where all are equally likely; level 0 is the root's.
static struct tree *node_at_level(struct range *range, unsigned level)
{
    struct tree *tree = tree_pick(range);
    for (uint64_t way = random_next(&range->random); level > 0; level--, way >>= 1)
        tree = way & 1 ? tree->left : tree->right;
    return tree;
}

// Some node of a whole tree, all equally likely: the bits of its number say the way.
static struct tree *node_anywhere(struct range *range)
{
    size_t number = 1 + random_below(&range->random, NODES);
    return node_at_level(range, 63 - (unsigned)__builtin_clzll(number));
}

// --- an iteration --------------------------------------------------------------------------------

static void subtree_replace(struct range *range)
{
    struct tree *fresh = tree_make(SUBTREE_DEPTH);
    struct tree *parent = node_at_level(range, DEPTH - SUBTREE_DEPTH - 1);
    tree_drop(parent->left);
    STORE(parent, &parent->left, fresh);
}

static void subtrees_swap(struct range *range)
{
    unsigned level = DEPTH - SUBTREE_DEPTH - 1;
    struct tree *a = node_at_level(range, level), *b = node_at_level(range, level);
    struct tree *kept = a->left;
    STORE(a, &a->left, b->right);
    STORE(b, &b->right, kept);
}

static uint64_t list_make(void)
{
    struct node *list = NULL;
    uint64_t sum = 0;
    for (unsigned i = 0; i < LIST; i++) {
        struct node *node = node_new();
        INIT(node, &node->left, list);
        node->value = i;
        list = node;
    }
    for (struct node *node = list, *next; node; node = next) {
        sum += node->value;
        next = node->left;
        object_free(node);
    }
    return sum;
}

static void blob_hang(struct range *range)
{
    struct bytes *blob = blob_make(&range->random);
    struct tree *tree = node_anywhere(range);
    object_free(tree->blob);
    STORE(tree, &tree->blob, blob);
}

static void iterate(struct range *range)
{
    subtree_replace(range);
    for (unsigned i = 0; i < SWAPS; i++) subtrees_swap(range);
    if (list_make() != LIST * (LIST - 1) / 2) fail("a list is damaged");
    blob_hang(range);
    meter_tick();
}

// --- the whole -----------------------------------------------------------------------------------

static size_t forest_size(const struct job *job)
{
    return ((size_t)job->parameter << 20) / TREE_BYTES;
}

static struct range range_of(const struct job *job, unsigned index)
{
    size_t share = forest_size(job) / job->threads;
    return (struct range){
        .forest = roots[0], .first = share * index, .count = share, .random = random_seeded(index)};
}

static void forest_make(struct job *job, unsigned index)
{
    struct range range = range_of(job, index);
    for (size_t i = range.first; i < range.first + range.count; i++) {
        struct tree *tree = tree_make(DEPTH);
        STORE(range.forest, &range.forest->slots[i], tree);
        meter_tick();
    }
    for (size_t i = 0; i < range.count * (NODES / SUBTREE_NODES); i++) blob_hang(&range);
}

// Enough for several collections at twice the live size; large heaps take longer to fill.
static size_t iterations(const struct job *job)
{
    return 300000 + (size_t)1200 * job->parameter;
}

static void forest_change(struct job *job, unsigned index)
{
    struct range range = range_of(job, index);
    for (size_t i = job_share(job, iterations(job)); i > 0; i--) iterate(&range);
}

static size_t tree_count(const struct tree *tree)
{
    return tree ? 1 + tree_count(tree->left) + tree_count(tree->right) : 0;
}

void steady_run(struct job *job)
{
    size_t trees = forest_size(job) / job->threads * job->threads;
    ROOT_STORE(0, array_new(trees));
    crew_run(job, forest_make);
    job_begin(job);
    crew_run(job, forest_change);
    job_end(job);
    job->product = trees * NODES;
    struct array *forest = roots[0];
    size_t count = 0;
    for (size_t i = 0; i < trees; i++) count += tree_count(forest->slots[i]);
    if (count != job->product) fail("the forest is damaged");
}
