/* args.h - reading command lines by tables of options.
 *
 * Owns:    option names, values and their ranges, --help, messages about wrong use.
 * Not:     what an option means.
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
    ARG_ACCEPTED,                         /* NULL     read and ignored: it is done anyway    */
    ARG_INT,                              /* int *                                           */
    ARG_INT64,                            /* int64_t *                                       */
    ARG_FLOAT,                            /* double *                                        */
    ARG_TEXT,                             /* const char **                                   */
    ARG_LIST,                             /* arg_list *, each use appends its value          */
    ARG_WORD                              /* int *    becomes the index of the value in words */
} arg_kind;

typedef struct arg_list {
    const char **items;                   /* [n]; free() the list, not the texts             */
    size_t       n;
} arg_list;

typedef struct arg {
    const char        *names;             /* "-m, --model"; NULL ends a table                */
    const char        *value;             /* "DIR" for --help; NULL if it takes none         */
    const char        *help;              /* one line, wrapped when shown; empty: not shown  */
    arg_kind           kind;
    void              *target;
    double             lo, hi;            /* least and greatest value of a number            */
    const char *const *words;             /* of ARG_WORD, NULL-terminated                    */
} arg;

#define ARG_END { NULL, NULL, NULL, ARG_ACCEPTED, NULL, 0, 0, NULL }

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

/* Print one line about wrong use of a command; returns EXIT_WRONG_USE. */
int args_wrong(const command *self, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Parse the whole text as an integer or a number; false if it is not one. */
bool args_parse_int(const char *text, int64_t *value);
bool args_parse_float(const char *text, double *value);

#endif
