/* Reads /proc/PID/fdinfo and /proc/PID/timers; see kernel_words.h. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "file.h"
#include "kernel_words.h"

enum { TEXT_MAX = 64 << 20, FILES_MAX = 1 << 20 };

bool kernel_words_add(struct kernel_words *w, uint64_t word)
{
    if (w->count == w->capacity) {
        size_t capacity = w->capacity ? w->capacity * 2 : 64;
        uint64_t *grown = realloc(w->list, capacity * sizeof *grown);
        if (!grown) return false;
        w->list = grown;
        w->capacity = capacity;
    }
    w->list[w->count++] = word;
    return true;
}

bool kernel_words_parse(struct kernel_words *w, const char *text, size_t size, const char *before)
{
    const char *end = text + size;
    size_t length = strlen(before);
    for (const char *at = text; (at = memmem(at, (size_t)(end - at), before, length));) {
        uint64_t word;
        at += length;
        while (at < end && *at == ' ') at++;
        if (parse_hex(&at, end, &word) && !kernel_words_add(w, word)) return false;
    }
    return true;
}

static bool read_text(struct kernel_words *w, const char *path, const char *before)
{
    struct file_text text;
    if (!file_read(&text, path, TEXT_MAX)) return true;
    bool done = !text.data || kernel_words_parse(w, text.data, text.size, before);
    free(text.data);
    return done;
}

static bool is_epoll(pid_t pid, const char *name)
{
    char path[320], target[64];
    snprintf(path, sizeof path, "/proc/%d/fd/%s", (int)pid, name);
    ssize_t length = readlink(path, target, sizeof target - 1);
    if (length <= 0) return false;
    target[length] = 0;
    return strcmp(target, "anon_inode:[eventpoll]") == 0;
}

bool kernel_words_read(struct kernel_words *w, pid_t pid)
{
    char path[320];
    snprintf(path, sizeof path, "/proc/%d/timers", (int)pid);
    if (!read_text(w, path, "/")) return false;
    snprintf(path, sizeof path, "/proc/%d/fdinfo", (int)pid);
    DIR *files = opendir(path);
    bool done = true;
    int count = 0;
    for (struct dirent *entry; done && files && count < FILES_MAX && (entry = readdir(files));
         count++) {
        if (!is_epoll(pid, entry->d_name)) continue;
        snprintf(path, sizeof path, "/proc/%d/fdinfo/%s", (int)pid, entry->d_name);
        done = read_text(w, path, "data:");
    }
    if (files) closedir(files);
    return done;
}

void kernel_words_finish(struct kernel_words *w)
{
    free(w->list);
    *w = (struct kernel_words){0};
}
