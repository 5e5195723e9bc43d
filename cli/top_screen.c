/*
 * The live view: a list of processes, and over it, for the chosen one, its ledger.
 *
 * A loop of one thread: draw, wait for a key until the next sample is due, act. The ledger costs a walk
 * of the process's page tables, so it is read again after twenty times what it took, at the earliest: a
 * twentieth of one processor, whatever the size of the process. The same holds for finding out who is on
 * which malloc, which of a program with many symbols takes a tenth of a second. Lines on stderr, such as refusals, would
 * fall into the picture: they go to a file and are shown in the last line.
 */
#include <locale.h>
#include <ncurses.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "clock.h"
#include "map.h"
#include "top.h"

enum { SHARE = 20, ESCAPE = 27, DELAY_MIN = 100, DELAY_MAX = 60000 };

struct screen {
    struct top *top;
    unsigned delay_ms;
    bool utf8, end, paused;
    pid_t chosen;
    size_t first;                   /* of the list, at the top of the screen */
    bool ledger;                    /* the chosen process's ledger is shown */
    char *text;                     /* of it */
    uint64_t ledger_ns, ledger_due; /* what it took; when it is read again */
    uint64_t look_due;              /* when the next process may be looked at */
    int own_stderr, lines_fd;
    char message[256];
};

/* ---- lines that are said meanwhile ------------------------------------------------------------- */

static void stderr_divert(struct screen *s)
{
    s->lines_fd = memfd_create("freehold-top", MFD_CLOEXEC);
    s->own_stderr = dup(STDERR_FILENO);
    if (s->lines_fd >= 0) dup2(s->lines_fd, STDERR_FILENO);
}

static void stderr_restore(struct screen *s)
{
    if (s->own_stderr >= 0) dup2(s->own_stderr, STDERR_FILENO);
    if (s->own_stderr >= 0) close(s->own_stderr);
    if (s->lines_fd >= 0) close(s->lines_fd);
}

/* Takes what was said since, cleaned, as the message. */
static void take_message(struct screen *s)
{
    char text[sizeof s->message];
    ssize_t n = pread(s->lines_fd, text, sizeof text - 1, 0);
    if (n <= 0) return;
    text[n] = 0;
    text[strcspn(text, "\n")] = 0;
    human_clean(s->message, sizeof s->message, text);
    if (ftruncate(s->lines_fd, 0) == 0) lseek(s->lines_fd, 0, SEEK_SET);
}

/* ---- the chosen process ------------------------------------------------------------------------ */

static size_t chosen_index(const struct screen *s)
{
    for (size_t i = 0; i < s->top->count; i++) {
        if (s->top->list[i].pid == s->chosen) return i;
    }
    return 0;
}

static void choose(struct screen *s, size_t index)
{
    if (s->top->count == 0) return;
    if (index >= s->top->count) index = s->top->count - 1;
    s->chosen = s->top->list[index].pid;
}

static void move_by(struct screen *s, long steps)
{
    long index = (long)chosen_index(s) + steps;
    choose(s, index < 0 ? 0 : (size_t)index);
}

/* ---- ledger ------------------------------------------------------------------------------------ */

static void ledger_close(struct screen *s)
{
    free(s->text);
    s->text = NULL;
    s->ledger = false;
}

static void ledger_refresh(struct screen *s)
{
    static struct ledger ledger;
    struct palette plain = {"", "", "", "", "", ""};
    size_t size;
    if (!s->ledger || clock_ns() < s->ledger_due) return;
    int status = ledger_read(&ledger, s->chosen, "top", 1);
    if (status == 0) {
        free(s->text);
        s->text = NULL;
        FILE *out = open_memstream(&s->text, &size);
        if (out) {
            map_show(&ledger, out, &plain);
            fclose(out);
        }
    } else {
        ledger_close(s);
    }
    s->ledger_ns = ledger.took_ns;
    s->ledger_due = clock_ns() + SHARE * s->ledger_ns;
    ledger_finish(&ledger);
    take_message(s);
}

static void ledger_open(struct screen *s)
{
    s->chosen = s->top->count ? s->top->list[chosen_index(s)].pid : 0;
    s->ledger = s->chosen != 0;
    s->ledger_due = 0;
    *s->message = 0;
}

/* ---- drawing ----------------------------------------------------------------------------------- */

static void draw_keys(const struct screen *s)
{
    attron(A_DIM);
    if (*s->message)
        mvaddnstr(LINES - 1, 0, s->message, COLS);
    else if (s->ledger)
        mvprintw(LINES - 1, 0, "b back  q quit    read in %.1f ms, again after %u times that",
                 (double)s->ledger_ns / 1e6, SHARE);
    else
        mvprintw(LINES - 1, 0, "up down choose  m map  s sort  p %s  + - every %.1f s  q quit",
                 s->paused ? "go on" : "pause", (double)s->delay_ms / 1000);
    attroff(A_DIM);
}

static void draw_list(struct screen *s)
{
    char line[512];
    size_t rows = LINES > 3 ? (size_t)LINES - 3 : 0, at = chosen_index(s);
    if (at < s->first) s->first = at;
    if (rows && at >= s->first + rows) s->first = at - rows + 1;
    attron(A_REVERSE);
    mvprintw(1, 0, "%-*.*s", COLS, COLS, top_header());
    attroff(A_REVERSE);
    for (size_t i = 0; i < rows && s->first + i < s->top->count; i++) {
        const struct top_process *p = &s->top->list[s->first + i];
        top_line(p, line, sizeof line, s->utf8);
        if (s->first + i == at) attron(A_BOLD);
        mvaddstr((int)i + 2, 0, s->first + i == at ? ">" : " ");
        mvaddnstr((int)i + 2, 1, line + 1, -1);
        if (s->first + i == at) attroff(A_BOLD);
    }
}

