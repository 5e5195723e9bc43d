/* All numbers of a run as JSON. Every size is in bytes, every time in milliseconds. */
#include <sys/wait.h>

#include <freehold/freehold.h>

#include "hardened.h"
#include "json.h"
#include "run.h"

static uint64_t ms_of(struct timeval t)
{
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_usec / 1000;
}

static void json_usage(struct json *j, const char *key, const struct fh_usage *u)
{
    json_open(j, key, '{');
    json_number(j, "live", u->live);
    json_number(j, "free_in_slabs", u->free_in_slabs);
    json_number(j, "thread_lists", u->thread_lists);
    json_number(j, "remote", u->remote);
    json_number(j, "dirty", u->dirty);
    json_number(j, "metadata", u->metadata);
    json_number(j, "total", usage_total(u));
    json_close(j, '}');
}

static void json_sizes(struct json *j, const struct fh_run_slot *slot)
{
    json_open(j, "sizes", '[');
    for (size_t i = 0; i < FH_RUN_BUCKETS; i++) {
        if (slot->bucket[i] == 0) continue;
        json_open(j, NULL, '{');
        json_number(j, "above", 1ull << i);
        json_number(j, "up_to", 2ull << i);
        json_number(j, "allocations", slot->bucket[i]);
        json_close(j, '}');
    }
    json_close(j, ']');
}

static void json_slot(struct json *j, const struct run *run, const struct fh_run_slot *slot)
{
    json_open(j, NULL, '{');
    json_number(j, "pid", slot->pid);
    json_number(j, "parent", slot->parent);
    json_text(j, "program", slot->program);
    json_bool(j, "main", slot == run->main);
    json_bool(j, "subject", slot == run->subject);
    json_bool(j, "finished", slot->finished);
    json_number(j, "ms", slot_ms(run, slot));
    json_bool(j, "stands", slot->stands);
    json_usage(j, "peak", &slot->peak);
    json_number(j, "peak_held", slot_peak_held(slot));
    json_usage(j, "last", &slot->last);
    json_number(j, "allocations", slot->allocated);
    json_number(j, "allocated_bytes", slot->allocated_bytes);
    json_number(j, "purged_bytes", slot->purged_bytes);
    json_number(j, "peak_rss", slot->peak_rss);
    json_number(j, "threads_peak", slot->threads_peak);
    json_number(j, "heaps", slot->heaps);
    json_sizes(j, slot);
    json_close(j, '}');
}

static void json_end(struct json *j, const struct child *child)
{
    bool exited = WIFEXITED(child->status);
    if (exited)
        json_number(j, "exit_status", (uint64_t)WEXITSTATUS(child->status));
    else
        json_text(j, "exit_status", NULL);
    if (exited)
        json_text(j, "signal", NULL);
    else
        json_number(j, "signal", (uint64_t)WTERMSIG(child->status));
}

void run_json(const struct run *run, FILE *out)
{
    struct json j = json_to(out);
    json_open(&j, NULL, '{');
    json_text(&j, "freehold", FH_VERSION_TEXT);
    json_text(&j, "library", run->library);
    json_open(&j, "command", '[');
    for (char **argument = run->argv; *argument; argument++) json_text(&j, NULL, *argument);
    json_close(&j, ']');
    json_number(&j, "pid", (uint64_t)run->child.pid);
    json_end(&j, &run->child);
    json_bool(&j, "took_effect", run->main != NULL);
    json_bool(&j, "replaced", run->replaced);
    json_number(&j, "elapsed_ms", run->child.elapsed_ms);
    json_number(&j, "user_ms", ms_of(run->child.usage.ru_utime));
    json_number(&j, "system_ms", ms_of(run->child.usage.ru_stime));
    json_number(&j, "minor_faults", (uint64_t)run->child.usage.ru_minflt);
    json_number(&j, "major_faults", (uint64_t)run->child.usage.ru_majflt);
    json_number(&j, "peak_rss", run->peak_rss);
    json_number(&j, "processes_claimed", run->slots_claimed);
    json_open(&j, "processes", '[');
    for (size_t i = 0; i < run->slot_count; i++) json_slot(&j, run, &run->slots[i]);
    json_close(&j, ']');
    json_text(&j, "hardened",
              run->hardened ? run->hardened->level ? run->hardened->level : "" : NULL);
    if (run->hardened) json_bool(&j, "calls_checked", *run->calls != 0);
    if (run->hardened) hardened_json(run->hardened, &j);
    if (run->plan.look) look_json(run->plan.look, &j);
    json_close(&j, '}');
}
