/* args.c - the options of a command, read by its table. */
#include "args.h"

#include "bamba.h"
#include "console.h"
#include "help.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_NAME = 64, MOST_NOTED = 64 };

static bool verbose, quiet, help, version;
static args_visitor *visitor;

const arg args_common[] = {
    ARG_FLAG_ROW("-v, --verbose", &verbose, "say more, also which options are ignored"),
    ARG_FLAG_ROW("-q, --quiet", &quiet, "say nothing but warnings and errors"),
    ARG_FLAG_ROW("-h, --help", &help, "this text"),
    ARG_FLAG_ROW("--version", &version, "the version of the program"),
    ARG_END
};

bool args_verbose(void)
{
    return verbose && !quiet;
}

bool args_quiet(void)
{
    return quiet;
}

void args_visit(args_visitor *fn)
{
    visitor = fn;
}

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

/* ---- names ---- */

void args_compare(const char *text, size_t n, const char *name, size_t n_name, const char **best,
                  int *distance)
{
    int row[3][MOST_NAME];                /* of the table of Levenshtein distances, swaps count 1 */

    if (n >= MOST_NAME || n_name >= MOST_NAME) return;
    for (size_t j = 0; j <= n_name; j++) row[0][j] = (int)j;
    for (size_t i = 1; i <= n; i++) {
        int *now = row[i % 3], *before = row[(i + 2) % 3], *earlier = row[(i + 1) % 3];
        now[0] = (int)i;
        for (size_t j = 1; j <= n_name; j++) {
            int least = before[j - 1] + (text[i - 1] != name[j - 1]);
            if (before[j] + 1 < least) least = before[j] + 1;
            if (now[j - 1] + 1 < least) least = now[j - 1] + 1;
            if (i > 1 && j > 1 && text[i - 1] == name[j - 2] && text[i - 2] == name[j - 1] &&
                earlier[j - 2] + 1 < least) least = earlier[j - 2] + 1;
            now[j] = least;
        }
    }
    if (row[n % 3][n_name] >= *distance) return;
    *distance = row[n % 3][n_name];
    *best = name;
}

/* The row whose comma-separated names have text [n]. */
static const arg *find_arg(const arg *args, const char *text, size_t n)
{
    for (; args->names; args++)
        for (const char *at = args->names; *at;) {
            const size_t length = strcspn(at, ",");
            if (length == n && memcmp(at, text, n) == 0) return args;
            at += length;
            at += strspn(at, ", ");
        }
    return NULL;
}

static void compare_names(const arg *args, const char *text, size_t n, const char **best,
                          int *distance)
{
    for (; args->names; args++)
        for (const char *at = *args->help ? args->names : ""; *at;) {
            const size_t length = strcspn(at, ",");
            args_compare(text, n, at, length, best, distance);
            at += length;
            at += strspn(at, ", ");
        }
}

static int fail_unknown(const command *self, const arg *args, const char *text, size_t n)
{
    const char *best = NULL;
    int distance = n > 6 ? 4 : n > 3 ? 3 : 1;

    if (*text != '-' || n < 2)
        return args_wrong(self, "expected options, found argument '%s'%s", text,
                          find_arg(args, "--prompt", 8) ? "; a text is given with -p" : "");
    compare_names(args, text, n, &best, &distance);
    compare_names(args_common, text, n, &best, &distance);
    if (!best) return args_wrong(self, "unknown option '%.*s'", (int)n, text);
    return args_wrong(self, "unknown option '%.*s', did you mean %.*s?", (int)n, text,
                      (int)strcspn(best, ","), best);
}

/* ---- values ---- */

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

static int find_word(const char *const *words, const char *text, size_t n)
{
    for (int i = 0; words[i]; i++)
        if (strlen(words[i]) == n && memcmp(words[i], text, n) == 0) return i;
    return -1;
}

static int fail_word(const command *self, const arg *a, const char *name, const char *text)
{
    char known[256];

    help_join(known, sizeof known, a->words, ", ");
    return args_wrong(self, "%s: expected one of %s, found '%s'", name, known, text);
}

/* `said` holds for each row the value it was given. */
static int read_word(const command *self, const arg *args, const arg *a, const char *name,
                     const char *text, const char **said)
{
    const int i = find_word(a->words, text, strlen(text));

    if (i < 0) return fail_word(self, a, name, text);
    for (const arg *other = args; other->names; other++)
        if (other != a && other->target == a->target && said[other - args] &&
            strcmp(said[other - args], text) != 0)
            return args_wrong(self, "%s: expected %s as given for %.*s, found '%s'; there is one "
                              "type for both", name, said[other - args],
                              (int)strcspn(other->names, ","), other->names, text);
    said[a - args] = text;
    *(int *)a->target = i;
    return ARGS_READ;
}

