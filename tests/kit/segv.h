/*
 * cmocka puts a handler of SIGSEGV over that of the program before each test, and takes it away after it. A test of what a
 * handler of the library's does, which may come at any moment, includes this once: then cmocka's is not put there.
 */
#ifndef KIT_SEGV_H
#define KIT_SEGV_H

#include <signal.h>

void (*signal(int number, void (*handler)(int)))(int)
{
    struct sigaction action = {.sa_handler = handler}, before = {.sa_handler = SIG_DFL};
    if (number != SIGSEGV) sigaction(number, &action, &before);
    return before.sa_handler;
}

#endif
