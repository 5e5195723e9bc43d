// A program under measurement: started with another allocator in front of its own, watched, waited
// for.
//
// LD_PRELOAD is set for the child alone; the driver itself and its helpers always run on the C
// library. A child is its own process group and dies with the driver, so that nothing is left
// behind: not the compiler's passes, not a server.
#ifndef BENCH_COMMON_CHILD_H
#define BENCH_COMMON_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct command {
    const char *const *arguments; // [0] is the path; ends with NULL
    const char *preload;          // a library's path, or NULL for none
    const char *const *settings;  // environment NAME=value strings that end with NULL, or NULL
    const char *folder;           // to run in, or NULL
    const char *output;           // a file for standard output; NULL for /dev/null
    bool talks;                   // instead: pipes on standard input and output
    unsigned cpu_limit_s;         // processor time after which it is killed; 0 for none
};

struct child {
    pid_t pid;
    int to, from;     // pipes of a child that talks, else -1
    double started_s; // on the driver's monotonic clock
    double limit_s;   // the moment at which waiting turns into killing
};

struct usage {
    double ended_s;
    double cpu_s;      // user and system, with every descendant that was waited for
    long peak_rss_kib; // of the largest process among them
    int status;        // as wait4 gives it
    bool late;         // killed at its time limit
};

double clock_s(void);

// Any process that is still under way a hundred and twenty seconds after its start is ended.
enum { CHILD_LIMIT_S = 120 };

bool child_start(struct child *child, const struct command *command);

// The next line that a talking child prints, without its end. False at the end of its output or of
// its time.
bool child_line(struct child *child, char *line, size_t room);

// Lets a talking child go on from where it stands still.
void child_go_on(struct child *child);

// Waits for the end, kills what is left of the process group at the time limit, and says what was
// used.
void child_finish(struct child *child, struct usage *usage);

// Asks with a signal before waiting: for servers.
void child_stop(struct child *child, int signal, struct usage *usage);

// Starts, waits; true when the exit status was 0.
bool command_run(const struct command *command, struct child *child, struct usage *usage);

// "ended by signal 11 (Segmentation fault)", "exit status 1", "no end within 120 s".
void usage_explain(const struct usage *usage, char *why, size_t room);

// A field such as "VmHWM:" in /proc/PID/status or "Rss:" in /proc/PID/smaps_rollup, in KiB; -1 if
// absent.
long process_kib(pid_t pid, const char *file, const char *field);

#endif
