/* Before everything is ready: see calls_early.c, which this is linked against. */
#include <stdio.h>

int early_answer(void);
int early_wrong(void);

int main(void)
{
    if (early_wrong() == 0 && early_answer() == 42) return 0;
    printf("wrong: %#x\n", (unsigned)early_wrong());
    return 1;
}
