/* args.c - reading command lines by tables of options. */
#include "args.h"

#include "console.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HELP_COLUMN = 30, HELP_WIDTH = 79 };

int args_wrong(const command *self, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "bamba %s: ", self->name);
    vfprintf(stderr, format, args);
    fprintf(stderr, " (bamba %s --help)\n", self->name);
    va_end(args);
    return EXIT_WRONG_USE;
}

bool args_parse_int(const char *text, int64_t *value)
{
    char *end;
    errno = 0;
    *value = strtoll(text, &end, 10);
    return end != text && *end == '\0' && errno == 0;
}

bool args_parse_float(const char *text, double *value)
{
    char *end;
    *value = strtod(text, &end);
    return end != text && *end == '\0' && *value == *value;
}

/* Whether one of the comma-separated names is text [n]. */
static bool has_name(const char *names, const char *text, size_t n)
{
    for (const char *at = names; *at;) {
        const size_t length = strcspn(at, ",");
        if (length == n && memcmp(at, text, n) == 0) return true;
        at += length;
        at += strspn(at, ", ");
    }
    return false;
}

static const arg *find_arg(const arg *args, const char *text, size_t n)
{
    for (; args->names; args++)
        if (has_name(args->names, text, n)) return args;
    return NULL;
}

static int read_number(const command *self, const arg *a, const char *name, const char *text)
{
    int64_t whole = 0;
    double number = 0.0;
    const bool valid = a->kind == ARG_FLOAT ? args_parse_float(text, &number)
                                            : args_parse_int(text, &whole);

    if (a->kind != ARG_FLOAT) number = (double)whole;
    if (!valid || number < a->lo || number > a->hi)
        return args_wrong(self, "%s: expected %s from %.15g to %.15g, found '%s'", name,
                          a->kind == ARG_FLOAT ? "a number" : "an integer", a->lo, a->hi, text);
    if (a->kind == ARG_INT) *(int *)a->target = (int)whole;
    else if (a->kind == ARG_INT64) *(int64_t *)a->target = whole;
    else *(double *)a->target = number;
    return ARGS_READ;
}

static int read_word(const command *self, const arg *a, const char *name, const char *text)
{
    char known[128] = "";

    for (int i = 0; a->words[i]; i++) {
        if (strcmp(a->words[i], text) == 0) {
            *(int *)a->target = i;
            return ARGS_READ;
        }
        const size_t used = strlen(known);
        snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "", a->words[i]);
    }
    return args_wrong(self, "%s: expected one of %s, found '%s'", name, known, text);
}

static int append(arg_list *list, const char *text)
{
    const char **grown = realloc(list->items, (list->n + 1) * sizeof *grown);
    if (!grown) return console_fail("out of memory");
    list->items = grown;
    list->items[list->n++] = text;
    return ARGS_READ;
}

static int read_value(const command *self, const arg *a, const char *name, const char *text)
{
    switch (a->kind) {
    case ARG_INT:
    case ARG_INT64:
    case ARG_FLOAT: return read_number(self, a, name, text);
    case ARG_WORD:  return read_word(self, a, name, text);
    case ARG_LIST:  return append(a->target, text);
    case ARG_TEXT:  *(const char **)a->target = text; break;
    case ARG_FLAG:  *(bool *)a->target = true; break;
    case ARG_UNFLAG: *(bool *)a->target = false; break;
    case ARG_ACCEPTED: break;
    }
    return ARGS_READ;
}

/* Print words between the columns HELP_COLUMN and HELP_WIDTH; the cursor is at column `at`. */
static void print_wrapped(const char *words, int at)
{
    if (at >= HELP_COLUMN) at = printf("\n") - 1;
    at += printf("%*s", HELP_COLUMN - at, "");
    for (bool first = true; *words; first = false) {
        const int length = (int)strcspn(words, " ");
        if (!first && at + 1 + length > HELP_WIDTH) {
            printf("\n%*s", HELP_COLUMN, "");
            at = HELP_COLUMN;
            first = true;
        }
        at += printf("%s%.*s", first ? "" : " ", length, words);
        words += length;
        words += *words == ' ';
    }
    putchar('\n');
}

static void print_option(const arg *a)
{
    int at = printf("  %s", a->names);
    if (a->value) at += printf(" %s", a->value);
    print_wrapped(a->help, at);
}

static void print_help(const command *self, const arg *args)
{
    printf("usage: bamba %s %s\n\n%s\n\n", self->name, self->usage, self->summary);
    for (; args->names; args++)
        if (*args->help) print_option(args);
    print_wrapped("this text", printf("  -h, --help"));
    if (self->details) printf("\n%s\n", self->details);
}

int args_read(const command *self, const arg *args, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *text = argv[i];
        const char *equals = strncmp(text, "--", 2) == 0 ? strchr(text, '=') : NULL;
        const size_t length = equals ? (size_t)(equals - text) : strlen(text);
        const char *value = equals ? equals + 1 : NULL;

        if (has_name("-h, --help", text, length)) {
            print_help(self, args);
            return console_finish(EXIT_SUCCESS);
        }
        const arg *a = find_arg(args, text, length);
        if (!a)
            return args_wrong(self, "unknown %s '%s'", *text == '-' ? "option" : "argument",
                              text);
        char name[64];
        snprintf(name, sizeof name, "%.*s", (int)length, text);
        if (!a->value && value) return args_wrong(self, "%s takes no value", name);
        if (a->value && !value) {
            if (i + 1 == argc) return args_wrong(self, "%s needs a value: %s", name, a->value);
            value = argv[++i];
        }
        const int code = read_value(self, a, name, value);
        if (code != ARGS_READ) return code;
    }
    return ARGS_READ;
}
