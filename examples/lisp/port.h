/*
 * Ports: files, terminals, strings. A port has a buffer of UTF-8 in the heap and, unless it is a string
 * port, a descriptor. One that is dropped without being closed is closed by its finalizer.
 */
#ifndef LISP_PORT_H
#define LISP_PORT_H

#include "text.h"
#include "value.h"

enum port_flags {
    PORT_INPUT = 1,
    PORT_OUTPUT = 2,
    PORT_STRING = 4,
    PORT_CLOSED = 8,
    PORT_TERMINAL = 16,
};

struct port {
    struct object head; /* count: enum port_flags */
    int fd;             /* -1 for a string */
    uint32_t file;      /* index of its name in roots.files, for places */
    uint32_t line, column;
    size_t at;        /* input: what of the text has been read */
    struct text text; /* read and not used up yet, or not written yet */
};

static inline struct port *port_of(value v)
{
    return (struct port *)v;
}

value port_new(int fd, unsigned flags);
value port_new_string(const char *bytes, size_t count);
/* A file that is read as a program: its name goes into places. */
value port_open_source(value name);
void port_close(value port);
void port_flush(value port);
/* After something was added to port->text: writes what is due. */
void port_settle(struct port *port);

enum { PORT_END = -1 };
int32_t port_peek(struct port *port);
int32_t port_read(struct port *port);

#endif
