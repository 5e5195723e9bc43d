/* take_threads THREADS SIZE: each thread holds a block of SIZE bytes at one moment; then all are freed. */
#include <pthread.h>
#include <stdlib.h>

static pthread_barrier_t all_have_one;
static size_t size;

static void *take(void *unused)
{
    (void)unused;
    void *volatile p = malloc(size);
    pthread_barrier_wait(&all_have_one);
    free(p);
    return NULL;
}

int main(int argc, char **argv)
{
    enum { THREADS_MAX = 64 };
    pthread_t thread[THREADS_MAX];
    if (argc != 3) return 2;
    unsigned threads = (unsigned)strtoul(argv[1], NULL, 0);
    size = strtoull(argv[2], NULL, 0);
    if (threads == 0 || threads > THREADS_MAX) return 2;
    pthread_barrier_init(&all_have_one, NULL, threads);
    for (unsigned i = 0; i < threads; i++) pthread_create(&thread[i], NULL, take, NULL);
    for (unsigned i = 0; i < threads; i++) pthread_join(thread[i], NULL);
    return 0;
}
