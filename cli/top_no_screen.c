/* Built without ncurses: there is no screen, only `freehold top --once`. */
#include "top.h"

bool top_screen(struct top *top, unsigned delay_ms, int *status)
{
    (void)top, (void)delay_ms, (void)status;
    return false;
}
