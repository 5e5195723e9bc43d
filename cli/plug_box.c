/* The mailbox as it is seen from here: written in an order in which no half of it is ever taken for whole. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "plug.h"

enum { HEAD_BYTES = offsetof(struct fh_plug_box, list.entry) };

static bool write_at(const struct plug_box *box, size_t offset, const void *from, size_t size)
{
    return pwrite(box->fd, from, size, (off_t)(box->address + offset)) == (ssize_t)size;
}

bool plug_box_read(struct plug_box *box)
{
    uint64_t image = box->state.image;
    if (box->fd < 0 ||
        pread(box->fd, &box->state, HEAD_BYTES, (off_t)box->address) != (ssize_t)HEAD_BYTES)
        return false;
    return memcmp(box->state.magic, FH_PLUG_MAGIC, sizeof box->state.magic) == 0 &&
           box->state.size == sizeof box->state && box->state.entries == FH_PLUG_ENTRIES &&
           (image == 0 || image == box->state.image);
}

enum plug_box_error plug_box_open(struct plug_box *box, pid_t pid, uint64_t address)
{
    char path[64];
    *box = (struct plug_box){.fd = -1, .pid = pid, .address = address};
    if (address == 0 || address > INT64_MAX - sizeof box->state) return PLUG_BOX_NONE;
    snprintf(path, sizeof path, "/proc/%d/mem", (int)pid);
    box->fd = open(path, O_RDWR | O_CLOEXEC);
    if (box->fd < 0) return errno == ENOENT ? PLUG_BOX_NONE : PLUG_BOX_FORBIDDEN;
    if (plug_box_read(box) && box->state.layout == FH_PLUG_VERSION) return PLUG_BOX_OPEN;
    bool other = memcmp(box->state.magic, FH_PLUG_MAGIC, sizeof box->state.magic) == 0;
    plug_box_close(box);
    return other ? PLUG_BOX_VERSION : PLUG_BOX_NONE;
}

void plug_box_close(struct plug_box *box)
{
    if (box->fd >= 0) close(box->fd);
    box->fd = -1;
}

bool plug_box_claim(struct plug_box *box)
{
    box->state.looker = (uint32_t)getpid();
    return write_at(box, offsetof(struct fh_plug_box, looker), &box->state.looker,
                    sizeof box->state.looker);
}

bool plug_box_is_ours(const struct plug_box *box)
{
    return box->state.looker == (uint32_t)getpid();
}

bool plug_box_write(struct plug_box *box, uint64_t look, uint64_t version,
                    const struct fh_plug_entry *entries, uint64_t count)
{
    enum { LIST = offsetof(struct fh_plug_box, list) };
    if (!plug_box_read(box) || !plug_box_is_ours(box)) return false;
    uint64_t odd = box->state.list.head.sequence | 1;
    struct fh_plug_head head = {odd + 1, box->state.image, look, version, count, 0};
    struct fh_plug_head begun = {.sequence = odd};
    head.checksum = fh_plug_checksum(&head, entries);
    bool done = write_at(box, LIST, &begun, sizeof begun) &&
                write_at(box, LIST + sizeof head, entries, count * sizeof *entries) &&
                write_at(box, LIST + sizeof odd, (const char *)&head + sizeof odd,
                         sizeof head - sizeof odd) &&
                write_at(box, LIST, &head.sequence, sizeof head.sequence);
    box->state.list.head = head;
    return done;
}

bool plug_box_is_free(const struct plug_box *box)
{
    uint64_t sequence = box->state.list.head.sequence;
    return sequence == box->state.taken || sequence & 1;
}
