/* By recursive descent. See json_read.h. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "json_read.h"

enum { DEPTH_MAX = 16 };

struct reading {
    struct json_tree *tree;
    char *at, *end;
    unsigned depth;
};

static void skip_blanks(struct reading *r)
{
    while (r->at < r->end && strchr(" \t\r\n", *r->at) && *r->at) r->at++;
}

static bool take(struct reading *r, char c)
{
    skip_blanks(r);
    if (r->at == r->end || *r->at != c) return false;
    r->at++;
    return true;
}

/* ---- texts ---------------------------------------------------------------------------------- */

static bool hex_four(const struct reading *r, const char *at, unsigned *code)
{
    *code = 0;
    if (r->end - at < 4) return false;
    for (int i = 0; i < 4; i++) {
        char c = at[i];
        unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                         : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10)
                         : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A' + 10)
                                                : 16;
        if (digit == 16) return false;
        *code = *code << 4 | digit;
    }
    return true;
}

/* As UTF-8, which is no longer than its escape; of surrogates and 0 U+FFFD. */
static char *put_code(char *to, unsigned code)
{
    if (code == 0 || (code >= 0xd800 && code < 0xe000)) code = 0xfffd;
    if (code < 0x80) {
        *to++ = (char)code;
    } else if (code < 0x800) {
        *to++ = (char)(0xc0 | code >> 6);
        *to++ = (char)(0x80 | (code & 63));
    } else {
        *to++ = (char)(0xe0 | code >> 12);
        *to++ = (char)(0x80 | (code >> 6 & 63));
        *to++ = (char)(0x80 | (code & 63));
    }
    return to;
}

static bool take_escape(struct reading *r, char **to)
{
    static const char from[] = "\"\\/bfnrt", into[] = "\"\\/\b\f\n\r\t";
    unsigned code;
    if (r->at == r->end) return false;
    char c = *r->at++;
    if (c == 'u') {
        if (!hex_four(r, r->at, &code)) return false;
        r->at += 4;
        *to = put_code(*to, code);
        return true;
    }
    const char *known = c ? strchr(from, c) : NULL;
    if (known) *(*to)++ = into[known - from];
    return known != NULL;
}

/* Behind the opening quote. It is written over itself: the closing quote becomes its end. */
static const char *take_text(struct reading *r)
{
    char *start = r->at, *to = r->at;
    while (r->at < r->end && *r->at != '"') {
        char c = *r->at++;
        if (c == 0) return NULL;
        if (c != '\\')
            *to++ = c;
        else if (!take_escape(r, &to))
            return NULL;
    }
    if (r->at == r->end) return NULL;
    r->at++;
    *to = 0;
    return start;
}

/* ---- values --------------------------------------------------------------------------------- */

static struct json_node *take_value(struct reading *r);

static struct json_node *new_node(struct reading *r, enum json_kind kind)
{
    struct json_tree *tree = r->tree;
    if (tree->count == tree->capacity) return NULL;
    tree->nodes[tree->count] = (struct json_node){.kind = kind};
    return &tree->nodes[tree->count++];
}

/* A number or a word; what ends it stays there, since it may be a comma that is needed. */
static struct json_node *take_word(struct reading *r, size_t *length)
{
    static const char *const words[] = {"true", "false", "null"};
    size_t n = 0, room = (size_t)(r->end - r->at);
    while (n < room && r->at[n] && strchr("+-.0123456789abcdefghijklmnopqrstuvwxyzE", r->at[n]))
        n++;
    bool number = n && (r->at[0] == '-' || (r->at[0] >= '0' && r->at[0] <= '9'));
    bool word = false;
    for (size_t i = 0; i < 3; i++) word |= strlen(words[i]) == n && !memcmp(words[i], r->at, n);
    *length = n;
    return number || word ? new_node(r, number ? JSON_NUMBER : JSON_OTHER) : NULL;
}

static struct json_node *take_member(struct reading *r, bool keyed)
{
    const char *key = NULL;
    if (keyed && (!take(r, '"') || !(key = take_text(r)) || !take(r, ':'))) return NULL;
    struct json_node *node = take_value(r);
    if (node) node->key = key;
    return node;
}

static struct json_node *take_list(struct reading *r, enum json_kind kind, char close)
{
    struct json_node *list = new_node(r, kind), **last = list ? &list->first : NULL;
    if (!list || ++r->depth > DEPTH_MAX) return NULL;
    if (!take(r, close)) {
        do {
            *last = take_member(r, kind == JSON_OBJECT);
            if (!*last) return NULL;
            last = &(*last)->next;
        } while (take(r, ','));
        if (!take(r, close)) return NULL;
    }
    r->depth--;
    return list;
}

static struct json_node *take_value(struct reading *r)
{
    size_t length;
    if (take(r, '{')) return take_list(r, JSON_OBJECT, '}');
    if (take(r, '[')) return take_list(r, JSON_ARRAY, ']');
    if (take(r, '"')) {
        const char *text = take_text(r);
        struct json_node *node = text ? new_node(r, JSON_TEXT) : NULL;
        if (node) node->text = text;
        return node;
    }
    struct json_node *node = take_word(r, &length);
    if (!node) return NULL;
    node->text = r->at;
    r->at += length;
    return node;
}

const struct json_node *json_tree_read(struct json_tree *tree, char *text, size_t size)
{
    struct reading r = {tree, text, text + size, 0};
    *tree =
        (struct json_tree){.capacity = size / 2 + 2}; /* a value and what parts it from the next */
    tree->nodes = calloc(tree->capacity, sizeof *tree->nodes);
    if (!tree->nodes) return NULL;
    struct json_node *root = take_value(&r);
    skip_blanks(&r);
    return r.at == r.end ? root : NULL;
}

void json_tree_finish(struct json_tree *tree)
{
    free(tree->nodes);
    *tree = (struct json_tree){0};
}

/* ---- looking in ----------------------------------------------------------------------------- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

const struct json_node *json_member(const struct json_node *object, const char *key)
{
    if (!object || object->kind != JSON_OBJECT) return NULL;
    for (const struct json_node *n = object->first; n; n = n->next)
        if (n->key && strcmp(n->key, key) == 0) return n;
    return NULL;
}

const char *json_text_of(const struct json_node *object, const char *key)
{
    const struct json_node *n = json_member(object, key);
    return n && n->kind == JSON_TEXT ? n->text : "";
}

uint64_t json_number_of(const struct json_node *object, const char *key)
{
    const struct json_node *n = json_member(object, key);
    uint64_t number = 0;
    if (!n || n->kind != JSON_NUMBER) return 0;
    for (const char *at = n->text; is_digit(*at) && number < UINT64_MAX / 10 - 1; at++)
        number = number * 10 + (uint64_t)(*at - '0');
    return number;
}

uint64_t json_address_of(const struct json_node *object, const char *key)
{
    const char *text = json_text_of(object, key);
    return strncmp(text, "0x", 2) == 0 ? strtoull(text, NULL, 16) : 0;
}
