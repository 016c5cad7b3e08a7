/* value.h - what the variables of a template hold: Python's values, as far as templates see them.
 *
 * Owns:    kinds; lists, dictionaries; truth, equality, order, names of types.
 * Not:     texts (passage.h); how values are written (show.h); attributes (attribute.c).
 * Errors:  sticky, as work.h.
 */
#ifndef BB_CHAT_VALUE_H
#define BB_CHAT_VALUE_H

#include "chat/passage.h"

typedef enum bb_value_kind {
    BB_MISSING,                           /* no value: an argument that was not given            */
    BB_UNDEFINED,
    BB_NONE,
    BB_BOOL,
    BB_INT,
    BB_BIG,                               /* an integer beyond 64 bits, as it was written        */
    BB_FLOAT,
    BB_TEXT,
    BB_LIST,
    BB_TUPLE,
    BB_RANGE,
    BB_VIEW,                              /* dict.keys(), .values(), .items()                    */
    BB_STREAM,                            /* a generator: can be walked once                     */
    BB_DICT,
    BB_NAMESPACE,
    BB_LOOP,                              /* the variable `loop`                                 */
    BB_MACRO,
    BB_METHOD,                            /* a method with its object                            */
    BB_FUNCTION
} bb_value_kind;

typedef struct bb_value bb_value;

/* Why a value is undefined, for the message of who uses it. */
typedef struct bb_undefined {
    const char       *hint;               /* the whole message, or NULL                          */
    const bb_passage *name;
    const char       *owner;              /* type of the object that lacks it; NULL: a variable  */
    bool              is_unsafe;          /* it exists, but templates must not use it            */
} bb_undefined;

typedef struct bb_list {
    bb_value *item;                       /* [n] of [capacity]                                   */
    size_t    n, capacity;
    size_t    at;                         /* of a stream: the next                               */
    int64_t   begin, end, step;           /* of a range                                          */
    const char *view;                     /* "dict_items"; of a tuple: "group" if its two have
                                             names, as groupby gives them; or NULL               */
} bb_list;

typedef struct bb_dict {
    struct bb_pair *pair;                 /* [n] of [capacity], in the order of insertion        */
    size_t          n, capacity;
} bb_dict;

struct bb_value {
    bb_value_kind kind;
    union {
        bool                is_true;
        int64_t             integer;
        double              number;
        const bb_passage   *text;         /* also of BB_BIG                                      */
        bb_list            *list;         /* list, tuple, range, view, stream                    */
        bb_dict            *dict;         /* dictionary, namespace                               */
        const bb_undefined *undefined;    /* may be NULL                                         */
        struct bb_loop     *loop;
        const struct bb_macro  *macro;
        const struct bb_method *method;
        const struct bb_builtin *function;
    } is;
};

typedef struct bb_pair {
    bb_value key, value;
    uint32_t hash;
} bb_pair;

#define BB_VALUE(k)   ((bb_value){ .kind = (k) })

bb_value bb_bool(bool v);
bb_value bb_int(int64_t v);
bb_value bb_float(double v);
bb_value bb_text(const bb_passage *p);
bb_value bb_text_of(bb_work *w, const char *s);        /* s: a literal */

bool bb_is_text(bb_value v);
bool bb_is_number(bb_value v);            /* bool, int, float; not beyond 64 bits                */
bool bb_is_sequence(bb_value v);          /* has `list`                                          */
double bb_number(bb_value v);             /* of a number                                         */
int64_t bb_integer(bb_value v);           /* of a bool or int                                    */
bool bb_is_integer(bb_value v);           /* bool, int                                           */

/* "str", "NoneType", … */
const char *bb_kind_name(bb_value v);

bool bb_truth(bb_value v);
bool bb_equal(bb_work *w, bb_value a, bb_value b);
/* < 0, 0, > 0; fails for values without an order. op: for the message, "<". */
int  bb_compare(bb_work *w, bb_value a, bb_value b, const char *op);

bb_value bb_list_new(bb_work *w, bb_value_kind kind);
void     bb_list_push(bb_work *w, bb_value list, bb_value item);
bb_value bb_tuple2(bb_work *w, bb_value a, bb_value b);

bb_value  bb_dict_new(bb_work *w);
/* Fails for a key that has no hash: a list, a dictionary. */
void      bb_dict_set(bb_work *w, bb_dict *d, bb_value key, bb_value value);
/* The value of a key, or NULL. */
bb_value *bb_dict_find(bb_work *w, const bb_dict *d, bb_value key);
bb_value *bb_dict_find_text(const bb_dict *d, const char *key);

/* The items that walking a value gives, as a list; fails where Python says "not iterable". A
   stream's are used up. */
bb_value bb_items(bb_work *w, bb_value v);

/* Use an undefined value where that is an error. Fails, and returns undefined. */
bb_value bb_fail_undefined(bb_work *w, bb_value v);

/* Sort a list in place, stable, by a key for each item [n], which is sorted beside it. */
void bb_sort_items(bb_work *w, bb_value *key, bb_value *item, size_t n, bool reverse);

#endif
