/* What became of the promises: lines on stderr, the verdict first, and JSON. */
#include <freehold/freehold.h>

#include "check.h"
#include "json.h"

static const char *amount(struct human *h, enum promise_kind kind, uint64_t number)
{
    return promise_forms[kind].bytes ? human_bytes(h, number) : human_exact(h, number);
}

#define AMOUNT(kind, n) amount(&(struct human){0}, (kind), (n))

void promise_sentence(const struct check *check, enum promise_kind kind, char *text,
                      size_t capacity)
{
    const struct promise *p = &check->promises[kind];
    const struct promise_form *form = &promise_forms[kind];
    const char *of = *p->who ? ", of " : "";
    if (p->outcome == OUTCOME_UNKNOWN)
        snprintf(text, capacity, "cannot be told: %s", p->unknown);
    else if (p->outcome == OUTCOME_BROKEN)
        snprintf(text, capacity, "%s %s%s%s%s: %s above the %s promised", AMOUNT(kind, p->found),
                 form->what, p->note, of, p->who, AMOUNT(kind, p->found - p->limit),
                 AMOUNT(kind, p->limit));
    else
        snprintf(text, capacity, "%s %s%s%s%s, of the %s promised", AMOUNT(kind, p->found),
                 form->what, p->note, of, p->who, AMOUNT(kind, p->limit));
}

static void report_verdict(const struct check *check, FILE *out, const struct palette *colours)
{
    char failure[128];
    const char *failed = check_failure(check, failure, sizeof failure);
    unsigned kept = check->made - check->broken - check->unknown;
    fprintf(out, "%sfreehold check: %s: ", colours->strong, check->run.program);
    if (kept == check->made)
        fprintf(out, "%u of %u promises kept", kept, check->made);
    else if (check->broken)
        fprintf(out, "%u of %u promises BROKEN", check->broken, check->made);
    else
        fprintf(out, "%u of %u promises cannot be judged", check->unknown, check->made);
    fprintf(out, "%s%s%s\n", failed ? "; and the program " : "", failed ? failed : "",
            colours->plain);
}

void check_report(const struct check *check, FILE *out, const struct palette *colours, bool quiet)
{
    static const char *const words[] = {"kept", "BROKEN", "unknown"};
    const char *const colour[] = {colours->good, colours->bad, colours->warn};
    char sentence[512], failure[128];
    bool wrong = check->broken || check->unknown || check_failure(check, failure, sizeof failure);
    if (quiet && !wrong) return;
    report_verdict(check, out, colours);
    for (int kind = 0; kind < PROMISES; kind++) {
        const struct promise *p = &check->promises[kind];
        if (!p->made || (quiet && p->outcome == OUTCOME_KEPT)) continue;
        promise_sentence(check, (enum promise_kind)kind, sentence, sizeof sentence);
        fprintf(out, "  %s%-8s%s %-9s %s\n", colour[p->outcome], words[p->outcome], colours->plain,
                promise_forms[kind].name, sentence);
    }
}

static void json_promise(struct json *j, const struct check *check, enum promise_kind kind)
{
    static const char *const words[] = {"kept", "broken", "unknown"};
    const struct promise *p = &check->promises[kind];
    char sentence[512];
    promise_sentence(check, kind, sentence, sizeof sentence);
    json_open(j, NULL, '{');
    json_text(j, "promise", promise_forms[kind].name);
    json_text(j, "unit", promise_forms[kind].bytes ? "bytes" : "count");
    json_number(j, "limit", p->limit);
    json_text(j, "outcome", words[p->outcome]);
    if (p->outcome == OUTCOME_UNKNOWN)
        json_text(j, "found", NULL);
    else
        json_number(j, "found", p->found);
    json_text(j, "process", *p->who ? p->who : NULL);
    json_text(j, "sentence", sentence);
    json_close(j, '}');
}

void check_json(const struct check *check, FILE *out)
{
    struct json j = json_to(out);
    char failure[128];
    json_open(&j, NULL, '{');
    json_text(&j, "freehold", FH_VERSION_TEXT);
    json_open(&j, "command", '[');
    for (char **argument = check->run.argv; *argument; argument++) json_text(&j, NULL, *argument);
    json_close(&j, ']');
    json_bool(&j, "kept", check->broken == 0 && check->unknown == 0);
    json_number(&j, "broken", check->broken);
    json_number(&j, "unknown", check->unknown);
    json_text(&j, "program_failure", check_failure(check, failure, sizeof failure));
    json_number(&j, "elapsed_ms", check->run.child.elapsed_ms);
    json_open(&j, "promises", '[');
    for (int kind = 0; kind < PROMISES; kind++) {
        if (check->promises[kind].made) json_promise(&j, check, (enum promise_kind)kind);
    }
    json_close(&j, ']');
    json_close(&j, '}');
}
