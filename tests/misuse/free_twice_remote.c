/* free of a small block that another thread has freed. */
#include <pthread.h>
#include <stdlib.h>

static void *work(void *p)
{
    free(p);
    return NULL;
}

int main(void)
{
    pthread_t thread;
    void *volatile p = malloc(100);
    pthread_create(&thread, NULL, work, p);
    pthread_join(thread, NULL);
    free(p);
    return 0;
}
