/* The whole of JSON that we write fits here; a library would be another dependency to install. */
#include <inttypes.h>
#include <string.h>

#include "json.h"

struct json json_to(FILE *out)
{
    return (struct json){.out = out, .first = true};
}

/* Overlong forms, surrogates and what lies beyond U+10FFFF are wrong; a string's end stops the scan,
 * being no continuation. */
size_t utf8_length(const unsigned char *s)
{
    size_t length = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
    if (s[0] > 0xf4) return 0;
    for (size_t i = 1; i < length; i++) {
        if ((s[i] & 0xc0) != 0x80) return 0;
    }
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f)) return 0;
    if ((s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f)) return 0;
    return length;
}

static void json_quoted(struct json *j, const char *text)
{
    fputc('"', j->out);
    for (const unsigned char *s = (const unsigned char *)text; *s;) {
        size_t length = utf8_length(s);
        if (length == 0)
            fputs("\\ufffd", j->out);
        else if (*s == '"' || *s == '\\')
            fprintf(j->out, "\\%c", *s);
        else if (*s < 0x20 || *s == 0x7f)
            fprintf(j->out, "\\u%04x", *s);
        else
            fwrite(s, 1, length, j->out);
        s += length == 0 ? 1 : length;
    }
    fputc('"', j->out);
}

/* Puts what stands before a value: the comma, the line, the key. */
static void json_lead(struct json *j, const char *key)
{
    if (!j->first) fputc(',', j->out);
    j->first = false;
    if (j->depth > 0) fprintf(j->out, "\n%*s", j->depth * 2, "");
    if (!key) return;
    json_quoted(j, key);
    fputs(": ", j->out);
}

void json_open(struct json *j, const char *key, char bracket)
{
    json_lead(j, key);
    fputc(bracket, j->out);
    j->depth++;
    j->first = true;
}

void json_close(struct json *j, char bracket)
{
    j->depth--;
    if (!j->first) fprintf(j->out, "\n%*s", j->depth * 2, "");
    fputc(bracket, j->out);
    j->first = false;
    if (j->depth == 0) fputc('\n', j->out);
}

void json_text(struct json *j, const char *key, const char *text)
{
    json_lead(j, key);
    if (text)
        json_quoted(j, text);
    else
        fputs("null", j->out);
}

void json_number(struct json *j, const char *key, uint64_t number)
{
    json_lead(j, key);
    fprintf(j->out, "%" PRIu64, number);
}

void json_signed(struct json *j, const char *key, int64_t number)
{
    json_lead(j, key);
    fprintf(j->out, "%" PRId64, number);
}

void json_bool(struct json *j, const char *key, bool value)
{
    json_lead(j, key);
    fputs(value ? "true" : "false", j->out);
}
