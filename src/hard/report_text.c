/*
 * report: the text for people.
 *
 *     freehold: free(0x7f..30): write of at least 3 bytes past the end of a block of 48 bytes; stopping (...)
 *       process  1234, thread 1234, /usr/bin/program
 *       here     0x55.. /usr/bin/program+0x1139 main+0x20
 *                ...
 *       block    48 bytes at 0x7f..30, live, of malloc, by thread number 1
 *       changed  3 bytes, 0 behind the block: 41 41 41 "AAA"
 *       made     by thread 1234 at
 *                0x55.. /usr/bin/program+0x1155
 *       before   48 bytes at 0x7f..00, freed
 *       bytes    0x7f..30  41 41 41 41 ...  |AAAA|
 *       try      ...
 */
#include <string.h>

#include "hard/report.h"
#include "hard/sample.h"

enum { TEXT_COLUMN = 11, DUMP_LINE = 16 };

static void label(struct text *t, const char *word)
{
    text_str(t, "  ");
    text_str(t, word);
    for (size_t n = 2 + strlen(word); n < TEXT_COLUMN; n++) text_char(t, ' ');
}

/* A string of somebody's: nothing in it may look like a line of ours, or steer a terminal. */
static void text_plain(struct text *t, const char *s)
{
    for (; *s; s++) text_char(t, (unsigned char)*s < ' ' || *s == 0x7f ? '?' : *s);
}

static void print_byte(struct text *t, uint8_t byte)
{
    static const char digits[] = "0123456789abcdef";
    text_char(t, digits[byte >> 4]);
    text_char(t, digits[byte & 15]);
}

static void print_characters(struct text *t, const uint8_t *bytes, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        text_char(t, bytes[i] >= ' ' && bytes[i] < 0x7f ? (char)bytes[i] : '.');
}

static void print_function(struct text *t, const char *module, uintptr_t offset)
{
    char name[REPORT_NAME];
    size_t into = report_symbol(module, offset, name, sizeof name);
    if (name[0] == 0) return;
    text_char(t, ' ');
    text_plain(t, name);
    text_char(t, '+');
    text_hex(t, into);
}

static void print_frame(struct text *t, const struct report *r, uintptr_t pc)
{
    uintptr_t offset = 0;
    const char *module = report_module(report_call_site(r, pc), r->program, &offset);
    text_hex(t, pc);
    text_char(t, ' ');
    if (module) {
        text_plain(t, module);
        text_char(t, '+');
        text_hex(t, offset);
        print_function(t, module, offset);
    } else {
        text_str(t, "in no module");
    }
    text_char(t, '\n');
}

static void print_stack(struct text *t, const struct report *r, const uintptr_t *pcs,
                        unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        label(t, "");
        print_frame(t, r, pcs[i]);
    }
}

static void print_first(struct text *t, const struct report *r, bool goes_on)
{
    text_str(t, "freehold: ");
    text_plain(t, r->fault.call ? r->fault.call : "memory");
    text_char(t, '(');
    text_hex(t, (uintptr_t)r->fault.address);
    text_str(t, "): ");
    text_plain(t, r->sentence);
    bool could = r->fault.call || r->block.sample; /* else the same instruction would fault again */
    text_str(t, !could    ? "; stopping\n"
                : goes_on ? "; ignored\n"
                          : "; stopping (option bad_free=ignore goes on)\n");
}

static void print_process(struct text *t, const struct report *r)
{
    label(t, "process");
    text_dec(t, r->process);
    text_str(t, ", thread ");
    text_dec(t, r->thread);
    text_str(t, ", ");
    text_plain(t, r->program[0] ? r->program : "a program of unknown name");
    text_char(t, '\n');
    label(t, "here");
    if (r->here_count == 0) {
        text_str(t, r->fault.by_helper ? "the helper, by option verify_ms; who wrote is not known\n"
                                       : "no stack could be read\n");
        return;
    }
    print_frame(t, r, r->here[0]);
    print_stack(t, r, r->here + 1, r->here_count - 1);
}

