// Documents: each is parsed into a tree of values (objects and arrays that grow by realloc,
// strings, numbers), read once, and dropped; eight are alive at a time.
//
// Stresses: the mixture that a request makes: a few hundred blocks of all small sizes, growth by
// realloc, and everything freed together soon after. Who has it: JSON and XML in web services,
// protocol buffers, database query plans, template engines.
#include "../kit/kit.h"

enum { ALIVE = 8, DEPTH = 4, FULL_DOCUMENTS = 24000 };

struct value {
    enum { NUMBER, STRING, LIST } kind;
    uint32_t size; // of the string, or the count of the list
    union {
        uint64_t number;
        unsigned char *string;
        struct value **list;
    };
};

static struct value *value_parse(struct random *random, unsigned depth);

static void list_parse(struct value *list, struct random *random, unsigned depth)
{
    size_t want = random_between(random, 1, 14), room = 0;
    list->list = NULL;
    for (size_t i = 0; i < want; i++) {
        if (i == room) {
            room = room ? room * 2 : 4;
            list->list = realloc(list->list, room * sizeof *list->list);
            if (!list->list) fail("realloc to %zu values returned NULL", room);
        }
        list->list[i] = value_parse(random, depth - 1);
    }
    list->size = (uint32_t)want;
}

static void string_parse(struct value *string, struct random *random)
{
    string->size = (uint32_t)random_between(random, 6, random_below(random, 10) ? 40 : 600);
    string->string = block_new(string->size);
    block_stamp(string->string, string->size, string->size);
}

static struct value *value_parse(struct random *random, unsigned depth)
{
    struct value *value = block_new(sizeof *value);
    size_t choice = random_below(random, 10);
    value->kind = depth && (depth == DEPTH || choice < 5) ? LIST : choice < 8 ? STRING : NUMBER;
    if (value->kind == LIST)
        list_parse(value, random, depth);
    else if (value->kind == STRING)
        string_parse(value, random);
    else
        value->number = choice;
    return value;
}

static void value_drop(struct value *value)
{
    if (value->kind == LIST) {
        for (uint32_t i = 0; i < value->size; i++) value_drop(value->list[i]);
        free(value->list);
    } else if (value->kind == STRING) {
        block_check(value->string, value->size, value->size);
        free(value->string);
    }
    free(value);
}

static void document_work(void *shared, unsigned index)
{
    struct random random = random_seeded(index);
    struct value *alive[ALIVE] = {0};
    for (size_t i = job_share(shared, FULL_DOCUMENTS); i; i--) {
        struct value **slot = &alive[random_below(&random, ALIVE)];
        if (*slot) value_drop(*slot);
        *slot = value_parse(&random, DEPTH);
    }
    for (size_t i = 0; i < ALIVE; i++)
        if (alive[i]) value_drop(alive[i]);
}

void document_run(struct job *job)
{
    crew_run(job->threads, document_work, job);
}
