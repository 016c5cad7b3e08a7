/* args.h - the options of a command, in one table.
 *
 * Owns:    option names, values and their ranges, messages about wrong use; options that all
 *          commands have; options of llama.cpp that change nothing here, or cannot be had.
 * Not:     what an option does; what is made of the tables for readers and shells (help.h).
 *
 * An option's value is the next argument or stands after '=' (--temp 0.8, --temp=0.8).
 */
#ifndef BAMBA_TOOLS_ARGS_H
#define BAMBA_TOOLS_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum arg_kind {
    ARG_FLAG,                             /* bool *   becomes true                           */
    ARG_UNFLAG,                           /* bool *   becomes false                          */
    ARG_INT,                              /* int *                                           */
    ARG_INT64,                            /* int64_t *                                       */
    ARG_FLOAT,                            /* double *                                        */
    ARG_TEXT,                             /* const char **; words are no more than proposed  */
    ARG_LIST,                             /* arg_list *, each use appends its value          */
    ARG_WORD,                             /* int *    becomes the index of the value in words;
                                             two rows of one target must agree               */
    ARG_IGNORED,                          /* NULL     changes nothing: `help` says why. With words:
                                             only one of them, or several with commas        */
    ARG_REFUSED,                          /* NULL     would change the result: `help` says why */
    ARG_GROUP                             /* no option: `help` heads the rows below          */
} arg_kind;

typedef struct arg_list {
    const char **items;                   /* [n]; free() the list, not the texts             */
    size_t       n;
} arg_list;

/* Made by the macros below; further members may follow the last argument: ARG_FLAG_ROW("--json",
   &json, "one JSON object", .more = "..."). */
typedef struct arg {
    const char        *names;             /* "-m, --model"; NULL ends a table                */
    const char        *value;             /* "N"; NULL: takes none. What begins with DIR, FILE,
                                             PATH or SHAPE is completed as such; "[on|off]" may
                                             be absent (only of ARG_IGNORED)                 */
    const char        *help;              /* a phrase; empty: not shown                      */
    const char        *usual;             /* what holds without the option, or NULL          */
    const char        *more;              /* sentences for the man page, or NULL             */
    arg_kind           kind;
    void              *target;
    double             lo, hi;            /* least and greatest value of a number            */
    const char *const *words;             /* choices, NULL-terminated; "default" is not shown */
    const char *(*check)(const char *value);          /* of a list: says what was expected in place
                                             of a value, NULL of a good one. NULL: all are good */
} arg;

#define ARG_ROW(n, v, k, t, ...) \
    { .names = n, .value = v, .kind = k, .target = t, .help = __VA_ARGS__ }
#define ARG_FLAG_ROW(names, target, ...)   ARG_ROW(names, NULL, ARG_FLAG, target, __VA_ARGS__)
#define ARG_UNFLAG_ROW(names, target, ...) ARG_ROW(names, NULL, ARG_UNFLAG, target, __VA_ARGS__)
#define ARG_TEXT_ROW(names, value, target, ...) ARG_ROW(names, value, ARG_TEXT, target, __VA_ARGS__)
#define ARG_LIST_ROW(names, value, target, ...) ARG_ROW(names, value, ARG_LIST, target, __VA_ARGS__)
#define ARG_WORD_ROW(names, value, target, choices, ...) \
    ARG_ROW(names, value, ARG_WORD, target, __VA_ARGS__, .words = choices)
#define ARG_NUMBER_ROW(kind, names, value, target, least, greatest, ...) \
    ARG_ROW(names, value, kind, target, __VA_ARGS__, .lo = least, .hi = greatest)
#define ARG_INT_ROW(...)                   ARG_NUMBER_ROW(ARG_INT, __VA_ARGS__)
#define ARG_IGNORED_ROW(names, value, why) ARG_ROW(names, value, ARG_IGNORED, NULL, why)
#define ARG_HEAD(text)                     ARG_ROW("", NULL, ARG_GROUP, NULL, text)
#define ARG_END                            { .names = NULL }

typedef struct command {
    const char *name;
    const char *summary;                  /* one line for bamba --help                       */
    const char *usage;                    /* after "bamba name"                              */
    const char *details;                  /* paragraph under the options, or NULL            */
    int       (*run)(const struct command *self, int argc, char **argv);
} command;

enum { ARGS_READ = -1 };

/* Read argv[1 ...] into the targets of the table. Returns ARGS_READ, or an exit code after --help
   and after wrong use, which is reported. */
int args_read(const command *self, const arg *args, int argc, char **argv);

/* Until the next call, args_read only hands its table to fn (NULL: reads again) and returns
   EXIT_SUCCESS: a command's run gives its table away without doing anything. */
typedef void args_visitor(const command *self, const arg *args);
void args_visit(args_visitor *fn);

extern const arg args_common[];           /* --help, --version, -v, -q                       */
extern const arg args_foreign[];          /* of llama.cpp, read behind a command's own       */

/* Whether -v was given, or -q. Known once args_read has returned. */
bool args_verbose(void);
bool args_quiet(void);

/* Print one line about wrong use of a command; returns EXIT_WRONG_USE. */
int args_wrong(const command *self, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Of two names of what was meant, remember in *best the nearer one to text [n]; *distance begins
   with the largest that is worth saying, plus one. */
void args_compare(const char *text, size_t n, const char *name, size_t n_name, const char **best,
                  int *distance);

/* Parse the whole text as an integer or a number; false if it is not one. */
bool args_parse_int(const char *text, int64_t *value);
bool args_parse_float(const char *text, double *value);

#endif