static int append(const command *self, const arg *a, const char *name, const char *text)
{
    const char *expected = a->check ? a->check(text) : NULL;
    arg_list   *list = a->target;

    if (expected) return args_wrong(self, "%s: expected %s, found '%s'", name, expected, text);
    const char **grown = realloc(list->items, (list->n + 1) * sizeof *grown);
    if (!grown) return console_fail("out of memory");
    list->items = grown;
    list->items[list->n++] = text;
    return ARGS_READ;
}

static bool all_known(const arg *a, const char *text)
{
    while (a->words) {
        const size_t n = strcspn(text, ",");
        if (find_word(a->words, text, n) < 0) return false;
        if (!text[n]) break;
        text += n + 1;
    }
    return true;
}

static int read_ignored(const command *self, const arg *a, const char *name, const char *text)
{
    if (a->kind == ARG_REFUSED) return args_wrong(self, "%s: %s", name, a->help);
    if (text && !all_known(a, text))
        return args_wrong(self, "%s %s: %s", name, text, a->more ? a->more : a->help);
    return ARGS_READ;
}

/* ---- the command line ---- */

typedef struct reading {
    const command *self;
    const arg     *args;
    const char   **said;                  /* [rows] of args */
    char           noted[MOST_NOTED][MOST_NAME];      /* names of options that were ignored */
    const arg     *noted_arg[MOST_NOTED];
    size_t         n_noted;
} reading;

static int read_value(reading *r, const arg *a, const char *name, const char *text)
{
    switch (a->kind) {
    case ARG_INT:
    case ARG_INT64:
    case ARG_FLOAT:  return read_number(r->self, a, name, text);
    case ARG_WORD:   return read_word(r->self, r->args, a, name, text, r->said);
    case ARG_LIST:   return append(r->self, a, name, text);
    case ARG_TEXT:   *(const char **)a->target = text; break;
    case ARG_FLAG:   *(bool *)a->target = true; break;
    case ARG_UNFLAG: *(bool *)a->target = false; break;
    case ARG_GROUP:  break;
    case ARG_IGNORED:
    case ARG_REFUSED:
        if (r->n_noted < MOST_NOTED) {
            snprintf(r->noted[r->n_noted], MOST_NAME, "%s", name);
            r->noted_arg[r->n_noted++] = a;
        }
        return read_ignored(r->self, a, name, text);
    }
    return ARGS_READ;
}

/* Read the option argv[*i] and its value; *i becomes the last argument used. */
static int read_option(reading *r, int argc, char **argv, int *i)
{
    const char *text = argv[*i];
    const char *equals = strncmp(text, "--", 2) == 0 ? strchr(text, '=') : NULL;
    const size_t length = equals ? (size_t)(equals - text) : strlen(text);
    const char *value = equals ? equals + 1 : NULL;
    char name[MOST_NAME];

    snprintf(name, sizeof name, "%.*s", (int)length, text);
    for (char *c = name; strncmp(name, "--", 2) == 0 && *c; c++)
        if (*c == '_') *c = '-';          /* llama.cpp reads --top_k as --top-k */
    const size_t n_name = length < MOST_NAME ? length : 0;
    const arg *a = find_arg(r->args, name, n_name);
    if (!a) a = find_arg(args_common, name, n_name);
    if (!a) a = find_arg(args_foreign, name, n_name);
    if (!a) return fail_unknown(r->self, r->args, text, length);
    if (!a->value && value) return args_wrong(r->self, "%s takes no value", name);
    if (a->value && !value && *a->value == '[') {
        if (*i + 1 < argc && all_known(a, argv[*i + 1])) value = argv[++*i];
    } else if (a->value && !value && a->kind != ARG_REFUSED) {
        if (*i + 1 == argc) return args_wrong(r->self, "%s needs a value: %s", name, a->value);
        value = argv[++*i];
    }
    return read_value(r, a, name, value);
}

int args_read(const command *self, const arg *args, int argc, char **argv)
{
    reading r = { .self = self, .args = args };
    size_t n = 1;
    int code = ARGS_READ;

    if (visitor) {
        visitor(self, args);
        return EXIT_SUCCESS;
    }
    verbose = quiet = help = version = false;         /* what an earlier call has read */
    for (const arg *a = args; a->names; a++) n++;
    r.said = calloc(n, sizeof *r.said);
    if (!r.said) return console_fail("out of memory");
    for (int i = 1; i < argc && code == ARGS_READ && !help && !version; i++)
        code = read_option(&r, argc, argv, &i);
    free(r.said);
    if (code != ARGS_READ) return code;
    if (help) help_print(self, args);
    if (version) printf("bamba %s\n", bamba_version());
    if (help || version) return console_finish(EXIT_SUCCESS);
    for (size_t i = 0; i < r.n_noted && args_verbose(); i++)
        console_say("%s is ignored: %s", r.noted[i], r.noted_arg[i]->help);
    return ARGS_READ;
}
