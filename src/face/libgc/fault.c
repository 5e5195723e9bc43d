/*
 * Procedures of the program's that fault while the collector calls them: mark procedures, those that disclaim, those
 * that push roots. All other threads stand then, and would stand for ever if a handler of the program's were to jump
 * out of the procedure, or to wait for one of them. So while they stand SIGSEGV and SIGBUS are ours: a line names the
 * procedure and the object, and the process ends by the signal, as it would have without handlers.
 *
 * A fault elsewhere is not ours: it goes to whoever had the signal before, by being met again. And one by which pages are
 * watched (os/watch.h) is no fault at all: these procedures may write to objects.
 *
 * Which module an address is in is read from /proc/self/maps: the linker may not be asked, whose lock who collects holds.
 */
#include <signal.h>
#include <string.h>

#include "base/format.h"
#include "face/libgc/libgc.h"
#include "os/os.h"
#include "os/watch.h"

static const int fault_signals[] = {SIGSEGV, SIGBUS};

enum { FAULTS = sizeof fault_signals / sizeof *fault_signals };

static struct sigaction faults_before[FAULTS];

/* ---- where an address is ---------------------------------------------------------------------------------------- */

struct maps {
    int fd;
    char room[1024];
    size_t at, end;
};

static int maps_char(struct maps *maps)
{
    if (maps->at == maps->end) {
        long got = os_file_read(maps->fd, maps->room, sizeof maps->room);
        if (got <= 0) return -1;
        maps->at = 0;
        maps->end = (size_t)got;
    }
    return (unsigned char)maps->room[maps->at++];
}

/* A line of the file, cut to size; false at the end. */
static bool maps_line(struct maps *maps, char *line, size_t size)
{
    size_t length = 0;
    int c;
    while ((c = maps_char(maps)) >= 0 && c != '\n')
        if (length + 1 < size) line[length++] = (char)c;
    line[length] = 0;
    return c >= 0;
}

static uintptr_t hex_read(const char **at)
{
    uintptr_t value = 0;
    for (;; ++*at) {
        unsigned digit = (unsigned)**at;
        if (digit - '0' < 10)
            value = value << 4 | (digit - '0');
        else if (digit - 'a' < 6)
            value = value << 4 | (digit - 'a' + 10);
        else
            return value;
    }
}

/* " (FILE+OFFSET)": a line is "START-END rwxp OFFSET DEVICE INODE PATH". False: there is no code there. */
static bool line_tell(struct text *t, const char *line, uintptr_t address)
{
    const char *at = line;
    uintptr_t start = hex_read(&at);
    at += *at == '-';
    if (address < start || address >= hex_read(&at) || strlen(at) < 6) return false;
    if (at[3] != 'x') return false;
    at += 6;
    uintptr_t offset = hex_read(&at);
    const char *path = strrchr(at, ' ');
    text_str(t, " (");
    text_str(t, path && path[1] ? path + 1 : "no file");
    text_str(t, "+");
    text_hex(t, address - start + offset);
    text_char(t, ')');
    return true;
}

static void address_tell(struct text *t, uintptr_t address)
{
    struct maps maps = {.fd = os_file_open("/proc/self/maps")};
    char line[300];
    bool found = false;
    text_str(t, " at ");
    text_hex(t, address);
    if (maps.fd < 0) return;
    while (!found && maps_line(&maps, line, sizeof line)) found = line_tell(t, line, address);
    os_file_close(maps.fd);
    if (!found) text_str(t, " (in no module: unloaded?)");
}

/* ---- the signal ---------------------------------------------------------------------------------------------------- */

static void fault_tell(const struct called *called, uintptr_t address)
{
    char line[700];
    struct text t = TEXT(line);
    text_str(&t, called->what);
    address_tell(&t, called->procedure);
    text_str(&t, " faulted at ");
    text_hex(&t, address);
    if (called->object) {
        size_t size = object_size(meta_of((void *)called->object));
        text_str(&t, ", called for the object of ");
        text_dec(&t, size);
        text_str(&t, " bytes at ");
        text_hex(&t, (uintptr_t)called->object);
    }
    text_end(&t);
    libgc_say(line);
}

static void on_fault(int signal, siginfo_t *info, void *context)
{
    struct sigaction plain = {.sa_handler = SIG_DFL};
    unsigned i = signal == SIGBUS;
    (void)context;
    if (os_watch_fault(info)) return;
    bool ours = libgc_local.called.what != NULL;
    if (ours) fault_tell(&libgc_local.called, (uintptr_t)info->si_addr);
    sigaction(signal, ours ? &plain : &faults_before[i],
              NULL); /* and the instruction is met again */
}

void fault_watch(bool on)
{
    struct sigaction ours = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigfillset(&ours.sa_mask);
    for (unsigned i = 0; i < FAULTS; i++)
        sigaction(fault_signals[i], on ? &ours : &faults_before[i], on ? &faults_before[i] : NULL);
}
