// GCBench (Ellis, Kovac, Boehm): binary trees of every second depth, made and dropped, beside one tree
// and one array that stay. Trees are made from the leaves up, and from the root down, which stores new
// objects into old ones. The same number of nodes is made at each depth. Each thread has its own trees.
#include "kit/job.h"

static size_t tree_size(unsigned depth)
{
    return ((size_t)2 << depth) - 1;
}

static struct node *tree_make(unsigned depth)
{
    meter_step();
    if (depth == 0) return node_new();
    struct node *left = tree_make(depth - 1), *right = tree_make(depth - 1);
    struct node *node = node_new();
    INIT(node, &node->left, left);
    INIT(node, &node->right, right);
    return node;
}

static void tree_populate(unsigned depth, struct node *node)
{
    if (depth == 0) return;
    meter_step();
    STORE(node, &node->left, node_new());
    STORE(node, &node->right, node_new());
    tree_populate(depth - 1, node->left);
    tree_populate(depth - 1, node->right);
}

static void tree_drop(struct node *node)
{
    if (!BACKEND_BY_HAND || !node) return;
    meter_step();
    tree_drop(node->left);
    tree_drop(node->right);
    object_free(node);
}

static size_t tree_count(const struct node *node)
{
    return node ? 1 + tree_count(node->left) + tree_count(node->right) : 0;
}

static void trees_make(const struct job *job, unsigned depth, unsigned depth_most)
{
    size_t count = job_total(job, 2 * tree_size(depth_most + 2) / tree_size(depth));
    for (size_t i = 0; i < count; i++) {
        struct node *root = node_new();
        tree_populate(depth, root);
        tree_drop(root);
        tree_drop(tree_make(depth));
    }
}

static void gcbench_work(struct job *job, unsigned index)
{
    unsigned depth_most = job->parameter;
    tree_drop(tree_make(depth_most + 2));
    struct node *root = node_new();
    ROOT_STORE(index, root);
    tree_populate(depth_most, root);
    // 4 MB of numbers at depth 16.
    struct bytes *numbers = bytes_new((size_t)4000000 << depth_most >> 16);
    ROOT_STORE(ROOTS / 2 + index, numbers);
    for (unsigned depth = 4; depth <= depth_most; depth += 2) trees_make(job, depth, depth_most);
    if (tree_count(roots[index]) != tree_size(depth_most)) fail("the long-lived tree is damaged");
}

void gcbench_run(struct job *job)
{
    crew_run(job, gcbench_work);
}