static void draw_ledger(const struct screen *s)
{
    char line[512];
    int row = 3;
    const struct top_process *p = &s->top->list[chosen_index(s)];
    mvaddstr(1, 0, top_header());
    top_line(p, line, sizeof line, s->utf8);
    mvaddstr(2, 0, line);
    for (const char *at = s->text; at && *at && row < LINES - 1;) {
        size_t length = strcspn(at, "\n");
        mvaddnstr(++row - 1, 0, at, (int)length < COLS ? (int)length : COLS);
        at += length + (at[length] != 0);
    }
}

static void draw(struct screen *s)
{
    char title[512];
    erase();
    top_title(s->top, title, sizeof title);
    attron(A_BOLD);
    mvaddnstr(0, 0, title, COLS);
    attroff(A_BOLD);
    if (s->ledger && s->top->count)
        draw_ledger(s);
    else
        draw_list(s);
    draw_keys(s);
    refresh();
}

/* ---- keys -------------------------------------------------------------------------------------- */

static void change_delay(struct screen *s, bool longer)
{
    s->delay_ms = longer ? s->delay_ms * 2 : s->delay_ms / 2;
    if (s->delay_ms < DELAY_MIN) s->delay_ms = DELAY_MIN;
    if (s->delay_ms > DELAY_MAX) s->delay_ms = DELAY_MAX;
}

static void go_back(struct screen *s)
{
    if (s->top->only || !s->ledger)
        s->end = true;
    else
        ledger_close(s);
}

static void act(struct screen *s, int key)
{
    long page = LINES > 4 ? LINES - 4 : 1;
    *s->message = 0;
    switch (key) {
    case 'q': s->end = true; break;
    case 'b':
    case ESCAPE: go_back(s); break;
    case KEY_UP:
    case 'k': move_by(s, -1); break;
    case KEY_DOWN:
    case 'j': move_by(s, 1); break;
    case KEY_PPAGE: move_by(s, -page); break;
    case KEY_NPAGE: move_by(s, page); break;
    case KEY_HOME: choose(s, 0); break;
    case KEY_END: choose(s, SIZE_MAX); break;
    case 's': s->top->order = (s->top->order + 1) % TOP_ORDERS; break;
    case 'p': s->paused = !s->paused; break;
    case '+': change_delay(s, true); break;
    case '-': change_delay(s, false); break;
    case 'm':
    case KEY_ENTER:
    case '\n': ledger_open(s); break;
    default: break;
    }
    top_sort(s->top);
}

/* ---- the loop ---------------------------------------------------------------------------------- */

/* The first on the screen that was not looked at and is there for the second time: most of those that
 * end at once need not be looked at. */
static struct top_process *to_look_at(const struct screen *s)
{
    size_t end = s->first + (size_t)LINES;
    for (size_t i = s->first; i < s->top->count && i < end; i++) {
        struct top_process *p = &s->top->list[i];
        if (!p->looked && p->samples > 1) return p;
    }
    return NULL;
}

static void look_if_due(struct screen *s)
{
    uint64_t began = clock_ns();
    struct top_process *p = began < s->look_due ? NULL : to_look_at(s);
    if (!p) return;
    top_look(p);
    s->look_due = clock_ns() + SHARE * (clock_ns() - began);
}

/* Waits for a key, not beyond the next sample, nor beyond the next look. */
static int wait_for_key(const struct screen *s)
{
    uint64_t now = clock_ns(), due = s->top->taken_ns + (uint64_t)s->delay_ms * 1000000;
    if (s->paused) due = now + 1000000000;
    if (s->look_due < due && to_look_at(s)) due = s->look_due;
    timeout(now < due ? (int)((due - now) / 1000000) + 1 : 0);
    return getch();
}

static bool sample_if_due(struct screen *s)
{
    uint64_t due = s->top->taken_ns + (uint64_t)s->delay_ms * 1000000;
    if (s->paused || clock_ns() < due) return true;
    bool good = top_sample(s->top);
    top_sort(s->top);
    if (s->ledger && s->top->count && s->top->list[chosen_index(s)].pid != s->chosen) {
        ledger_close(s);
        snprintf(s->message, sizeof s->message, "process %d has ended", (int)s->chosen);
    }
    return good && (s->top->count > 0 || !s->top->only);
}

static void run(struct screen *s)
{
    choose(s, 0);
    if (s->top->only) ledger_open(s);
    while (!s->end) {
        if (!sample_if_due(s)) return;
        ledger_refresh(s);
        draw(s);
        int key = wait_for_key(s);
        if (key == ERR)
            look_if_due(s);
        else
            act(s, key);
    }
}

bool top_screen(struct top *top, unsigned delay_ms, int *status)
{
    struct screen s = {.top = top, .delay_ms = delay_ms, .utf8 = human_utf8()};
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) return false;
    setlocale(LC_ALL, "");
    SCREEN *terminal = newterm(NULL, stdout, stdin);
    if (!terminal) return false;
    cbreak();
    noecho();
    curs_set(0);
    keypad(stdscr, TRUE);
    set_escdelay(50);
    stderr_divert(&s);
    run(&s);
    stderr_restore(&s);
    endwin();
    delscreen(terminal);
    free(s.text);
    *status = 0;
    if (top->only && top->count == 0)
        fprintf(stderr, "freehold: process %d has ended\n", (int)top->only);
    return true;
}
