/* free of an address inside a block of 20,000 bytes, from another thread. */
#include <pthread.h>
#include <stdlib.h>

static void *work(void *p)
{
    free((char *)p + 4096);
    return NULL;
}

int main(void)
{
    pthread_t thread;
    pthread_create(&thread, NULL, work, malloc(20000));
    pthread_join(thread, NULL);
    return 0;
}
