/*
 * gap MIB [huge]: a program with MIB of small blocks that notes the longest time for which it stood. It
 * says "ready", and at the end of its input the longest gap between two looks at the clock, in
 * microseconds, of a thread that writes to the heap all the time: what a stop really costs.
 */
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { BLOCK = 216 };

struct node {
    struct node *next;
    char bytes[BLOCK - sizeof(void *)];
};

static struct node *all;
static size_t count;
static atomic_bool ending, counting;
static uint64_t longest;

static uint64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000;
}

static void *watch(void *argument)
{
    (void)argument;
    uint64_t last = now_us();
    struct node *node = all;
    while (!ending) {
        node->bytes[0]++;
        node = node->next ? node->next : all;
        uint64_t now = now_us();
        if (counting && now - last > longest) longest = now - last;
        last = now;
    }
    return NULL;
}

int main(int argc, char **argv)
{
    char byte;
    pthread_t thread;
    if (argc < 2) return 99;
    for (size_t bytes = strtoul(argv[1], NULL, 10) << 20; count * (BLOCK + 8) < bytes; count++) {
        struct node *node = malloc(sizeof *node);
        memset(node, 1, sizeof *node);
        node->next = all;
        all = node;
    }
    pthread_create(&thread, NULL, watch, NULL);
    puts("ready");
    fflush(stdout);
    counting = true;
    if (read(0, &byte, 1) != 0) return 98;
    ending = true;
    pthread_join(thread, NULL);
    fprintf(stderr, "gap: the longest was %llu us\n", (unsigned long long)longest);
    return 0;
}
