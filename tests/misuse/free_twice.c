/* free of a small block that is free already. Where that is ignored, the block is handed out once. */
#include <stdlib.h>

int main(void)
{
    char *volatile p = malloc(100), *volatile between = malloc(100);
    free(p);
    free(between);
    free(p);
    void *made[1000];
    for (int i = 0; i < 1000; i++) {
        made[i] = malloc(100);
        for (int k = 0; k < i; k++)
            if (made[k] == made[i]) return 1;
    }
    return 0;
}
