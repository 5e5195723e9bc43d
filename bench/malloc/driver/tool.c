#include "tool.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool is_elf(const char *path)
{
    char magic[4] = {0};
    int fd = access(path, X_OK) ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    bool elf = read(fd, magic, sizeof magic) == sizeof magic && !memcmp(magic, "\177ELF", 4);
    close(fd);
    return elf;
}

bool tool_find(char path[TOOL_PATH], const char *name)
{
    const char *const search = getenv("PATH");
    for (const char *folder = search; folder && *folder;) {
        int length = (int)strcspn(folder, ":");
        snprintf(path, TOOL_PATH, "%.*s/%s", length, folder, name);
        if (is_elf(path)) return true;
        folder += length + (folder[length] == ':');
    }
    snprintf(path, TOOL_PATH, "/usr/bin/%s", name);
    return is_elf(path);
}

bool compiler_pass_find(char path[TOOL_PATH], const char *compiler, const char *pass)
{
    char command[TOOL_PATH + 64];
    snprintf(command, sizeof command, "'%s' -print-prog-name=%s", compiler, pass);
    FILE *answer = popen(command, "re");
    bool answered = answer && fgets(path, TOOL_PATH, answer);
    if (answer) pclose(answer);
    if (answered) path[strcspn(path, "\n")] = '\0';
    return answered && is_elf(path);
}
