/*
 * A writer of JSON: keeps the commas and the quoting right, nothing else.
 *
 *     struct json j = json_to(out);
 *     json_open(&j, NULL, '{');
 *     json_number(&j, "pid", 17);
 *     json_open(&j, "names", '[');   json_text(&j, NULL, "one");   json_close(&j, ']');
 *     json_close(&j, '}');
 *
 * A key of NULL is for the elements of an array and for the outermost value. Text that is not valid
 * UTF-8 (file names need not be) is written with U+FFFD for each wrong byte.
 */
#ifndef CLI_JSON_H
#define CLI_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct json {
    FILE *out;
    int depth;
    bool first; /* nothing written yet in the innermost object or array */
};

struct json json_to(FILE *out);
void json_open(struct json *j, const char *key, char bracket);
void json_close(struct json *j, char bracket); /* ends the line after the outermost */
void json_text(struct json *j, const char *key, const char *text); /* NULL is null */
void json_number(struct json *j, const char *key, uint64_t number);
void json_signed(struct json *j, const char *key, int64_t number);
void json_bool(struct json *j, const char *key, bool value);

/* Bytes of the UTF-8 sequence at s, which ends with a 0 somewhere; or 0 if there is no valid one. */
size_t utf8_length(const unsigned char *s);

#endif
