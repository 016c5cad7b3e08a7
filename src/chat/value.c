/* value.c - what the variables of a template hold. */
#include "chat/value.h"

#include <math.h>
#include <stdio.h>

bb_value bb_bool(bool v) { return (bb_value){ .kind = BB_BOOL, .is.is_true = v }; }
bb_value bb_int(int64_t v) { return (bb_value){ .kind = BB_INT, .is.integer = v }; }
bb_value bb_float(double v) { return (bb_value){ .kind = BB_FLOAT, .is.number = v }; }
bb_value bb_text(const bb_passage *p) { return (bb_value){ .kind = BB_TEXT, .is.text = p }; }

bb_value bb_text_of(bb_work *w, const char *s)
{
    return bb_text(bb_passage_of(w, s, strlen(s)));
}

bool bb_is_text(bb_value v) { return v.kind == BB_TEXT; }
bool bb_is_integer(bb_value v) { return v.kind == BB_BOOL || v.kind == BB_INT; }
bool bb_is_number(bb_value v) { return bb_is_integer(v) || v.kind == BB_FLOAT; }
bool bb_is_sequence(bb_value v) { return v.kind >= BB_LIST && v.kind <= BB_STREAM; }

int64_t bb_integer(bb_value v)
{
    return v.kind == BB_BOOL ? v.is.is_true : v.is.integer;
}

double bb_number(bb_value v)
{
    return v.kind == BB_FLOAT ? v.is.number : (double)bb_integer(v);
}

const char *bb_kind_name(bb_value v)
{
    static const char *const names[] = {
        [BB_MISSING] = "nothing", [BB_UNDEFINED] = "Undefined", [BB_NONE] = "NoneType",
        [BB_BOOL] = "bool", [BB_INT] = "int", [BB_BIG] = "int", [BB_FLOAT] = "float",
        [BB_TEXT] = "str", [BB_LIST] = "list", [BB_TUPLE] = "tuple", [BB_RANGE] = "range",
        [BB_STREAM] = "generator", [BB_DICT] = "dict", [BB_NAMESPACE] = "Namespace",
        [BB_LOOP] = "LoopContext", [BB_MACRO] = "Macro",
        [BB_METHOD] = "builtin_function_or_method", [BB_FUNCTION] = "function",
    };
    return v.kind == BB_VIEW ? v.is.list->view : names[v.kind];
}

bool bb_truth(bb_value v)
{
    switch (v.kind) {
    case BB_MISSING:
    case BB_UNDEFINED:
    case BB_NONE:  return false;
    case BB_BOOL:  return v.is.is_true;
    case BB_INT:   return v.is.integer != 0;
    case BB_FLOAT: return v.is.number != 0;      /* NaN is true */
    case BB_TEXT:  return v.is.text->n > 0;
    case BB_LIST:
    case BB_TUPLE:
    case BB_RANGE:
    case BB_VIEW:  return v.is.list->n > 0;
    case BB_DICT:  return v.is.dict->n > 0;
    default:       return true;
    }
}

/* -------------------------------------------------------------- comparing ---------------- */

static bool is_any_number(bb_value v)
{
    return v.kind == BB_BIG || bb_is_number(v);
}

static int order(double a, double b)
{
    return (a > b) - (a < b);
}

