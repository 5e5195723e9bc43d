/* freehold doctor: runs the checks and shows what they found, the worst first. */
#include <argp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "cli.h"
#include "doctor.h"
#include "human.h"
#include "json.h"

/* Exit statuses; promised in freehold(1). */
enum { DOCTOR_FINE = 0, DOCTOR_BAD = 1 };

static const char documentation[] =
    "Tells what on this machine will bite a program's memory, and what to do about it."
    "\vExit status: 0 nothing is bad; 1 something is; 2 wrong arguments.";

static const struct argp_option options[] = {
    {"json", 'j', 0, 0, "write all findings as JSON", 0},
    {0},
};

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    bool *json = state->input;
    (void)argument;
    if (key != 'j') return ARGP_ERR_UNKNOWN;
    *json = true;
    return 0;
}

static const struct argp parser = {options, parse_option, NULL, documentation, 0, 0, 0};

void doctor_find(struct doctor *d, enum level level, const char *what, const char *so_what,
                 const char *remedy, const char *format, ...)
{
    if (d->count == FINDINGS_MAX) return;
    struct finding *f = &d->findings[d->count++];
    bool fine = level == LEVEL_OK;
    f->level = level;
    f->what = what;
    f->so_what = fine ? NULL : so_what;
    f->remedy = fine ? NULL : remedy;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(f->value, sizeof f->value, format, arguments);
    va_end(arguments);
}

static size_t count_of(const struct doctor *d, enum level level)
{
    size_t count = 0;
    for (size_t i = 0; i < d->count; i++) count += d->findings[i].level == level;
    return count;
}

static void show_finding(const struct finding *f, const struct palette *colours)
{
    static const char *const words[] = {"ok", "note", "bad"};
    const char *const colour[] = {colours->good, colours->warn, colours->bad};
    char value[sizeof f->value];
    human_clean(value, sizeof value, f->value);
    printf("%s%-4s%s  %s = %s\n", colour[f->level], words[f->level], colours->plain, f->what,
           value);
    if (f->so_what) printf("      %sso what:%s %s\n", colours->dim, colours->plain, f->so_what);
    if (f->remedy) printf("      %sremedy:%s  %s\n", colours->dim, colours->plain, f->remedy);
}

static void show_all(const struct doctor *d)
{
    struct palette colours = palette_for(STDOUT_FILENO);
    printf("%sfreehold doctor: %zu bad, %zu to note, %zu fine%s\n", colours.strong,
           count_of(d, LEVEL_BAD), count_of(d, LEVEL_NOTE), count_of(d, LEVEL_OK), colours.plain);
    for (int level = LEVEL_BAD; level >= LEVEL_OK; level--) {
        for (size_t i = 0; i < d->count; i++) {
            if (d->findings[i].level == (enum level)level) show_finding(&d->findings[i], &colours);
        }
    }
}

static void json_all(const struct doctor *d)
{
    static const char *const words[] = {"ok", "note", "bad"};
    struct json j = json_to(stdout);
    json_open(&j, NULL, '{');
    json_number(&j, "bad", count_of(d, LEVEL_BAD));
    json_number(&j, "notes", count_of(d, LEVEL_NOTE));
    json_open(&j, "findings", '[');
    for (size_t i = 0; i < d->count; i++) {
        const struct finding *f = &d->findings[i];
        json_open(&j, NULL, '{');
        json_text(&j, "level", words[f->level]);
        json_text(&j, "what", f->what);
        json_text(&j, "value", f->value);
        json_text(&j, "so_what", f->so_what);
        json_text(&j, "remedy", f->remedy);
        json_close(&j, '}');
    }
    json_close(&j, ']');
    json_close(&j, '}');
}

int command_doctor(int argc, char **argv)
{
    static struct doctor d;
    bool json = false;
    argp_err_exit_status = STATUS_USAGE;
    argp_parse(&parser, argc, argv, 0, NULL, &json);
    doctor_memory(&d);
    doctor_limits(&d);
    doctor_kernel(&d);
    doctor_tools(&d);
    if (json)
        json_all(&d);
    else
        show_all(&d);
    return output_end(count_of(&d, LEVEL_BAD) ? DOCTOR_BAD : DOCTOR_FINE);
}
