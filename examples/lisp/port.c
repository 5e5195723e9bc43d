/* See port.h. */
#include "port.h"

#include "args.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum { BUFFER = 8192 };

FH_GC_TYPE(port, text.bytes)

static int open_count; /* of ports with descriptors that were opened here */

/* ---- closing ------------------------------------------------------------------------------------------ */

static bool write_all(int fd, const char *bytes, size_t count)
{
    while (count > 0) {
        ssize_t n = write(fd, bytes, count);
        if (n < 0 && errno != EINTR) return false;
        if (n < 0) continue;
        bytes += n;
        count -= (size_t)n;
    }
    return true;
}

static bool port_empty(struct port *port)
{
    bool written = port->fd < 0 || write_all(port->fd, port->text.bytes, port->text.count);
    if (port->fd >= 0) port->text.count = 0;
    return written;
}

static bool port_finish(struct port *port)
{
    if (port->head.count & PORT_CLOSED) return true;
    bool written = !(port->head.count & PORT_OUTPUT) || port_empty(port);
    port->head.count |= PORT_CLOSED;
    if (port->fd > 2) {
        close(port->fd);
        open_count--;
    }
    return written;
}

static void port_finalize(void *port, void *data)
{
    (void)data;
    port_finish(port);
}

void port_close(value v)
{
    struct port *port = port_of(v);
    if (port->fd > 2 && !(port->head.count & PORT_CLOSED)) fh_gc_finalizer_cancel(lisp.heap, port);
    if (!port_finish(port)) fail("cannot write", v);
}

void port_flush(value v)
{
    struct port *port = port_of(v);
    if ((port->head.count & PORT_OUTPUT) && !port_empty(port)) fail("cannot write", v);
}

void port_settle(struct port *port)
{
    if (port->fd < 0) return;
    bool line = port->head.count & PORT_TERMINAL && port->text.count &&
                port->text.bytes[port->text.count - 1] == '\n';
    if (line || port->text.count >= BUFFER) port_flush((value)port);
}

/* ---- opening ------------------------------------------------------------------------------------------ */

value port_new(int fd, unsigned flags)
{
    struct port *port = allocated(fh_gc_new(lisp.heap, port));
    port->head = (struct object){KIND_PORT, flags};
    port->fd = fd;
    port->line = port->column = 1;
    if (fd >= 0 && isatty(fd)) port->head.count |= PORT_TERMINAL;
    return (value)port;
}

value port_new_string(const char *bytes, size_t count)
{
    value port = port_new(-1, PORT_INPUT | PORT_STRING);
    if (count) text_add(&port_of(port)->text, bytes, count);
    return port;
}

/* Descriptors may be out because ports wait to be collected. */
static int open_collecting(const char *path, int how)
{
    int fd = open(path, how | O_CLOEXEC, 0666);
    if (fd >= 0 || errno != EMFILE) return fd;
    fh_gc_collect(lisp.heap, FH_GC_FULL);
    fh_gc_finalize(lisp.heap, 0);
    return open(path, how | O_CLOEXEC, 0666);
}

static value port_open(value name, int how, unsigned flags)
{
    value port = port_new(-1, flags);
    int fd = open_collecting(string_c(name), how);
    if (fd < 0) fail(strerror(errno), name);
    port_of(port)->fd = fd;
    open_count++;
    if (fh_gc_finalizer_add(lisp.heap, port_of(port), port_finalize, NULL, 0)) {
        port_finish(port_of(port));
        fail_memory();
    }
    return port;
}

static uint32_t file_index(value name)
{
    struct vector *files = vector_of(lisp.roots.files);
    uint32_t count = files->head.count;
    value more = vector_new(count + 1, name);
    if (count)
        fh_gc_store_range(lisp.heap, vector_of(more)->item, files->item, count * sizeof(value));
    store(&lisp.roots.files, more);
    return count;
}

value port_open_source(value name)
{
    value port = port_open(name, O_RDONLY, PORT_INPUT);
    port_of(port)->file = file_index(name);
    return port;
}

/* ---- reading ------------------------------------------------------------------------------------------ */

struct fill {
    int fd;
    ssize_t count;
    char bytes[BUFFER];
};

static void *fill_read(void *data)
{
    struct fill *fill = data;
    do fill->count = read(fill->fd, fill->bytes, sizeof fill->bytes);
    while (fill->count < 0 && errno == EINTR && lisp.stack_limit != UINTPTR_MAX);
    return NULL;
}

