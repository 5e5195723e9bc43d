/*
 * The watcher over a directory that is taken for the control group, version 2: limits as files that the test writes.
 *
 * What could break: memory.high is not looked at; an event of memory.events is not heard; file pages count; a limit
 * that is set later is not seen; two reports for one crossing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <freehold/freehold.h>
#include <freehold/registry.h>

#include "face/oom.h"
#include "kit/expect.h"

static char directory[] = "/tmp/oom_given.XXXXXX";
static char box[64];

static void put(const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, "w");
    EXPECT(file != NULL, "cannot write %s", path);
    fputs(text, file);
    fclose(file);
}

static void put_bytes(const char *name, unsigned long long bytes)
{
    char text[32];
    snprintf(text, sizeof text, "%llu\n", bytes);
    put(name, text);
}

static unsigned reports(const char *why)
{
    static char text[1 << 16];
    FILE *file = fopen(box, "r");
    unsigned count = 0;
    if (file == NULL) return 0;
    text[fread(text, 1, sizeof text - 1, file)] = 0;
    fclose(file);
    for (const char *at = text; (at = strstr(at, why)); at++) count++;
    return count;
}

/* Waits until there are so many, and a while longer for more that should not come. */
static void expect_reports(unsigned wanted, const char *why)
{
    struct timespec nap = {.tv_nsec = 50000000};
    for (int i = 0; i < 400 && reports(why) < wanted; i++) nanosleep(&nap, NULL);
    for (int i = 0; i < 6; i++) nanosleep(&nap, NULL);
    unsigned found = reports(why);
    EXPECT(found == wanted, "%u times '%s', not %u", found, why, wanted);
}

int main(void)
{
    static char entry[128];
    EXPECT(mkdtemp(directory) != NULL, "no directory");
    snprintf(box, sizeof box, "%s/box", directory);
    snprintf(entry, sizeof entry, "oom=%s", box);
    put("memory.max", "max\n");
    put("memory.high", "1000000000\n");
    put("memory.stat", "inactive_file 300000000\n");
    put("memory.events", "high 0\n");
    put_bytes("memory.current", 950000000); /* much of it file pages: nothing to tell */
    cgroup_given = directory;
    cgroup_given_version = 2;
    setenv("FREEHOLD_OPTIONS", entry, 1);
    fh_free(fh_malloc(1));
    const char *why = "control group's memory.high comes near: 905.9 MiB of 953.6 MiB";
    expect_reports(0, "memory.high comes near");
    put_bytes("memory.current", 1250000000);
    put("memory.events", "high 1\n");
    expect_reports(1, why);
    put_bytes("memory.current", 1260000000); /* the same crossing */
    put("memory.events", "high 2\n");
    expect_reports(1, "memory.high comes near");
    put_bytes("memory.max",
              1000000000); /* set now, and near at once; but it was told a moment ago */
    expect_reports(1, "the control group's limit comes near");
    oom_stop();
    put_bytes("memory.current", 100);
    put_bytes("memory.current", 1260000000);
    expect_reports(2, "comes near"); /* nobody watches any more */
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", directory);
    return system(command);
}