static void print_block(struct text *t, const char *word, const struct report_block *block)
{
    label(t, word);
    text_dec(t, block->size);
    text_str(t, block->size == 1 ? " byte at " : " bytes at ");
    text_hex(t, block->start);
    text_str(t, ", ");
    text_str(t, report_state_word(block));
    if (block->state == SLOT_LIVE || block->state == SLOT_QUARANTINED || block->sample) {
        text_str(t, ", of ");
        text_str(t, report_kinds[block->kind & WORD_KIND]);
    }
    if (block->sample) {
        text_str(t, ", on pages of its own (sample ");
        text_dec(t, block->sample->serial);
        text_char(t, ')');
    } else if (block->state != SLOT_NEVER && block->state != SLOT_FREE &&
               block->state != SLOT_CACHED && !block->told_alignment) {
        text_str(t, block->state == SLOT_LIVE ? ", made by thread number "
                                              : ", freed by thread number ");
        text_dec(t, block->thread);
    }
    text_char(t, '\n');
}

static void print_changed(struct text *t, const struct report *r)
{
    if (r->changed.count == 0) return;
    size_t first = r->changed.first, size = r->block.size;
    label(t, "changed");
    text_dec(t, r->changed.count);
    text_str(t, r->changed.count == 1 ? " byte, " : " bytes, the first of them ");
    text_dec(t, r->changed.front || first < size ? first : first - size);
    text_str(t, r->changed.front ? " in front of the block:"
                : first < size   ? " into the block:"
                                 : " behind the block:");
    for (unsigned i = 0; i < r->changed.told; i++) {
        text_char(t, ' ');
        print_byte(t, r->changed.bytes[i]);
    }
    text_str(t, "  |");
    print_characters(t, r->changed.bytes, r->changed.told);
    text_str(t, "|\n");
}

static void print_history(struct text *t, const struct report *r, const char *word,
                          const struct sample_history *h)
{
    unsigned own = report_own_frames(h->stack, h->count);
    label(t, word);
    text_str(t, "by thread ");
    text_dec(t, h->thread);
    text_str(t, h->count > own ? " at\n" : "\n");
    print_stack(t, r, h->stack + own, h->count - own);
}

static void print_bytes(struct text *t, const struct report *r)
{
    for (unsigned i = 0; i < r->bytes_count; i += DUMP_LINE) {
        unsigned n = r->bytes_count - i < DUMP_LINE ? r->bytes_count - i : DUMP_LINE;
        label(t, i == 0 ? "bytes" : "");
        text_hex(t, r->bytes_at + i);
        text_char(t, ' ');
        for (unsigned k = 0; k < DUMP_LINE; k++) {
            text_char(t, ' ');
            if (k < n)
                print_byte(t, r->bytes[i + k]);
            else
                text_str(t, "  ");
        }
        text_str(t, "  |");
        print_characters(t, r->bytes + i, n);
        text_str(t, "|\n");
    }
}

static void print_advice(struct text *t, const struct report *r)
{
    label(t, "try");
    if (r->block.sample) {
        text_str(t, "addr2line -e FILE OFFSET, for the lines of the stacks above\n");
        return;
    }
    text_str(t, "FREEHOLD_OPTIONS=harden=strict,sample=1 to catch it where it is done, with both "
                "stacks, or\n");
    label(t, "");
    text_str(t, "`freehold run --hardened`; addr2line -e FILE OFFSET for the lines of a stack\n");
}

void report_text(const struct report *r, bool goes_on, struct text *t)
{
    const struct sample_block *sample = r->block.sample;
    print_first(t, r, goes_on);
    print_process(t, r);
    if (r->block.start) print_block(t, "block", &r->block);
    print_changed(t, r);
    if (sample) print_history(t, r, "made", &sample->made);
    if (sample && sample->freed.thread) print_history(t, r, "freed", &sample->freed);
    if (r->left.start) print_block(t, "before", &r->left);
    if (r->right.start) print_block(t, "behind", &r->right);
    print_bytes(t, r);
    print_advice(t, r);
}
