/* A C program that is linked with the hardened library for freehold/zone.h. Prints nothing when all is as it says. */
#include <freehold/zone.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct key {
    struct key *next;
    char bytes[32];
};

static int failures;

static void expect(int holds, const char *what)
{
    if (holds) return;
    fprintf(stderr, "consumer: not so: %s\n", what);
    failures++;
}

int main(void)
{
    fh_zone *zone = fh_zone_create("keys", sizeof(struct key), 0);
    struct key *key = fh_zone_allocate_zeroed(zone, 1, sizeof *key), *other = fh_new(struct key),
               *array = fh_new_array(struct key, 3);
    void *tagged = fh_zone_tag(zone, key);
    expect(key && other && array, "there are blocks");
    expect(fh_zone_count(zone) == 1, "one is the zone's");
    expect(fh_zone_untag(zone, tagged) == key, "a tag comes off");
    expect(fh_object_size(array) == 3 * sizeof *array, "an array has the size of its parts");
    expect(fh_zone_seal(zone) == 0 && fh_zone_unseal(zone) == 0, "it can be sealed");
    expect(fh_hardened_verify() == 0, "nothing is damaged");
    free(other);
    free(array);
    fh_zone_free(zone, key);
    fh_zone_destroy(zone);
    return failures != 0;
}
