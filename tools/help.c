/* help.c - --help: what a command is for and its options. */
#include "help.h"

#include <stdio.h>
#include <string.h>

enum { HELP_COLUMN = 30, HELP_WIDTH = 79, MOST_PHRASE = 512 };

void help_join(char *out, size_t size, const char *const *words, const char *between)
{
    size_t used = 0;

    *out = '\0';
    for (; *words && used < size; words++)
        if (strcmp(*words, "default") != 0)
            used += (size_t)snprintf(out + used, size - used, "%s%s", used ? between : "", *words);
}

void help_phrase(const arg *a, char *out, size_t size)
{
    char words[256] = "";

    if (a->words && a->kind != ARG_IGNORED) help_join(words, sizeof words, a->words, ", ");
    snprintf(out, size, "%s%s%s%s%s%s", a->help, *words ? ": " : "", words,
             a->usual ? " (default: " : "", a->usual ? a->usual : "", a->usual ? ")" : "");
}

bool help_next_name(const char **at, char *name, size_t size)
{
    const size_t n = strcspn(*at, ",");

    if (n == 0) return false;
    snprintf(name, size, "%.*s", (int)n, *at);
    *at += n;
    *at += strspn(*at, ", ");
    return true;
}

/* Print words between the columns `left` and HELP_WIDTH, two spaces or more behind column `at`,
   where the cursor is. */
static void print_wrapped(const char *words, int at, int left)
{
    if (left && at + 2 > left) at = printf("\n") - 1;
    at += printf("%*s", left - at, "");
    for (bool first = true; *words; first = false) {
        const int length = (int)strcspn(words, " ");
        if (!first && at + 1 + length > HELP_WIDTH) {
            printf("\n%*s", left, "");
            at = left;
            first = true;
        }
        at += printf("%s%.*s", first ? "" : " ", length, words);
        words += length;
        words += *words == ' ';
    }
    putchar('\n');
}

static void print_rows(const arg *a)
{
    char phrase[MOST_PHRASE];

    for (; a->names; a++) {
        if (a->kind == ARG_GROUP) printf("\n%s:\n", a->help);
        if (a->kind == ARG_GROUP || !*a->help) continue;
        int at = printf("  %s", a->names);
        if (a->value) at += printf(" %s", a->value);
        help_phrase(a, phrase, sizeof phrase);
        print_wrapped(phrase, at, HELP_COLUMN);
    }
}

void help_print(const command *self, const arg *args)
{
    char usage[MOST_PHRASE];

    snprintf(usage, sizeof usage, "usage: bamba %s %s", self->name, self->usage);
    print_wrapped(usage, 0, 0);
    printf("\n%s\n\n", self->summary);
    print_rows(args);
    printf("\nAll commands:\n");
    print_rows(args_common);
    if (!self->details) return;
    putchar('\n');
    print_wrapped(self->details, 0, 0);
}
