// Binary trees: one big tree lives through the run while thousands of small ones are built from the
// bottom up, counted and freed.
//
// Stresses: great numbers of 32-byte blocks linked by pointers; the order in which blocks lie
// decides how fast the program itself walks them. Boehm's GCBench and the benchmarks game have the
// same shape. Who has it: compilers' syntax trees, XML and HTML trees, search trees, game search.
#include "../kit/kit.h"

enum { LONG_DEPTH = 19, SHORT_DEPTH_MIN = 4, SHORT_DEPTH_MAX = 16, FULL_NODES = 24000000 };

struct node {
    struct node *left, *right;
    uint64_t weight, check;
};

static struct node *tree_build(unsigned depth)
{
    struct node *node = block_new(sizeof *node);
    *node = (struct node){.weight = depth, .check = ~(uint64_t)depth};
    if (depth) {
        node->left = tree_build(depth - 1);
        node->right = tree_build(depth - 1);
    }
    return node;
}

static size_t tree_count(const struct node *node)
{
    if (node->weight != ~node->check) fail("a tree node does not hold what was written to it");
    return 1 + (node->left ? tree_count(node->left) + tree_count(node->right) : 0);
}

static void tree_free(struct node *node)
{
    if (node->left) {
        tree_free(node->left);
        tree_free(node->right);
    }
    free(node);
}

static void tree_expect(const struct node *tree, unsigned depth)
{
    if (tree_count(tree) != ((size_t)2 << depth) - 1) fail("a tree of depth %u lost nodes", depth);
}

static void tree_work(void *shared, unsigned index)
{
    struct random random = random_seeded(index);
    size_t left = job_share(shared, FULL_NODES);
    while (left) {
        unsigned depth = (unsigned)random_between(&random, SHORT_DEPTH_MIN, SHORT_DEPTH_MAX);
        struct node *tree = tree_build(depth);
        tree_expect(tree, depth);
        tree_free(tree);
        size_t nodes = (size_t)2 << depth;
        left -= left < nodes ? left : nodes;
    }
}

void tree_run(struct job *job)
{
    struct node *lasting = tree_build(LONG_DEPTH);
    crew_run(job->threads, tree_work, job);
    tree_expect(lasting, LONG_DEPTH);
    tree_free(lasting);
}
