#include "common/run.h"

#include "common/median.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

bool quick_wanted(void)
{
    const char *quick = getenv("QUICK");
    return quick && *quick && strcmp(quick, "0") != 0;
}

struct passes reps_parse(const char *text)
{
    char *end;
    long reps = strtol(text, &end, 10);
    if (*end || reps < 1 || reps > REPS_MAX) {
        fprintf(stderr, "bench: --reps %s: want 1 to %d\n", text, REPS_MAX);
        exit(2);
    }
    return (struct passes){(unsigned)reps, (unsigned)reps, 0};
}

regex_t only_parse(const char *text)
{
    regex_t pattern;
    if (regcomp(&pattern, text, REG_EXTENDED | REG_NOSUB)) {
        fprintf(stderr, "bench: --only %s: not a regular expression\n", text);
        exit(2);
    }
    return pattern;
}

void folder_find(char *folder, size_t room)
{
    ssize_t length = readlink("/proc/self/exe", folder, room - 1);
    if (length <= 0) exit(2);
    folder[length] = '\0';
    *strrchr(folder, '/') = '\0';
}

void machine_print(bool quick, double scale, struct passes passes, double seconds)
{
    struct utsname system;
    char day[32];
    time_t now = time(NULL);
    uname(&system);
    strftime(day, sizeof day, "%Y-%m-%d %H:%M", localtime(&now));
    printf("%s, Linux %s %s, %ld cores; %s run, scale %g, %u to %u passes per row, %.0f s\n", day,
           system.release, system.machine, sysconf(_SC_NPROCESSORS_ONLN), quick ? "quick" : "full",
           scale, passes.least, passes.most, seconds);
}
