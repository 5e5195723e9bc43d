/*
 * The report writer, with arbitrary faults about arbitrary bytes: blocks, neighbours and a sampled block are in any
 * state and hold anything; addresses, sizes, stacks and names are rubbish. The text must be lines that nothing in the
 * names can forge, the JSON one object in valid UTF-8, and nothing may be read that is not there.
 */
#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "hard/report.h"
#include "hard/sample.h"
#include "hard/stack.h"
#include "kit/expect.h"
#include "../hard/fake.h"

/* ---- a JSON parser that only says yes or no --------------------------------------------------------------------- */

struct json {
    const unsigned char *at, *end;
};

static void json_value(struct json *j, int depth);

static void json_expect(struct json *j, const char *word)
{
    for (; *word; word++, j->at++)
        EXPECT(j->at < j->end && *j->at == (unsigned char)*word, "expected %s", word);
}

static void json_utf8(struct json *j)
{
    unsigned char c = *j->at++;
    if (c < 0x80) return;
    int more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : 1;
    EXPECT(c >= 0xc2 && c <= 0xf4 && j->end - j->at >= more, "a byte %02x that begins nothing", c);
    uint32_t code = c & (0x3f >> more);
    for (; more > 0; more--, j->at++) {
        EXPECT((*j->at & 0xc0) == 0x80, "a byte %02x that goes on with nothing", *j->at);
        code = code << 6 | (*j->at & 0x3f);
    }
    EXPECT(code >= 0x80 && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff), "character %x",
           code);
}

static void json_text(struct json *j)
{
    json_expect(j, "\"");
    while (j->at < j->end && *j->at != '"') {
        EXPECT(*j->at >= ' ', "a character %02x as it is", *j->at);
        if (*j->at != '\\') {
            json_utf8(j);
            continue;
        }
        json_expect(j, "\\u");
        for (int i = 0; i < 4; i++, j->at++) EXPECT(j->at < j->end && isxdigit(*j->at), "no hex");
    }
    json_expect(j, "\"");
}

static void json_list(struct json *j, const char *open, const char *close, bool keys, int depth)
{
    json_expect(j, open);
    if (*j->at == (unsigned char)*close) {
        json_expect(j, close);
        return;
    }
    for (;; json_expect(j, ",")) {
        if (keys) {
            json_text(j);
            json_expect(j, ":");
        }
        json_value(j, depth + 1);
        if (*j->at != ',') break;
    }
    json_expect(j, close);
}

static void json_value(struct json *j, int depth)
{
    EXPECT(depth < 8 && j->at < j->end, "no value");
    if (*j->at == '"') {
        json_text(j);
    } else if (*j->at == '{') {
        json_list(j, "{", "}", true, depth);
    } else if (*j->at == '[') {
        json_list(j, "[", "]", false, depth);
    } else {
        if (*j->at == '-') j->at++;
        EXPECT(isdigit(*j->at), "no number at %.20s", j->at);
        while (isdigit(*j->at)) j->at++;
    }
}

/* ---- what a report is made of -------------------------------------------------------------------------------------- */

struct input {
    const uint8_t *at;
    size_t left;
};

static void bytes(struct input *in, void *to, size_t size)
{
    size_t n = size < in->left ? size : in->left;
    memset(to, 0, size);
    memcpy(to, in->at, n);
    in->at += n;
    in->left -= n;
}

static uint32_t number(struct input *in, uint32_t below)
{
    uint32_t n;
    bytes(in, &n, sizeof n);
    return n % below;
}

static size_t text_lines(const char *text)
{
    size_t lines = 0;
    for (; *text; text++) {
        EXPECT(*text == '\n' || ((unsigned char)*text >= ' ' && *text != 0x7f),
               "a character %02x in the text", *text);
        lines += *text == '\n';
    }
    return lines;
}

static unsigned told;

static void hook(const struct fh_hardened_report *r)
{
    struct json json = {(const unsigned char *)r->json,
                        (const unsigned char *)r->json + r->json_length};
    told++;
    json_value(&json, 0);
    json_expect(&json, "\n");
    EXPECT(json.at == json.end && strlen(r->json) == r->json_length, "something behind the object");
    EXPECT(strncmp(r->text, "freehold: ", 10) == 0 && strlen(r->text) == r->text_length, "text");
    EXPECT(text_lines(r->text) < 150, "too many lines");
    EXPECT(strstr(r->text + 1, "\nfreehold: ") == NULL, "two reports");
}

static const void *address(struct input *in, struct sample_block *sample)
{
    uint64_t any;
    switch (number(in, 6)) {
    case 0: return (const void *)(hard.base + number(in, FAKE_SLOT * (FAKE_SLOTS + 20)));
    case 1: return (const void *)(hard.base + number(in, 2 * FAKE_CHUNK));
    case 2: return (const void *)(sample_region.base + number(in, (uint32_t)sample_region.size));
    case 3: return (const void *)(sample->start + number(in, 9000) - 4500);
    case 4: return (const void *)hook;
    default: bytes(in, &any, sizeof any); return (const void *)any;
    }
}

static void slots_fill(struct input *in)
{
    for (unsigned i = 8; i < 14; i++) {
        char *p = fake_live(i, number(in, FAKE_SLOT + 1), number(in, 4));
        if (number(in, 2)) bytes(in, p, FAKE_SLOT);
        fake_state(i, number(in, 8));
    }
}

static void history_fill(struct input *in, struct sample_history *history)
{
    history->thread = number(in, UINT32_MAX);
    history->count = number(in, STACK_MOST + 1);
    for (unsigned i = 0; i < history->count; i++)
        history->stack[i] =
            number(in, 3) ? (uintptr_t)hook + number(in, 100000) : number(in, UINT32_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    static char call[40], *block;
    struct slot slot;
    if (hard.base == 0) {
        fake_start(1, 16);
        EXPECT(sample_start(0) && (block = sample_allocate(500, 16, 0)), "no sample");
        report_config.go_on = true;
        fh_hardened_set_hook(hook);
    }
    struct sample_block *sample = (struct sample_block *)sample_find(block);
    slots_fill(&in);
    bytes(&in, block, 500);
    history_fill(&in, &sample->made);
    history_fill(&in, &sample->freed);
    bytes(&in, report_program(), 255); /* its name */
    bytes(&in, call, sizeof call - 1);
    struct hard_fault fault = {.what = number(&in, HARD_WHATS),
                               .call = number(&in, 2) ? call : NULL,
                               .address = address(&in, sample),
                               .kind = number(&in, 4),
                               .access = number(&in, 3)};
    bytes(&in, &fault.size, sizeof fault.size);
    bytes(&in, &fault.right, sizeof fault.right);
    if (number(&in, 2) && hard_slot_find(address(&in, sample), &slot)) fault.slot = &slot;
    if (number(&in, 3) == 0) fault.sample = sample;
    report_config.confined =
        number(&in, 16) != 0; /* names of functions are slow: the program is large */
    unsigned before = told;
    hard_report(&fault);
    EXPECT(told == before + 1, "no report");
    return 0;
}
