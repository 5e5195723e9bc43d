/*
 * The option --oom of `freehold run`: from a file's name to an option of the library, refused before anything starts
 * where the library would say so only when the program runs. The name becomes absolute, since children of the program
 * may go to other directories before they open it.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"
#include "run.h"

enum { OOM_PATH_MAX = 255 }; /* the library's */

static int refuse_file(const char *file, const char *why)
{
    return refuse(STATUS_OWN_FAILURE, "cannot use %s for --oom: %s", file, why);
}

/* Opened as the library will, so that the file is there, with the right mode, whoever comes first. */
static int check_file(const char *file)
{
    struct stat status;
    int fd = open(file, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0600);
    if (fd < 0) return refuse_file(file, strerror(errno));
    bool regular = fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
    close(fd);
    return regular ? 0 : refuse_file(file, "it is no regular file; name one");
}

int oom_option(const char *file, const char *options, char **list)
{
    char here[PATH_MAX] = "", path[PATH_MAX * 2];
    if (!*file) return refuse(STATUS_OWN_FAILURE, "--oom: the file's name is empty");
    if (*file != '/' && !getcwd(here, sizeof here)) return refuse_file(file, strerror(errno));
    snprintf(path, sizeof path, "%s%s%s", here, *here ? "/" : "", file);
    if (strchr(path, ',')) return refuse_file(path, "its path has a comma, which parts options");
    if (strlen(path) > OOM_PATH_MAX) return refuse_file(path, "its path is longer than 255 bytes");
    int status = check_file(path);
    if (status) return status;
    if (asprintf(list, "%s%soom=%s", options ? options : "", options ? "," : "", path) >= 0)
        return 0;
    *list = NULL;
    return refuse(STATUS_OWN_FAILURE, "out of memory");
}
