/*
 * stuck: a program with a thread in vfork, whose child neither ends nor calls exec before the input ends, so that the
 * kernel does not let that thread stop. It is ready when the thread is there.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static _Atomic pid_t held;

static void *hold(void *argument)
{
    char byte;
    held = (pid_t)syscall(SYS_gettid);
    if (vfork() == 0) {
        (void)!read(0, &byte, 1);
        _exit(0);
    }
    return argument;
}

static int is_held(void)
{
    char path[64], text[512] = "";
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)held);
    FILE *file = fopen(path, "r");
    size_t size = file ? fread(text, 1, sizeof text - 1, file) : 0;
    if (file) fclose(file);
    text[size] = 0;
    const char *name_end = strrchr(text, ')');
    return name_end && name_end[1] == ' ' && name_end[2] == 'D';
}

int main(void)
{
    pthread_t thread;
    char *volatile block = malloc(100);
    if (!block || pthread_create(&thread, NULL, hold, NULL) != 0) return 77;
    while (!held || !is_held()) usleep(1000);
    printf("ready %d\n", (int)held);
    fflush(stdout);
    pthread_join(thread, NULL);
    fputs("stuck: still here\n", stderr);
    return 0;
}