/* More bytes behind those that are there; false at the end. The read may last: nobody waits for this
 * thread meanwhile, and so it must not read into an object. */
static bool port_fill(struct port *port)
{
    struct fill fill = {.fd = port->fd};
    if (port->fd < 0 || port->head.count & PORT_CLOSED) return false;
    if (port->head.count & PORT_TERMINAL) port_flush(lisp.roots.standard_output);
    fh_gc_blocking(fill_read, &fill);
    if (fill.count < 0 && errno == EINTR) stack_fail();
    if (fill.count < 0) fail(strerror(errno), (value)port);
    size_t left = port->text.count - port->at;
    if (left) memmove(port->text.bytes, port->text.bytes + port->at, left);
    port->text.count = left;
    port->at = 0;
    text_add(&port->text, fill.bytes, (size_t)fill.count);
    return fill.count > 0;
}

static size_t port_left(const struct port *port)
{
    return port->text.count - port->at;
}

static size_t sequence_length(uint8_t first)
{
    return first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 1;
}

static unsigned port_decode(struct port *port, uint32_t *code)
{
    if (port_left(port) == 0 && !port_fill(port)) return 0;
    size_t length = sequence_length((uint8_t)port->text.bytes[port->at]);
    while (port_left(port) < length && port_fill(port)) continue;
    return utf8_decode(port->text.bytes + port->at, port_left(port), code);
}

int32_t port_peek(struct port *port)
{
    uint32_t code;
    return port_decode(port, &code) ? (int32_t)code : PORT_END;
}

int32_t port_read(struct port *port)
{
    uint32_t code;
    unsigned length = port_decode(port, &code);
    if (length == 0) return PORT_END;
    port->at += length;
    port->column++;
    if (code == '\n') {
        port->line++;
        port->column = 1;
    }
    return (int32_t)code;
}

/* ---- builtins ----------------------------------------------------------------------------------------- */

static struct port *arg_port(value v, unsigned flag)
{
    if (!is_kind(v, KIND_PORT) || !(port_of(v)->head.count & flag))
        fail(flag == PORT_INPUT ? "not an input port" : "not an output port", v);
    if (port_of(v)->head.count & PORT_CLOSED) fail("port is closed", v);
    return port_of(v);
}

static value builtin_open_input(unsigned argc, value *argv)
{
    (void)argc;
    arg_string(argv[0]);
    return port_open(argv[0], O_RDONLY, PORT_INPUT);
}

static value builtin_open_output(unsigned argc, value *argv)
{
    (void)argc;
    arg_string(argv[0]);
    return port_open(argv[0], O_WRONLY | O_CREAT | O_TRUNC, PORT_OUTPUT);
}

static value builtin_open_input_string(unsigned argc, value *argv)
{
    struct text text = {0};
    (void)argc;
    arg_string(argv[0]);
    string_text(argv[0], &text);
    return port_new_string(text.bytes, text.count);
}

static value builtin_open_output_string(unsigned argc, value *argv)
{
    (void)argc;
    (void)argv;
    return port_new(-1, PORT_OUTPUT | PORT_STRING);
}

static value builtin_get_output_string(unsigned argc, value *argv)
{
    (void)argc;
    struct port *port = arg_port(argv[0], PORT_OUTPUT);
    if (!(port->head.count & PORT_STRING)) fail("not a string port", argv[0]);
    return string_from(port->text.bytes, port->text.count);
}

static value builtin_close(unsigned argc, value *argv)
{
    (void)argc;
    if (!is_kind(argv[0], KIND_PORT)) fail("not a port", argv[0]);
    port_close(argv[0]);
    return UNSPECIFIED;
}

static value builtin_is_port(unsigned argc, value *argv)
{
    (void)argc;
    return boolean(is_kind(argv[0], KIND_PORT));
}

static value builtin_flush(unsigned argc, value *argv)
{
    port_flush((value)arg_port(argc ? argv[0] : lisp.roots.output, PORT_OUTPUT));
    return UNSPECIFIED;
}

static value character_or_end(int32_t code)
{
    return code == PORT_END ? END_OF_FILE : character((uint32_t)code);
}

static value builtin_read_char(unsigned argc, value *argv)
{
    return character_or_end(port_read(arg_port(argc ? argv[0] : lisp.roots.input, PORT_INPUT)));
}

static value builtin_peek_char(unsigned argc, value *argv)
{
    return character_or_end(port_peek(arg_port(argc ? argv[0] : lisp.roots.input, PORT_INPUT)));
}

