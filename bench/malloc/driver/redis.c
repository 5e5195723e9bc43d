#include "redis.h"

#include "common/child.h"
#include "tool.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

// The socket lies in the scratch folder and is named relative to it: paths of sockets are short.
static const char socket_name[] = "redis.sock";

static bool socket_answers(const char *folder)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char here[512];
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    memcpy(address.sun_path, socket_name, sizeof socket_name);
    bool answers = getcwd(here, sizeof here) && chdir(folder) == 0 &&
                   connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
    close(fd);
    return chdir(here) == 0 && answers;
}

static bool server_ready(const char *folder)
{
    enum { TRIES = 500, PAUSE_US = 10000 };
    for (unsigned i = 0; i < TRIES; i++) {
        if (socket_answers(folder)) return true;
        usleep(PAUSE_US);
    }
    return false;
}

// Strings, counters, lists, sets, sorted sets and hashes over 200,000 keys, 16 requests at a time.
static bool load_run(const struct bench *bench, const char *client, struct sample *sample)
{
    char requests[16];
    snprintf(requests, sizeof requests, "%u", (unsigned)(60000 * bench->scale));
    const char *const arguments[] = {
        client, "-s",     socket_name, "-q",
        "-n",   requests, "-r",        "200000",
        "-d",   "100",    "-P",        "16",
        "-c",   "20",     "-t",        "set,get,incr,lpush,rpush,lpop,sadd,hset,spop,zadd,mset",
        NULL};
    struct command command = {.arguments = arguments, .folder = bench->scratch};
    struct child child;
    struct usage usage;
    bool good = command_run(&command, &child, &usage);
    sample->wall_s = usage.ended_s - child.started_s;
    return good;
}

static void server_measure(const struct bench *bench, const char *client, struct child *server,
                           struct sample *sample)
{
    struct usage usage;
    const char *trouble = !server_ready(bench->scratch)      ? "the server does not answer"
                          : !load_run(bench, client, sample) ? "redis-benchmark failed"
                                                             : NULL;
    sample->peak_rss_kib = process_kib(server->pid, "status", "VmHWM:");
    child_stop(server, SIGTERM, &usage);
    sample->cpu_s = usage.cpu_s;
    if (trouble)
        snprintf(sample->why, sizeof sample->why, "%s", trouble);
    else if (usage.status)
        usage_explain(&usage, sample->why, sizeof sample->why);
}

void redis_measure(const struct bench *bench, const struct row *row,
                   const struct allocator *allocator, struct sample *sample)
{
    char tool[TOOL_PATH], client[TOOL_PATH], stale[600];
    (void)row;
    if (!tool_find(tool, "redis-server") || !tool_find(client, "redis-benchmark") ||
        !allocator_takes_effect(allocator, tool, true, bench->scratch, sample->why,
                                sizeof sample->why))
        return;
    snprintf(stale, sizeof stale, "%s/%s", bench->scratch, socket_name);
    unlink(stale);
    const char *const arguments[] = {tool,        "--port",      "0",  "--unixsocket",
                                     socket_name, "--save",      "",   "--appendonly",
                                     "no",        "--daemonize", "no", NULL};
    struct command command = {.arguments = arguments,
                              .preload = allocator_preload(allocator, true),
                              .folder = bench->scratch};
    struct child server;
    if (child_start(&server, &command)) server_measure(bench, client, &server, sample);
}
