/* What the machine does with memory: pages, huge pages, overcommit, mappings, what is left. */
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "doctor.h"
#include "fields.h"
#include "file.h"
#include "human.h"

#define THP "/sys/kernel/mm/transparent_hugepage"

/* The word in brackets: "always [madvise] never"; the whole if there is none. */
static bool read_choice(const char *path, char *choice, size_t capacity)
{
    struct file_text text;
    if (!file_read(&text, path, 4096)) return false;
    const char *open = strchr(text.data, '[');
    const char *from = open ? open + 1 : text.data;
    snprintf(choice, capacity, "%.*s", (int)strcspn(from, "]\n"), from);
    free(text.data);
    return true;
}

static void check_page_size(struct doctor *d)
{
    long page = sysconf(_SC_PAGESIZE);
    doctor_find(d, page == 4096 ? LEVEL_OK : LEVEL_NOTE, "page size",
                "small heaps take more memory, and programs built for 4 KiB pages may crash",
                "none needed for Freehold, which reads the page size at run time", "%ld KiB",
                page / 1024);
}

static void check_huge_pages(struct doctor *d)
{
    char choice[64];
    if (!read_choice(THP "/enabled", choice, sizeof choice)) {
        doctor_find(d, LEVEL_OK, "transparent huge pages", NULL, NULL, "%s",
                    access("/sys/kernel", F_OK) == 0 ? "not in this kernel"
                                                     : "not known: /sys is not mounted");
        return;
    }
    bool always = strcmp(choice, "always") == 0;
    doctor_find(d, always ? LEVEL_NOTE : LEVEL_OK, "transparent huge pages",
                "the kernel rounds touched memory up to 2 MiB: RSS may be far above what is live, "
                "with any allocator",
                "echo madvise | sudo tee " THP "/enabled", "%s", choice);
}

static void check_huge_page_stalls(struct doctor *d)
{
    char choice[64];
    if (!read_choice(THP "/defrag", choice, sizeof choice)) return;
    bool always = strcmp(choice, "always") == 0;
    doctor_find(d, always ? LEVEL_NOTE : LEVEL_OK, "huge page defrag",
                "a page fault may wait while the kernel moves memory to make a huge page",
                "echo madvise | sudo tee " THP "/defrag", "%s", choice);
}

/* Sizes between a page and 2 MiB, each switched by itself (Linux 6.8 and later). */
static void check_middle_pages(struct doctor *d)
{
    char on[200] = "";
    DIR *directory = opendir(THP);
    for (struct dirent *entry; directory && (entry = readdir(directory));) {
        char path[400], choice[64];
        if (strncmp(entry->d_name, "hugepages-", 10) != 0) continue;
        snprintf(path, sizeof path, THP "/%s/enabled", entry->d_name);
        if (!read_choice(path, choice, sizeof choice) || strcmp(choice, "always") != 0) continue;
        size_t used = strlen(on);
        snprintf(on + used, sizeof on - used, "%s%s", used ? ", " : "", entry->d_name + 10);
    }
    if (directory) closedir(directory);
    doctor_find(d, *on ? LEVEL_NOTE : LEVEL_OK, "multi-size huge pages",
                "touching one page may make that much resident; few faults, more RSS",
                "echo never | sudo tee " THP "/hugepages-SIZE/enabled", "%s",
                *on ? on : "none always on");
}

/* Said first, as it explains what is not said then. */
static void check_proc(struct doctor *d)
{
    if (access("/proc/self", F_OK) == 0) return;
    doctor_find(
        d, LEVEL_BAD, "/proc",
        "freehold run gets no figures, freehold which sees no process, and most of what the "
        "doctor looks at cannot be known",
        "mount -t proc proc /proc", "not mounted");
}

/* A line of /proc/meminfo, in bytes. */
static uint64_t meminfo(const char *text, const char *name)
{
    const char *line = strstr(text, name);
    return line ? strtoull(line + strlen(name), NULL, 10) * 1024 : 0;
}

