// For back ends in which nothing is weak: what workloads do not call there, because they ask first.
#define BACKEND_EPHEMERONS NO_EPHEMERONS

static inline struct ephemeron *ephemeron_new(struct node *key, struct node *value)
{
    (void)key, (void)value;
    return NULL;
}

static inline struct node *ephemeron_key(struct ephemeron *ephemeron)
{
    (void)ephemeron;
    return NULL;
}

static inline struct node *ephemeron_value(struct ephemeron *ephemeron)
{
    (void)ephemeron;
    return NULL;
}
