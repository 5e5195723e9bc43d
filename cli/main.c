/* The command `freehold`: finds the command that its first argument names. */
#include <stdio.h>
#include <string.h>

#include <freehold/freehold.h>

#include "cli.h"

static const struct command {
    const char *name;
    const char *usage; /* the name in its usage line and messages */
    const char *what;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"run", "freehold run", "run a program on Freehold and tell what its memory did", command_run},
    {"which", "freehold which", "tell which allocator a process really uses", command_which},
    {"leaks", "freehold leaks", "find memory that a process has lost, also before we came",
     command_leaks},
    {"doctor", "freehold doctor", "tell what on this machine will bite", command_doctor},
    {"check", "freehold check", "run a program and hold it to a memory contract", command_check},
    {"compare", "freehold compare", "run a program on every allocator here and tell the best",
     command_compare},
    {"map", "freehold map", "tell where every resident byte of a process belongs", command_map},
    {"top", "freehold top", "watch the memory of all processes", command_top},
    {"plug", "freehold plug", "give back what a running process on Freehold has lost",
     command_plug},
    {"gc", "freehold gc", "run a program of the Boehm collector on Freehold's", command_gc},
};

enum { COMMANDS = sizeof commands / sizeof *commands };

static void help(FILE *out)
{
    fputs("Usage: freehold COMMAND [OPTION...]\n\n", out);
    for (size_t i = 0; i < COMMANDS; i++)
        fprintf(out, "  %-8s %s\n", commands[i].name, commands[i].what);
    fputs("\nThe main job:\n\n  freehold run -- PROG ARGS\n\n"
          "`freehold COMMAND --help` tells the options of a command, freehold(1) the rest.\n",
          out);
}

static const struct command *command_find(const char *name)
{
    for (size_t i = 0; i < COMMANDS; i++) {
        if (strcmp(commands[i].name, name) == 0) return &commands[i];
    }
    return NULL;
}

static bool is_one_of(const char *word, const char *a, const char *b)
{
    return strcmp(word, a) == 0 || strcmp(word, b) == 0;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        help(stderr);
        return STATUS_USAGE;
    }
    if (is_one_of(argv[1], "--version", "-V"))
        return output_end(puts("freehold " FH_VERSION_TEXT) < 0);
    if (is_one_of(argv[1], "--help", "-h") || strcmp(argv[1], "help") == 0) {
        help(stdout);
        return output_end(0);
    }
    const struct command *command = command_find(argv[1]);
    if (!command)
        return refuse(STATUS_USAGE, "there is no command '%s'; freehold --help lists them",
                      argv[1]);
    argv[1] = (char *)command->usage;
    return command->run(argc - 1, argv + 1);
}
