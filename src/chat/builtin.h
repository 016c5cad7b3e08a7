/* builtin.h - the filters, tests, functions and methods that templates find ready.
 *
 * Owns:    their tables: names and parameters; binding arguments to parameters.
 * Not:     their order of evaluation (evaluate.c).
 */
#ifndef BB_CHAT_BUILTIN_H
#define BB_CHAT_BUILTIN_H

#include "chat/value.h"

typedef struct bb_render bb_render;

typedef struct bb_arguments {
    bb_value *value;                      /* [n] by position                                   */
    size_t    n;
    bb_pair  *named;                      /* [n_named], keys are texts                         */
    size_t    n_named;
} bb_arguments;

enum { BB_PARAMETERS_MOST = 6 };

/* value [BB_PARAMETERS_MOST] is what was bound, BB_MISSING where nothing was; for a filter, test
   or method the first is what it works on. */
typedef bb_value bb_builtin_fn(bb_render *r, bb_value *value, const bb_arguments *rest);

typedef struct bb_builtin {
    const char    *name;
    bb_builtin_fn *fn;
    const char    *parameters;            /* "old new count?": names, "?" behind what may be
                                             absent; "*": any number more, which are in `rest` */
} bb_builtin;

typedef struct bb_method {
    bb_value          self;
    const bb_builtin *builtin;
} bb_method;

/* Tables, ended by a name of NULL. */
extern const bb_builtin bb_text_filters[], bb_list_filters[], bb_value_filters[];
extern const bb_builtin bb_value_tests[], bb_functions[], bb_text_methods[], bb_case_methods[];
extern const bb_builtin bb_dict_methods[], bb_list_methods[], bb_tuple_methods[];
extern const bb_builtin bb_loop_methods[];

typedef const bb_builtin *const bb_tables[4];         /* ended by NULL */
extern bb_tables bb_filters, bb_tests, bb_function_tables, bb_methods_of_texts;

/* Find a name in tables, or NULL. */
const bb_builtin *bb_builtin_find(const bb_builtin *const *tables, const bb_passage *name);
/* Whether Jinja has a filter, or test, of a name that the tables lack. */
bool bb_builtin_is_known(bool is_test, const bb_passage *name);

/* Bind arguments behind `first` (BB_MISSING: there is none) and call. */
bb_value bb_builtin_call(bb_render *r, const bb_builtin *builtin, bb_value first,
                         const bb_arguments *arguments);

/* What functions use of the evaluator: */
bb_work *bb_render_work(bb_render *r);
/* x.name, x['name'] and x[key] as templates see them. */
bb_value bb_attribute(bb_work *w, bb_value x, const bb_passage *name);
bb_value bb_item(bb_work *w, bb_value x, bb_value key);
/* Walk a dotted path, as filters take it: "address.city", "0". What is undefined on the way becomes
   the fallback; none if that is BB_MISSING or None. */
bb_value bb_path(bb_work *w, bb_value x, bb_value path, bb_value fallback);
bb_value bb_slice(bb_work *w, bb_value x, const bb_value bound[3]);
bb_value bb_binary(bb_work *w, int op, bb_value a, bb_value b);
bool     bb_contains(bb_work *w, bb_value x, bb_value where);
bb_value bb_undefined_attribute(bb_work *w, bb_value owner, const bb_passage *name, bool is_unsafe);
bb_value bb_undefined_hint(bb_work *w, const char *hint);

/* Texts of the arguments of filters and methods; fails where Python has a TypeError. */
const bb_passage *bb_want_text(bb_work *w, bb_value v);
int64_t           bb_want_integer(bb_work *w, bb_value v, int64_t fallback);
/* str(v) */
const bb_passage *bb_string(bb_work *w, bb_value v);

/* `text % values`, and text.format(...). */
bb_value bb_percent(bb_work *w, const bb_passage *text, bb_value values);
bb_value bb_format(bb_work *w, const bb_passage *text, const bb_arguments *arguments);
/* Python's round(x, decimals) of a number, or of an integer of any size: of two as near the even
   one. */
bb_value bb_round(bb_work *w, bb_value x, int64_t decimals);

#endif
