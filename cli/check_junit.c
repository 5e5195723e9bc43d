/*
 * The outcome as JUnit XML, the form that CI systems show: a test case for the program's own end, and
 * one for each promise. Broken is a failure; what cannot be judged is an error.
 */
#include "check.h"
#include "xml.h"

struct junit {
    FILE *out;
    const struct check *check;
    double seconds;
};

static void case_open(const struct junit *j, const char *name)
{
    fputs("    <testcase classname=\"freehold.", j->out);
    xml_text(j->out, j->check->run.program);
    fprintf(j->out, "\" name=\"%s\" time=\"%.3f\"", name, j->seconds);
}

/* `element` is failure or error; NULL: the case has passed. */
static void case_close(const struct junit *j, const char *element, const char *message)
{
    if (!element) {
        fputs("/>\n", j->out);
        return;
    }
    fprintf(j->out, ">\n      <%s message=\"", element);
    xml_text(j->out, message);
    fputs("\"/>\n    </testcase>\n", j->out);
}

static void case_of_promise(const struct junit *j, enum promise_kind kind)
{
    static const char *const elements[] = {NULL, "failure", "error"};
    char sentence[512];
    promise_sentence(j->check, kind, sentence, sizeof sentence);
    case_open(j, promise_forms[kind].name);
    case_close(j, elements[j->check->promises[kind].outcome], sentence);
}

static void suite_open(const struct junit *j, const char *failed)
{
    const struct check *check = j->check;
    char counts[160];
    snprintf(counts, sizeof counts, "tests=\"%u\" failures=\"%u\" errors=\"%u\" time=\"%.3f\"",
             check->made + 1, check->broken + (failed != NULL), check->unknown, j->seconds);
    fprintf(j->out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites %s>\n", counts);
    fprintf(j->out, "  <testsuite name=\"freehold check\" %s>\n", counts);
}

void check_junit(const struct check *check, FILE *out)
{
    struct junit j = {out, check, (double)check->run.child.elapsed_ms / 1000};
    char failure[128], message[256];
    const char *failed = check_failure(check, failure, sizeof failure);
    snprintf(message, sizeof message, "the program %s", failed ? failed : "");
    suite_open(&j, failed);
    case_open(&j, "exit status");
    case_close(&j, failed ? "failure" : NULL, message);
    for (int kind = 0; kind < PROMISES; kind++) {
        if (check->promises[kind].made) case_of_promise(&j, (enum promise_kind)kind);
    }
    fputs("  </testsuite>\n</testsuites>\n", out);
}
