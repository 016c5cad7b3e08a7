/* help.h - what is made of the option tables: --help, the man page, completions of shells.
 *
 * Owns:    all text about commands and options that a reader or a shell gets.
 * Not:     the tables (args.h, and each command), reading a command line.
 */
#ifndef BAMBA_TOOLS_HELP_H
#define BAMBA_TOOLS_HELP_H

#include "args.h"

void help_print(const command *self, const arg *args);

/* Write words to out, those but "default", with `between` between them. */
void help_join(char *out, size_t size, const char *const *words, const char *between);

/* Write what an option is: its phrase, its choices, what is usual. */
void help_phrase(const arg *a, char *out, size_t size);

/* Copy the next of the comma-separated names at *at to name [size] and move *at behind it; false at
   the end. */
bool help_next_name(const char **at, char *name, size_t size);

/* The man page, and completion for bash, zsh and fish, of all commands, on stdout. */
void help_man(void);
void help_bash(void);
void help_zsh(void);
void help_fish(void);

#endif