static value builtin_read_line(unsigned argc, value *argv)
{
    struct port *port = arg_port(argc ? argv[0] : lisp.roots.input, PORT_INPUT);
    struct text text = {0};
    int32_t code = port_read(port);
    if (code == PORT_END) return END_OF_FILE;
    for (; code != PORT_END && code != '\n'; code = port_read(port))
        text_add_character(&text, (uint32_t)code);
    return string_from(text.bytes, text.count);
}

static value builtin_write_char(unsigned argc, value *argv)
{
    struct port *port = arg_port(argc > 1 ? argv[1] : lisp.roots.output, PORT_OUTPUT);
    if (!is_character(argv[0])) fail("not a character", argv[0]);
    text_add_character(&port->text, character_get(argv[0]));
    port_settle(port);
    return UNSPECIFIED;
}

static value builtin_newline(unsigned argc, value *argv)
{
    struct port *port = arg_port(argc ? argv[0] : lisp.roots.output, PORT_OUTPUT);
    text_add(&port->text, "\n", 1);
    port_settle(port);
    return UNSPECIFIED;
}

static value call_thunk(void *data)
{
    return call_procedure(*(value *)data, 0, NULL);
}

/* What the thunk writes to the current port, also if it ends in an error. */
static value builtin_with_output(unsigned argc, value *argv)
{
    value outer = lisp.roots.output, port = port_new(-1, PORT_OUTPUT | PORT_STRING), result;
    (void)argc;
    store(&lisp.roots.output, port);
    bool done = catch_errors(call_thunk, &argv[0], &result);
    store(&lisp.roots.output, outer);
    if (!done) raise_value(result);
    return string_from(port_of(port)->text.bytes, port_of(port)->text.count);
}

static value builtin_current_output(unsigned argc, value *argv)
{
    (void)argc;
    (void)argv;
    return lisp.roots.output;
}

static value builtin_current_input(unsigned argc, value *argv)
{
    (void)argc;
    (void)argv;
    return lisp.roots.input;
}

static value builtin_end(unsigned argc, value *argv)
{
    (void)argc;
    (void)argv;
    return END_OF_FILE;
}

static value builtin_is_end(unsigned argc, value *argv)
{
    (void)argc;
    return boolean(argv[0] == END_OF_FILE);
}

static value builtin_file_exists(unsigned argc, value *argv)
{
    (void)argc;
    arg_string(argv[0]);
    return boolean(access(string_c(argv[0]), F_OK) == 0);
}

static value builtin_delete_file(unsigned argc, value *argv)
{
    (void)argc;
    arg_string(argv[0]);
    if (unlink(string_c(argv[0]))) fail(strerror(errno), argv[0]);
    return UNSPECIFIED;
}

/* How many files are open: for tests of finalizers. */
static value builtin_open_files(unsigned argc, value *argv)
{
    (void)argc;
    (void)argv;
    return fixnum(open_count);
}

static const struct builtin_row rows[] = {
    {"open-input-file", builtin_open_input, 1, 1},
    {"open-output-file", builtin_open_output, 1, 1},
    {"open-input-string", builtin_open_input_string, 1, 1},
    {"open-output-string", builtin_open_output_string, 0, 0},
    {"get-output-string", builtin_get_output_string, 1, 1},
    {"close-port", builtin_close, 1, 1},
    {"close-input-port", builtin_close, 1, 1},
    {"close-output-port", builtin_close, 1, 1},
    {"port?", builtin_is_port, 1, 1},
    {"flush-output", builtin_flush, 0, 1},
    {"read-char", builtin_read_char, 0, 1},
    {"peek-char", builtin_peek_char, 0, 1},
    {"read-line", builtin_read_line, 0, 1},
    {"write-char", builtin_write_char, 1, 2},
    {"newline", builtin_newline, 0, 1},
    {"with-output-to-string", builtin_with_output, 1, 1},
    {"current-output-port", builtin_current_output, 0, 0},
    {"current-input-port", builtin_current_input, 0, 0},
    {"eof-object", builtin_end, 0, 0},
    {"eof-object?", builtin_is_end, 1, 1},
    {"file-exists?", builtin_file_exists, 1, 1},
    {"delete-file", builtin_delete_file, 1, 1},
    {"open-file-count", builtin_open_files, 0, 0},
};

void port_define(void)
{
    store(&lisp.roots.standard_output, port_new(1, PORT_OUTPUT));
    store(&lisp.roots.output, lisp.roots.standard_output);
    store(&lisp.roots.input, port_new(0, PORT_INPUT));
    BUILTINS_DEFINE(rows);
}