static void check_overcommit(struct doctor *d, const char *info)
{
    static const char *const modes[] = {"0 (heuristic)", "1 (always)", "2 (strict)"};
    int64_t mode = 0;
    file_number("/proc/sys/vm/overcommit_memory", &mode);
    if (mode < 0 || mode > 2) return;
    uint64_t limit = meminfo(info, "CommitLimit:"), used = meminfo(info, "Committed_AS:");
    unsigned percent = human_percent(used, limit);
    enum level level = mode != 2 ? LEVEL_OK : percent >= 90 ? LEVEL_BAD : LEVEL_NOTE;
    doctor_find(d, level, "overcommit",
                "memory is refused when the promises reach the limit, however much is free",
                "raise it: sudo sysctl vm.overcommit_ratio=90, or add swap",
                "%s; %s of %s promised%s", modes[mode], HUMAN(bytes, used), HUMAN(bytes, limit),
                mode == 2 ? "" : ", not enforced");
}

static void check_available(struct doctor *d, const char *info)
{
    uint64_t all = meminfo(info, "MemTotal:"), left = meminfo(info, "MemAvailable:");
    unsigned percent = human_percent(left, all);
    enum level level = percent < 5 ? LEVEL_BAD : percent < 15 ? LEVEL_NOTE : LEVEL_OK;
    doctor_find(
        d, level, "memory available", "the kernel is about to reclaim, swap or kill",
        "end what is not needed; freehold which PID shows what a Freehold process keeps free",
        "%s of %s", HUMAN(bytes, left), HUMAN(bytes, all));
}

static void check_swap(struct doctor *d, const char *info)
{
    uint64_t all = meminfo(info, "SwapTotal:"), left = meminfo(info, "SwapFree:");
    uint64_t used = all > left ? all - left : 0;
    if (all == 0) {
        doctor_find(d, LEVEL_OK, "swap", NULL, NULL, "none");
        return;
    }
    doctor_find(d, human_percent(used, all) >= 50 ? LEVEL_NOTE : LEVEL_OK, "swap",
                "RSS does not count what was swapped out: programs are larger than they look",
                "see VmSwap in /proc/PID/status", "%s of %s used", HUMAN(bytes, used),
                HUMAN(bytes, all));
}

/* ---- mappings --------------------------------------------------------------------------------- */

/* Lines of /proc/PID/maps; 0 if it may not be read. */
static uint64_t count_mappings(const char *pid)
{
    char path[300], piece[1 << 14];
    uint64_t lines = 0;
    snprintf(path, sizeof path, "/proc/%s/maps", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    for (ssize_t n; fd >= 0 && (n = read(fd, piece, sizeof piece)) > 0;) {
        for (ssize_t i = 0; i < n; i++) lines += piece[i] == '\n';
    }
    if (fd >= 0) close(fd);
    return lines;
}

static uint64_t find_most_mappings(char *pid, size_t capacity)
{
    uint64_t most = 0;
    DIR *directory = opendir("/proc");
    for (struct dirent *entry; directory && (entry = readdir(directory));) {
        uint64_t count =
            isdigit((unsigned char)entry->d_name[0]) ? count_mappings(entry->d_name) : 0;
        if (count <= most) continue;
        most = count;
        snprintf(pid, capacity, "%s", entry->d_name);
    }
    if (directory) closedir(directory);
    return most;
}

static void check_mappings(struct doctor *d)
{
    int64_t limit;
    char pid[256] = "none", name[32] = " ";
    if (!file_number("/proc/sys/vm/max_map_count", &limit) || limit <= 0) return;
    uint64_t most = find_most_mappings(pid, sizeof pid);
    task_name((pid_t)strtol(pid, NULL, 10), name + 1, sizeof name - 1);
    if (!name[1]) name[0] = 0;
    unsigned percent = human_percent(most, (uint64_t)limit);
    enum level level = percent >= 80 ? LEVEL_BAD : percent >= 50 ? LEVEL_NOTE : LEVEL_OK;
    doctor_find(d, level, "vm.max_map_count",
                "mmap fails with ENOMEM at that number, with any amount of memory free",
                "sudo sysctl vm.max_map_count=1048576 (and in /etc/sysctl.d to keep it)",
                "%s; the most are in process %s%s: %s (%u %%)", HUMAN(exact, (uint64_t)limit), pid,
                name, HUMAN(exact, most), percent);
}

void doctor_memory(struct doctor *d)
{
    struct file_text info;
    check_proc(d);
    check_page_size(d);
    check_huge_pages(d);
    check_huge_page_stalls(d);
    check_middle_pages(d);
    if (file_read(&info, "/proc/meminfo", 1 << 16)) {
        check_overcommit(d, info.data);
        check_available(d, info.data);
        check_swap(d, info.data);
        free(info.data);
    }
    check_mappings(d);
}
