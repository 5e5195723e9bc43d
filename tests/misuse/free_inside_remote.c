/* free of an address inside a small block of another thread. */
#include <pthread.h>
#include <stdlib.h>

static void *work(void *p)
{
    free((char *)p + 16);
    return NULL;
}

int main(void)
{
    pthread_t thread;
    pthread_create(&thread, NULL, work, malloc(100));
    pthread_join(thread, NULL);
    return 0;
}