static int order_integers(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

/* Of two integers as written, of which one is beyond 64 bits. */
static int order_big(bb_value a, bb_value b)
{
    const bb_passage *x = a.kind == BB_BIG ? a.is.text : NULL;
    const bb_passage *y = b.kind == BB_BIG ? b.is.text : NULL;
    const bool        x_negative = x && x->s[0] == '-';
    const bool        y_negative = y && y->s[0] == '-';

    if (!x) return y_negative ? 1 : -1;
    if (!y) return x_negative ? -1 : 1;
    if (x_negative != y_negative) return x_negative ? -1 : 1;
    const int larger = x->n == y->n ? memcmp(x->s, y->s, x->n) : order((double)x->n, (double)y->n);
    return x_negative ? -larger : larger;
}

/* Of an integer beyond 64 bits and a fraction, exactly: those as large are whole. It may take some
   300 digits. */
static int order_big_float(bb_work *w, bb_value big, double x, bool *comparable)
{
    char             digits[400];
    const bb_passage p = { .s = digits, .n = (size_t)snprintf(digits, sizeof digits, "%.0f", x) };

    bb_step(w, 16);
    *comparable = !isnan(x);
    if (isinf(x)) return x < 0 ? 1 : -1;
    if (fabs(x) < 9223372036854775808.0) return order_big(big, bb_int(0));
    return order_big(big, (bb_value){ .kind = BB_BIG, .is.text = &p });
}

/* Of numbers; *comparable is false if one is NaN. An integer is compared exactly with a fraction:
   beyond 2^63 by size alone, below by its whole part first. */
static int order_numbers(bb_work *w, bb_value a, bb_value b, bool *comparable)
{
    *comparable = true;
    if (a.kind == BB_BIG && b.kind == BB_FLOAT)
        return order_big_float(w, a, b.is.number, comparable);
    if (b.kind == BB_BIG && a.kind == BB_FLOAT)
        return -order_big_float(w, b, a.is.number, comparable);
    if (a.kind == BB_BIG || b.kind == BB_BIG) return order_big(a, b);
    if (bb_is_integer(a) && bb_is_integer(b)) return order_integers(bb_integer(a), bb_integer(b));
    if (a.kind == BB_FLOAT && b.kind == BB_FLOAT) {
        *comparable = !isnan(a.is.number) && !isnan(b.is.number);
        return order(a.is.number, b.is.number);
    }
    const double  x = a.kind == BB_FLOAT ? a.is.number : b.is.number;
    const int64_t i = a.kind == BB_FLOAT ? bb_integer(b) : bb_integer(a);
    int           sign;               /* of x against i */

    if (isnan(x)) *comparable = false;
    if (!(x < 9223372036854775808.0)) sign = 1;
    else if (x < -9223372036854775808.0) sign = -1;
    else {
        sign = order_integers((int64_t)x, i);
        if (sign == 0) sign = order(x, trunc(x));
    }
    return a.kind == BB_FLOAT ? sign : -sign;
}

static bool equal_lists(bb_work *w, const bb_list *a, const bb_list *b)
{
    if (a->n != b->n) return false;
    for (size_t i = 0; i < a->n; i++)
        if (!bb_equal(w, a->item[i], b->item[i])) return false;
    return true;
}

static bool equal_dicts(bb_work *w, const bb_dict *a, const bb_dict *b)
{
    if (a->n != b->n) return false;
    for (size_t i = 0; i < a->n; i++) {
        const bb_value *other = bb_dict_find(w, b, a->pair[i].key);
        if (!other || !bb_equal(w, a->pair[i].value, *other)) return false;
    }
    return true;
}

static bool equal_inside(bb_work *w, bb_value a, bb_value b)
{
    if (a.kind == BB_DICT) return equal_dicts(w, a.is.dict, b.is.dict);
    return equal_lists(w, a.is.list, b.is.list);
}

bool bb_equal(bb_work *w, bb_value a, bb_value b)
{
    bool comparable;

    if (!bb_step(w, 1)) return false;
    if (is_any_number(a) && is_any_number(b))
        return order_numbers(w, a, b, &comparable) == 0 && comparable;
    if (a.kind != b.kind) return false;
    switch (a.kind) {
    case BB_UNDEFINED:
    case BB_NONE:    return true;
    case BB_TEXT:
        bb_step(w, a.is.text->n / 16);
        return bb_passage_equal(a.is.text, b.is.text);
    case BB_LIST:
    case BB_TUPLE:
    case BB_RANGE:
    case BB_DICT:
        if (a.is.list == b.is.list) return true;
        if (!bb_enter(w)) return false;
        const bool same = equal_inside(w, a, b);
        bb_leave(w);
        return same;
    default:         return a.is.list == b.is.list;       /* the same object */
    }
}

static int compare_lists(bb_work *w, const bb_list *a, const bb_list *b, const char *op)
{
    for (size_t i = 0; i < a->n && i < b->n; i++)
        if (!bb_equal(w, a->item[i], b->item[i]))
            return bb_compare(w, a->item[i], b->item[i], op);
    return (a->n > b->n) - (a->n < b->n);
}

int bb_compare(bb_work *w, bb_value a, bb_value b, const char *op)
{
    bool comparable = true;
    int  result = 0;

    if (a.kind == BB_UNDEFINED || b.kind == BB_UNDEFINED) {
        bb_fail_undefined(w, a.kind == BB_UNDEFINED ? a : b);
    } else if (is_any_number(a) && is_any_number(b)) {
        result = order_numbers(w, a, b, &comparable);
        /* NaN is on no side: a result that each of < <= > >= turns into false. */
        if (!comparable) result = op[0] == '<' ? 1 : -1;
    } else if (a.kind == BB_TEXT && b.kind == BB_TEXT) {
        bb_step(w, a.is.text->n / 16);
        result = bb_passage_compare(a.is.text, b.is.text);
    } else if (a.kind == b.kind && (a.kind == BB_LIST || a.kind == BB_TUPLE)) {
        if (!bb_enter(w)) return 0;
        result = compare_lists(w, a.is.list, b.is.list, op);
        bb_leave(w);
    } else {
        bb_work_fail(w, BAMBA_ERR_FORMAT, "'%s' not supported between '%s' and '%s'", op,
                     bb_kind_name(a), bb_kind_name(b));
    }
    return result;
}

/* -------------------------------------------------------------- lists -------------------- */

/* Make room for one more in an array of elem_bytes each; false after a failure. */
static bool grow(bb_work *w, void *pointer, size_t n, size_t *capacity, size_t elem_bytes)
{
    void *old;

    if (w->status != BAMBA_OK) return false;
    if (n < *capacity) return true;
    const size_t more = *capacity ? 2 * *capacity : 4;
    void        *array = bb_work_take(w, more, elem_bytes);
    if (!array) return false;
    memcpy(&old, pointer, sizeof old);
    if (n) memcpy(array, old, n * elem_bytes);
    memcpy(pointer, &array, sizeof array);
    *capacity = more;
    return true;
}

bb_value bb_list_new(bb_work *w, bb_value_kind kind)
{
    bb_list *l = bb_work_take(w, 1, sizeof *l);

    if (!l) return BB_VALUE(BB_UNDEFINED);
    *l = (bb_list){ 0 };
    return (bb_value){ .kind = kind, .is.list = l };
}

void bb_list_push(bb_work *w, bb_value list, bb_value item)
{
    if (!bb_step(w, 1)) return;
    bb_list *l = list.is.list;
    if (grow(w, &l->item, l->n, &l->capacity, sizeof *l->item)) l->item[l->n++] = item;
}

bb_value bb_tuple2(bb_work *w, bb_value a, bb_value b)
{
    const bb_value t = bb_list_new(w, BB_TUPLE);

    bb_list_push(w, t, a);
    bb_list_push(w, t, b);
    return t;
}

/* -------------------------------------------------------------- dictionaries ------------- */

bb_value bb_dict_new(bb_work *w)
{
    bb_dict *d = bb_work_take(w, 1, sizeof *d);

    if (!d) return BB_VALUE(BB_UNDEFINED);
    *d = (bb_dict){ 0 };
    return (bb_value){ .kind = BB_DICT, .is.dict = d };
}

static uint32_t hash_bytes(const char *s, size_t n)
{
    uint32_t hash = 0x811C9DC5;

    for (size_t i = 0; i < n; i++) hash = (hash ^ (unsigned char)s[i]) * 0x01000193;  /* FNV-1a */
    return hash;
}

/* Equal values have equal hashes: 1, 1.0 and True are one key. Numbers beyond 64 bits, which are
   few, share one with NaN. */
static uint32_t hash_value(bb_value v)
{
    if (v.kind == BB_TEXT) return hash_bytes(v.is.text->s, v.is.text->n);
    if (v.kind == BB_BIG || (v.kind == BB_FLOAT && !(v.is.number >= -9223372036854775808.0 &&
                                                     v.is.number < 9223372036854775808.0)))
        return BB_BIG;
    return bb_is_number(v) ? (uint32_t)(int32_t)fmod(bb_number(v), 1e9) : (uint32_t)v.kind;
}

static bool has_hash(bb_value v)
{
    if (v.kind == BB_TUPLE)
        for (size_t i = 0; i < v.is.list->n; i++)
            if (v.is.list->item[i].kind == BB_TUPLE || !has_hash(v.is.list->item[i])) return false;
    return v.kind != BB_LIST && v.kind != BB_DICT;
}

static bb_pair *find_pair(bb_work *w, const bb_dict *d, bb_value key)
{
    if (w->status != BAMBA_OK) return NULL;
    if (!has_hash(key)) {
        bb_work_fail(w, BAMBA_ERR_FORMAT, "unhashable type: '%s'", bb_kind_name(key));
        return NULL;
    }
    const uint32_t hash = hash_value(key);
    if (!bb_step(w, 1 + d->n / 16)) return NULL;
    for (size_t i = 0; i < d->n; i++)
        if (d->pair[i].hash == hash && bb_equal(w, d->pair[i].key, key)) return &d->pair[i];
    return NULL;
}

bb_value *bb_dict_find(bb_work *w, const bb_dict *d, bb_value key)
{
    bb_pair *p = find_pair(w, d, key);
    return p ? &p->value : NULL;
}

bb_value *bb_dict_find_text(const bb_dict *d, const char *key)
{
    for (size_t i = 0; i < d->n; i++)
        if (d->pair[i].key.kind == BB_TEXT && bb_passage_is(d->pair[i].key.is.text, key))
            return &d->pair[i].value;
    return NULL;
}

void bb_dict_set(bb_work *w, bb_dict *d, bb_value key, bb_value value)
{
    bb_pair *p = find_pair(w, d, key);

    if (w->status != BAMBA_OK) return;
    if (p) {
        p->value = value;
        return;
    }
    if (!grow(w, &d->pair, d->n, &d->capacity, sizeof *d->pair)) return;
    d->pair[d->n++] = (bb_pair){ key, value, hash_value(key) };
}

/* -------------------------------------------------------------- walking ------------------ */

/* Characters are plain texts, also those of Markup. */
static void push_chars(bb_work *w, bb_value list, const bb_passage *text)
{
    const bb_passage *p = bb_passage_markup(w, text, false);

    for (size_t at = 0, length; at < p->n && w->status == BAMBA_OK; at += length) {
        bb_passage_char(p, at, &length);
        bb_list_push(w, list, bb_text(bb_passage_slice(w, p, at, at + length)));
    }
}

bb_value bb_items(bb_work *w, bb_value v)
{
    if (bb_is_sequence(v) && v.kind != BB_STREAM) return v;
    const bb_value list = bb_list_new(w, BB_LIST);
    switch (list.kind == BB_LIST ? v.kind : BB_MISSING) {
    case BB_MISSING:                      /* out of memory, which is recorded */
    case BB_UNDEFINED: break;
    case BB_TEXT:      push_chars(w, list, v.is.text); break;
    case BB_DICT:
        for (size_t i = 0; i < v.is.dict->n; i++) bb_list_push(w, list, v.is.dict->pair[i].key);
        break;
    case BB_STREAM:
        if (v.is.list->item) list.is.list->item = v.is.list->item + v.is.list->at;
        list.is.list->n = list.is.list->capacity = v.is.list->n - v.is.list->at;
        v.is.list->at = v.is.list->n;
        break;
    default:
        bb_work_fail(w, BAMBA_ERR_FORMAT, "'%s' object is not iterable", bb_kind_name(v));
    }
    return list;
}

bb_value bb_fail_undefined(bb_work *w, bb_value v)
{
    const bb_undefined *u = v.is.undefined;

    if (!u) bb_work_fail(w, BAMBA_ERR_FORMAT, "a value is undefined");
    else if (u->hint) bb_work_fail(w, BAMBA_ERR_FORMAT, "%s", u->hint);
    else if (u->is_unsafe)
        bb_work_fail(w, BAMBA_ERR_FORMAT, "access to attribute '%.*s' of '%s' object is unsafe",
                     (int)u->name->n, u->name->s, u->owner);
    else if (u->owner)
        bb_work_fail(w, BAMBA_ERR_FORMAT, "'%s object' has no attribute '%.*s'", u->owner,
                     u->name->n < 80 ? (int)u->name->n : 80, u->name->s);
    else
        bb_work_fail(w, BAMBA_ERR_FORMAT, "'%.*s' is undefined",
                     u->name->n < 80 ? (int)u->name->n : 80, u->name->s);
    return BB_VALUE(BB_UNDEFINED);
}

/* Merge the sorted halves of key [n] and item [n]; spare [2 n]. */
static void merge(bb_work *w, bb_value *key, bb_value *item, size_t n, bool reverse,
                  bb_value *spare)
{
    const size_t half = n / 2;
    size_t       i = 0, j = half;

    for (size_t k = 0; k < n; k++) {
        bool left = j >= n;
        if (i < half && j < n) {
            const int c = bb_compare(w, reverse ? key[i] : key[j], reverse ? key[j] : key[i], "<");
            left = c >= 0;
        }
        const size_t from = left ? i++ : j++;
        spare[2 * k] = key[from];
        spare[2 * k + 1] = item[from];
    }
    for (size_t k = 0; k < n; k++) {
        key[k] = spare[2 * k];
        item[k] = spare[2 * k + 1];
    }
}

static void sort_part(bb_work *w, bb_value *key, bb_value *item, size_t n, bool reverse,
                      bb_value *spare)
{
    if (n < 2 || !bb_step(w, n)) return;
    sort_part(w, key, item, n / 2, reverse, spare);
    sort_part(w, key + n / 2, item + n / 2, n - n / 2, reverse, spare);
    if (w->status == BAMBA_OK) merge(w, key, item, n, reverse, spare);
}

void bb_sort_items(bb_work *w, bb_value *key, bb_value *item, size_t n, bool reverse)
{
    bb_value *spare = n > 1 ? bb_work_take(w, n, 2 * sizeof *spare) : NULL;

    if (spare) sort_part(w, key, item, n, reverse, spare);
}
