/* report: the same for programs: one object on one line. */
#include "hard/report.h"
#include "hard/sample.h"

enum { STRING_MOST = 120, SENTENCE_MOST = 1000 }; /* bytes of a string; of a longer one, its end */

static void told_unicode(struct text *t, unsigned code)
{
    static const char digits[] = "0123456789abcdef";
    text_str(t, "\\u");
    for (int shift = 12; shift >= 0; shift -= 4) text_char(t, digits[code >> shift & 15]);
}

/* Bytes of the UTF-8 character at s, 0 if there is none: no overlong forms, surrogates, or beyond U+10FFFF. */
static unsigned character_bytes(const uint8_t *s)
{
    unsigned first = s[0], n = first < 0x80                    ? 1
                               : first >= 0xc2 && first < 0xe0 ? 2
                               : first < 0xf0                  ? 3
                                                               : 4;
    if (n == 1) return 1;
    if (first < 0xc2 || first > 0xf4) return 0;
    for (unsigned i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80) return 0;
    if (first == 0xe0 && s[1] < 0xa0) return 0;
    if (first == 0xed && s[1] >= 0xa0) return 0;
    if (first == 0xf0 && s[1] < 0x90) return 0;
    if (first == 0xf4 && s[1] >= 0x90) return 0;
    return n;
}

static const uint8_t *string_end_part(const char *s, size_t most)
{
    size_t length = 0;
    while (s[length]) length++;
    return (const uint8_t *)s + (length > most ? length - most : 0);
}

static void told_string(struct text *t, const char *s, size_t most)
{
    enum { REPLACEMENT = 0xfffd };
    text_char(t, '"');
    for (const uint8_t *at = string_end_part(s, most); *at;) {
        unsigned n = character_bytes(at);
        if (n == 0)
            told_unicode(t, REPLACEMENT);
        else if (*at < ' ' || *at == 0x7f || *at == '"' || *at == '\\')
            told_unicode(t, *at);
        else
            text_strn(t, (const char *)at, n);
        at += n ? n : 1;
    }
    text_char(t, '"');
}

static void told_key(struct text *t, const char *key)
{
    if (t->length && t->at[t->length - 1] != '{') text_char(t, ',');
    text_char(t, '"');
    text_str(t, key);
    text_str(t, "\":");
}

static void told_number(struct text *t, const char *key, uint64_t n)
{
    told_key(t, key);
    text_dec(t, n);
}

static void told_words(struct text *t, const char *key, const char *s)
{
    told_key(t, key);
    told_string(t, s, STRING_MOST);
}

/* Addresses are strings: numbers above 2^53 are not safe in everybody's hands. */
static void told_address(struct text *t, const char *key, uintptr_t p)
{
    told_key(t, key);
    text_char(t, '"');
    text_hex(t, p);
    text_char(t, '"');
}

static void told_hex(struct text *t, const char *key, const uint8_t *bytes, unsigned n)
{
    static const char digits[] = "0123456789abcdef";
    told_key(t, key);
    text_char(t, '"');
    for (unsigned i = 0; i < n; i++) {
        text_char(t, digits[bytes[i] >> 4]);
        text_char(t, digits[bytes[i] & 15]);
    }
    text_char(t, '"');
}

static void told_frame(struct text *t, const struct report *r, uintptr_t pc)
{
    char name[REPORT_NAME];
    uintptr_t offset = 0;
    const char *module = report_module(report_call_site(r, pc), r->program, &offset);
    text_char(t, '{');
    told_address(t, "pc", pc);
    if (module) {
        told_words(t, "module", module);
        told_address(t, "offset", offset);
        report_symbol(module, offset, name, sizeof name);
        if (name[0]) told_words(t, "function", name);
    }
    text_char(t, '}');
}

static void told_stack(struct text *t, const struct report *r, const uintptr_t *pcs, unsigned count)
{
    told_key(t, "stack");
    text_char(t, '[');
    for (unsigned i = 0; i < count; i++) {
        if (i) text_char(t, ',');
        told_frame(t, r, pcs[i]);
    }
    text_char(t, ']');
}

static void told_block(struct text *t, const char *key, const struct report_block *block)
{
    if (block->start == 0) return;
    told_key(t, key);
    text_char(t, '{');
    told_address(t, "start", block->start);
    told_number(t, "size", block->size);
    told_number(t, "room", block->room);
    told_words(t, "state", report_state_word(block));
    told_words(t, "kind", report_kinds[block->kind & WORD_KIND]);
    if (block->sample)
        told_number(t, "sample", block->sample->serial);
    else if (!block->told_alignment)
        told_number(t, "thread_number", block->thread);
    text_char(t, '}');
}

static void told_history(struct text *t, const struct report *r, const char *key,
                         const struct sample_history *h)
{
    unsigned own = report_own_frames(h->stack, h->count);
    told_key(t, key);
    text_char(t, '{');
    told_number(t, "thread", h->thread);
    told_stack(t, r, h->stack + own, h->count - own);
    text_char(t, '}');
}

static void told_changed(struct text *t, const struct report *r)
{
    if (r->changed.count == 0) return;
    told_key(t, "changed");
    text_char(t, '{');
    told_number(t, "count", r->changed.count);
    told_key(t, "first"); /* from the start of the block */
    if (r->changed.front) text_char(t, '-');
    text_dec(t, r->changed.first);
    told_hex(t, "bytes", r->changed.bytes, r->changed.told);
    text_char(t, '}');
}

static void told_bytes(struct text *t, const struct report *r)
{
    if (r->bytes_count == 0) return;
    told_key(t, "around");
    text_char(t, '{');
    told_address(t, "start", r->bytes_at);
    told_hex(t, "bytes", r->bytes, r->bytes_count);
    text_char(t, '}');
}

static void told_fault(struct text *t, const struct report *r)
{
    static const char *const accesses[] = {"unknown", "read", "write"};
    told_words(t, "what", report_words[r->fault.what]);
    told_key(t, "sentence");
    told_string(t, r->sentence, SENTENCE_MOST);
    if (r->fault.call)
        told_words(t, "call", r->fault.call);
    else
        told_words(t, "access", accesses[r->fault.access]);
    told_address(t, "address", (uintptr_t)r->fault.address);
    told_number(t, "process", r->process);
    told_number(t, "thread", r->thread);
    told_words(t, "program", r->program);
    told_stack(t, r, r->here, r->here_count);
}

void report_json(const struct report *r, struct text *t)
{
    const struct sample_block *sample = r->block.sample;
    text_char(t, '{');
    told_number(t, "report", 1);
    told_fault(t, r);
    told_block(t, "block", &r->block);
    told_changed(t, r);
    if (sample) told_history(t, r, "made", &sample->made);
    if (sample && sample->freed.thread) told_history(t, r, "freed", &sample->freed);
    told_block(t, "before", &r->left);
    told_block(t, "behind", &r->right);
    told_bytes(t, r);
    text_str(t, "}\n");
}
