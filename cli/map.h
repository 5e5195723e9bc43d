/* `freehold map`: how the ledger and the walk of one address are shown. */
#ifndef CLI_MAP_H
#define CLI_MAP_H

#include <stdio.h>

#include "human.h"
#include "ledger.h"

void map_show(const struct ledger *ledger, FILE *out, const struct palette *colours);
void map_json(const struct ledger *ledger, FILE *out, bool mappings);

/* The same as an object within another. */
struct json;
void map_json_ledger(struct json *j, const char *key, const struct ledger *ledger, bool mappings);

/* The mappings with the most resident bytes. */
void map_show_mappings(const struct ledger *ledger, FILE *out);

/* Does what malloc_trim would do, and shows the ledger before and after. The same result. */
int map_apply(pid_t pid, bool json, int refused);

/* One address through the page tables: text or JSON. 0, or the status of the refusal. */
int map_walk(pid_t pid, uint64_t address, bool json, int refused);

#endif
