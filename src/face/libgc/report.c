/*
 * The end of the process: leaks are looked for a last time; then one line is written to the file that
 * FREEHOLD_GC_REPORT names, which `freehold gc run` reads. Who ends by a signal or by _exit writes none, and the command
 * says so.
 *
 *      pid collections ns_stopped ns_longest_pause bytes_highest bytes_allocated
 */
#include <fcntl.h>
#include <unistd.h>

#include "base/format.h"
#include "face/libgc/libgc.h"
#include "os/os.h"

static void report_number(struct text *t, uint64_t number)
{
    text_dec(t, number);
    text_char(t, ' ');
}

__attribute__((destructor)) static void report_write(void)
{
    leaks_at_exit();
    const char *path = os_environment("FREEHOLD_GC_REPORT");
    struct fh_gc_stats stats = {0};
    char line[200];
    struct text t = TEXT(line);
    if (path == NULL) return;
    int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (fd < 0) return;
    if (libgc.heap) fh_gc_stats_get(&libgc.heap->public, &stats);
    report_number(&t, os_process_id());
    report_number(&t, stats.collections);
    report_number(&t, stats.stop_ns);
    report_number(&t, stats.pauses.max_ns);
    report_number(&t, stats.heap_bytes_peak);
    report_number(&t, stats.allocated_bytes);
    text_char(&t, '\n');
    os_write(fd, line, t.length);
    close(fd);
}
