/*
 * outlive: a process whose first thread has ended by pthread_exit while another holds 8 MiB, and whose name has
 * a newline in it. It says "ready" when the first one is gone, and ends when its stdin does.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { HELD = 8 << 20 };

static int first_has_ended(void)
{
    char text[256] = "";
    int fd = open("/proc/self/stat", O_RDONLY);
    ssize_t size = read(fd, text, sizeof text - 1);
    close(fd);
    return size > 0 && strstr(text, ") Z ");
}

static void *hold(void *nothing)
{
    char byte, *held = memset(malloc(HELD), 1, HELD);
    while (!first_has_ended()) usleep(1000);
    puts("ready");
    fflush(stdout);
    while (read(0, &byte, 1) > 0) {
    }
    free(held);
    _exit(0);
    return nothing;
}

int main(void)
{
    pthread_t thread;
    prctl(PR_SET_NAME, "out\nlive", 0, 0, 0);
    if (pthread_create(&thread, NULL, hold, NULL) != 0) return 99;
    pthread_exit(NULL);
}
