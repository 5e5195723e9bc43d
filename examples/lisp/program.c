/* See program.h. */
#include "program.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "port.h"
#include "print.h"
#include "read.h"

/* Form by form: a macro that one defines is there for the next. Ports that were dropped are closed in
 * between. */
static value run_port(void *data)
{
    value port = *(value *)data, form, result = UNSPECIFIED;
    while ((form = read_value(port_of(port), true)) != END_OF_FILE) {
        result = eval_form(form);
        fh_gc_finalize(lisp.heap, 0);
    }
    return result;
}

void program_load(value name)
{
    value port = port_open_source(name);
    run_port(&port);
    port_close(port);
}

static value load_name(void *data)
{
    const char *name = data;
    program_load(string_from(name, strlen(name)));
    return UNSPECIFIED;
}

static value run_text(void *data)
{
    const char *text = data;
    value port = port_new_string(text, strlen(text));
    value result = run_port(&port);
    if (result != UNSPECIFIED) {
        print_value(&port_of(lisp.roots.standard_output)->text, result, true);
        text_add(&port_of(lisp.roots.standard_output)->text, "\n", 1);
    }
    return UNSPECIFIED;
}

static bool run_reporting(value (*function)(void *data), const void *data)
{
    value result;
    bool done = catch_errors(function, (void *)data, &result);
    if (!done) condition_report(result);
    return done;
}

bool program_run_file(const char *name)
{
    return run_reporting(load_name, name);
}

bool program_run_text(const char *text)
{
    return run_reporting(run_text, text);
}

/* ---- the terminal ----------------------------------------------------------------------------------------- */

static void say(const char *string)
{
    struct port *port = port_of(lisp.roots.standard_output);
    text_add(&port->text, string, strlen(string));
    port_settle(port);
}

/* One form; FALSE at the end of the input. */
static value repl_step(void *data)
{
    struct port *input = data;
    bool terminal = input->head.count & PORT_TERMINAL;
    if (terminal) say("> ");
    port_flush(lisp.roots.standard_output);
    value form = read_value(input, true);
    if (form == END_OF_FILE) {
        if (terminal) say("\n");
        return FALSE;
    }
    value result = eval_form(form);
    if (result != UNSPECIFIED) {
        print_value(&port_of(lisp.roots.standard_output)->text, result, true);
        say("\n");
    }
    fh_gc_finalize(lisp.heap, 0);
    return TRUE;
}

/* After an error in the middle of a line the rest of it means nothing. */
static void line_skip(struct port *input)
{
    input->at = input->text.count;
}

void program_repl(void)
{
    struct port *input = port_of(lisp.roots.input);
    value result;
    do {
        if (catch_errors(repl_step, input, &result)) continue;
        condition_report(result);
        if (input->head.count & PORT_TERMINAL) line_skip(input);
        result = TRUE;
    } while (result != FALSE);
}
