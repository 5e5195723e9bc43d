/*
 * A reader of JSON: a text becomes a tree, in place. For what the library writes (reports), which another process
 * may have changed: any bytes will do, what is no JSON gives NULL, and nesting and size are bounded.
 */
#ifndef CLI_JSON_READ_H
#define CLI_JSON_READ_H

#include <stddef.h>
#include <stdint.h>

enum json_kind { JSON_OBJECT, JSON_ARRAY, JSON_TEXT, JSON_NUMBER, JSON_OTHER };

struct json_node {
    enum json_kind kind;
    const char *key; /* of a member; NULL: of no object */
    const char *
        text; /* texts, ended by 0; a 0 in one is told as U+FFFD. Numbers, ended by what is no digit */
    struct json_node *first, *next; /* of an object or array; in the same one */
};

struct json_tree {
    struct json_node *nodes;
    size_t count, capacity;
};

/* The value that `text` is, of which text[size] is 0; NULL: it is none, or memory is out. `text` is changed, and used as
 * long as the tree is. json_tree_finish in any case. */
const struct json_node *json_tree_read(struct json_tree *tree, char *text, size_t size);
void json_tree_finish(struct json_tree *tree);

/* All of these take NULL. */
const struct json_node *json_member(const struct json_node *object, const char *key);
const char *json_text_of(const struct json_node *object, const char *key); /* "" */
uint64_t json_number_of(const struct json_node *object, const char *key);  /* 0 */
uint64_t json_address_of(const struct json_node *object, const char *key); /* of "0x7f..": 0 */

#endif
