/* json_parse.c - JSON text to a tree in memory of the caller's allocator.
 *
 * Recursive descent in one pass. The array of nodes is as long as the text has places where a key
 * or a value can begin, and never longer than the budget; strings are decoded into one block. */
#include "base/json_parse.h"

#include "base/json.h"
#include "base/sort.h"
#include "base/utf8.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    /* Keys and values that a text may have: this many, and one for so many bytes. Dense files of
       published models take five bytes for one. */
    VALUES_ANY = 1 << 16,
    BYTES_A_VALUE = 4,
    KEYS_KEPT = 32                        /* of one object, without allocating */
};

/* A key of an object whose duplicates are looked for: first by its hash, then as a text. */
typedef union entry {
    struct { uint32_t hash, at; } is;     /* at: number of its node */
    const char *text;
} entry;

typedef struct scanner {
    const bb_allocator *a;
    const char         *name;
    const char         *text;
    size_t              n, at;
    unsigned            flags;            /* BB_JSON_… */
    bb_json_node       *node;             /* [capacity] */
    size_t              n_nodes, capacity;
    char               *out;              /* where the next decoded byte goes */
    bamba_error        *err;
    /* Not in the frames of a recursion: */
    char                digits[400];      /* every number people write: 1e308 in full */
    entry               few[KEYS_KEPT];
    size_t              begin[257];
} scanner;

static bb_status read_value(scanner *s, int depth);

/* Append a node. */
static bb_status add(scanner *s, bb_json_node node)
{
    if (s->n_nodes == s->capacity)
        return bb_fail(s->err, BAMBA_ERR_FORMAT, "%s: expected at most %zu keys and values in %zu "
                       "bytes, found more", s->name, s->capacity, s->n);
    s->node[s->n_nodes++] = node;
    return BAMBA_OK;
}

static bb_status refuse(scanner *s, size_t at, const char *what)
{
    return bb_fail(s->err, BAMBA_ERR_FORMAT, "%s: not JSON at byte %zu: %s", s->name, at, what);
}

static int peek(const scanner *s)
{
    return s->at < s->n ? (unsigned char)s->text[s->at] : -1;
}

static void skip_space(scanner *s)
{
    int c;
    while ((c = peek(s)) == ' ' || c == '\n' || c == '\r' || c == '\t') s->at++;
}

static bool take_word(scanner *s, const char *word)
{
    const size_t n = strlen(word);
    if (s->n - s->at < n || memcmp(s->text + s->at, word, n) != 0) return false;
    s->at += n;
    return true;
}

/* Four hex digits at the scanner, or -1. */
static int32_t take_hex4(scanner *s)
{
    int32_t v = 0;

    if (s->n - s->at < 4) return -1;
    for (int i = 0; i < 4; i++) {
        const int digit = bb_hex_digit(s->text[s->at++]);
        if (digit < 0) return -1;
        v = v << 4 | digit;
    }
    return v;
}

/* Decode the escape whose backslash has just been read. */
static bb_status read_escape(scanner *s, bool is_key)
{
    static const char plain[] = "\"\\/bfnrt";
    static const char meant[] = "\"\\/\b\f\n\r\t";
    const size_t begin = s->at - 1;
    const int    c = peek(s);

    s->at++;
    if (c != 'u') {
        const char *p = c > 0 ? strchr(plain, c) : NULL;
        if (!p) return refuse(s, begin, "unknown escape");
        *s->out++ = meant[p - plain];
        return BAMBA_OK;
    }
    int32_t u = take_hex4(s);
    if (u < 0) return refuse(s, begin, "expected four hexadecimal digits after \\u");
    if (u == 0 && is_key) return refuse(s, begin, "NUL in a key");
    if (u >= 0xDC00 && u <= 0xDFFF) return refuse(s, begin, "lone surrogate");
    if (u >= 0xD800 && u <= 0xDBFF) {
        const int32_t low = take_word(s, "\\u") ? take_hex4(s) : -1;
        if (low < 0xDC00 || low > 0xDFFF) return refuse(s, begin, "lone surrogate");
        u = 0x10000 + ((u - 0xD800) << 10) + (low - 0xDC00);
    }
    s->out += bb_utf8_encode((uint32_t)u, (unsigned char *)s->out);
    return BAMBA_OK;
}

/* Decode a string or key from its opening quote on. Decoded it is no longer than in the text, and
   its NUL takes the place of a quote. */
static bb_status read_string(scanner *s, bb_json_kind kind, int depth)
{
    const size_t begin = s->at++;
    const char  *text = s->out;
    bb_status    status;

    for (;;) {
        const int c = peek(s);
        if (c < 0) return refuse(s, begin, "string without end");
        if (c == '"') break;
        if (c < 0x20) return refuse(s, s->at, "control character in a string");
        if (c == '\\') {
            s->at++;
            if ((status = read_escape(s, kind == BB_JSON_KEY)) != BAMBA_OK) return status;
            continue;
        }
        const char  *u = s->text + s->at;
        const size_t length = c < 0x80 ? 1 : bb_utf8_length((const unsigned char *)u, s->n - s->at);
        if (length == 0) return refuse(s, s->at, "bytes that are not UTF-8");
        for (size_t i = 0; i < length; i++) *s->out++ = u[i];
        s->at += length;
    }
    s->at++;
    const size_t length = (size_t)(s->out - text);
    *s->out++ = '\0';
    return add(s, (bb_json_node){
        .is.text = text, .kind = (uint8_t)kind, .depth = (uint8_t)depth,
        .n = kind == BB_JSON_KEY ? bb_json_hash(text, length) : (uint32_t)length });
}

static size_t skip_digits(scanner *s)
{
    const size_t begin = s->at;
    while (peek(s) >= '0' && peek(s) <= '9') s->at++;
    return s->at - begin;
}

/* Read digits [n]; false if they do not fit, *out being the largest or smallest there is. */
static bool read_int64(const char *digits, size_t n, bool negative, int64_t *out)
{
    const uint64_t limit = (uint64_t)INT64_MAX + negative;
    uint64_t       v = 0;
    bool           fits = true;

    for (size_t i = 0; i < n && fits; i++) {
        const uint64_t d = (uint64_t)(digits[i] - '0');
        fits = v <= (limit - d) / 10;
        v = fits ? v * 10 + d : limit;
    }
    *out = negative ? -(int64_t)(v - (v > 0)) - (v > 0) : (int64_t)v;
    return fits;
}

/* Keep an integer that began at `begin` as a text. What follows it in the JSON text makes room for
   the NUL. */
static bb_status add_digits(scanner *s, size_t begin, int depth)
{
    const char  *text = s->out;
    const size_t n = s->at - begin;

    memcpy(s->out, s->text + begin, n);
    s->out[n] = '\0';
    s->out += n + 1;
    return add(s, (bb_json_node){ .is.text = text, .n = (uint32_t)n, .kind = BB_JSON_BIG,
                                  .depth = (uint8_t)depth });
}

static bb_status read_number(scanner *s, int depth)
{
    const size_t begin = s->at;
    const bool   negative = peek(s) == '-';
    bb_json_node node = { .kind = BB_JSON_FLOAT, .depth = (uint8_t)depth };

    if (negative) s->at++;
    if ((s->flags & BB_JSON_INFINITY) && take_word(s, "Infinity")) {
        node.is.number = negative ? -(double)INFINITY : (double)INFINITY;
        return add(s, node);
    }

    const size_t digits = s->at;
    const size_t n_digits = skip_digits(s);
    if (n_digits == 0) return refuse(s, begin, "expected a value");
    if (n_digits > 1 && s->text[digits] == '0')
        return refuse(s, begin, "number with a leading zero");

    bool integer = true;
    if (peek(s) == '.') {
        integer = false;
        s->at++;
        if (skip_digits(s) == 0) return refuse(s, begin, "number without digits after the point");
    }
    if (peek(s) == 'e' || peek(s) == 'E') {
        integer = false;
        s->at++;
        if (peek(s) == '+' || peek(s) == '-') s->at++;
        if (skip_digits(s) == 0) return refuse(s, begin, "number without digits in its exponent");
    }
    if (integer) {
        node.kind = BB_JSON_INT;
        if (read_int64(s->text + digits, n_digits, negative, &node.is.integer) ||
            (s->flags & BB_JSON_HUGE))
            return add(s, node);
        return s->flags & BB_JSON_DIGITS ? add_digits(s, begin, depth)
                                         : refuse(s, begin, "integer beyond 64 bits");
    }

    const size_t length = s->at - begin;
    if (length >= sizeof s->digits) return refuse(s, begin, "number too long");
    memcpy(s->digits, s->text + begin, length);
    s->digits[length] = '\0';            /* strtod needs an end */
    node.is.number = strtod(s->digits, NULL);
    return isfinite(node.is.number) ? add(s, node) : refuse(s, begin, "number beyond double");
}

/* -------------------------------------------------------------- containers --------------- */

static int compare_hashes(const void *x, const void *y)
{
    const uint32_t a = ((const entry *)x)->is.hash;
    const uint32_t b = ((const entry *)y)->is.hash;
    return (a > b) - (a < b);
}

static int compare_texts(const void *x, const void *y)
{
    return strcmp(((const entry *)x)->text, ((const entry *)y)->text);
}

/* Sort k [n] by hash, a byte a pass; four passes end where they began. */
static void sort_by_hash(size_t begin[257], entry *k, entry *other, size_t n)
{
    for (int shift = 0; shift < 32; shift += 8) {
        memset(begin, 0, 257 * sizeof *begin);
        for (size_t i = 0; i < n; i++) begin[(k[i].is.hash >> shift & 255) + 1]++;
        for (int b = 0; b < 255; b++) begin[b + 1] += begin[b];
        for (size_t i = 0; i < n; i++) other[begin[k[i].is.hash >> shift & 255]++] = k[i];
        entry *const t = k;
        k = other;
        other = t;
    }
}

/* A text that stands twice among k [n], or NULL. Keys that only share a hash are few, unless
   somebody made them: then n log n all the same. */
static const char *find_twice(const scanner *s, entry *k, size_t n)
{
    for (size_t first = 0, end; first < n; first = end) {
        for (end = first + 1; end < n && k[end].is.hash == k[first].is.hash;) end++;
        if (end - first == 1) continue;
        for (size_t i = first; i < end; i++) k[i].text = s->node[k[i].is.at].is.text;
        bb_sort(k + first, end - first, sizeof *k, compare_texts);
        for (size_t i = first + 1; i < end; i++)
            if (compare_texts(&k[i - 1], &k[i]) == 0) return k[i].text;
    }
    return NULL;
}

static bb_status check_duplicates(scanner *s, const bb_json_node *object)
{
    const size_t n = object->n;
    entry       *k = n > KEYS_KEPT ? bb_allocate(s->a, n, 2 * sizeof *k) : s->few;
    bb_status    status = BAMBA_OK;

    if (!k) return bb_fail(s->err, BAMBA_ERR_MEMORY, "%s: out of memory", s->name);
    const bb_json_node *node = object + 1;
    for (size_t i = 0; i < n; i++, node = bb_json_after(node + 1))
        k[i] = (entry){ .is = { node->n, (uint32_t)(node - s->node) } };
    if (n > KEYS_KEPT) sort_by_hash(s->begin, k, k + n, n);
    else bb_sort(k, n, sizeof *k, compare_hashes);
    const char *twice = find_twice(s, k, n);
    if (twice)
        status = bb_fail(s->err, BAMBA_ERR_FORMAT, "%s: key '%.80s' stands twice in one object",
                         s->name, twice);
    if (k != s->few) bb_release(s->a, k);
    return status;
}

/* Read a key and the colon after it. */
static bb_status read_key(scanner *s, int depth)
{
    bb_status status;

    skip_space(s);
    if (peek(s) != '"') return refuse(s, s->at, "expected a key in quotes");
    if ((status = read_string(s, BB_JSON_KEY, depth)) != BAMBA_OK) return status;
    skip_space(s);
    if (peek(s) != ':') return refuse(s, s->at, "expected ':' after a key");
    s->at++;
    return BAMBA_OK;
}

/* Read an array or object, whose elements or members are at `depth`. */
static bb_status read_container(scanner *s, bb_json_kind kind, int depth)
{
    const char   end = kind == BB_JSON_OBJECT ? '}' : ']';
    const size_t self = s->n_nodes;
    uint32_t     n = 0;
    bb_status    status = add(s, (bb_json_node){ .kind = (uint8_t)kind,
                                                 .depth = (uint8_t)(depth - 1) });
    if (status != BAMBA_OK) return status;

    s->at++;
    skip_space(s);
    if (peek(s) != end)
        do {
            if (kind == BB_JSON_OBJECT) status = read_key(s, depth);
            if (status == BAMBA_OK) status = read_value(s, depth);
            skip_space(s);
            n++;
        } while (status == BAMBA_OK && take_word(s, ","));
    if (status != BAMBA_OK) return status;
    if (peek(s) != end)
        return refuse(s, s->at, kind == BB_JSON_OBJECT ? "expected ',' or '}'"
                                                       : "expected ',' or ']'");
    s->at++;
    s->node[self].n = n;
    s->node[self].is.span = s->n_nodes - self;
    return kind == BB_JSON_OBJECT && n > 1 ? check_duplicates(s, &s->node[self]) : BAMBA_OK;
}

static bb_status read_value(scanner *s, int depth)
{
    bb_json_node word = { .kind = BB_JSON_BOOL, .depth = (uint8_t)depth };

    skip_space(s);
    if (depth >= BB_JSON_DEPTH) return refuse(s, s->at, "nested too deeply");
    switch (peek(s)) {
    case '{': return read_container(s, BB_JSON_OBJECT, depth + 1);
    case '[': return read_container(s, BB_JSON_ARRAY, depth + 1);
    case '"': return read_string(s, BB_JSON_TEXT, depth);
    case -1:  return refuse(s, s->at, "the text ends where a value is expected");
    default:  break;
    }
    if (take_word(s, "false")) return add(s, word);
    if (take_word(s, "null")) word.kind = BB_JSON_NULL;
    else if (take_word(s, "true")) word.is.integer = 1;
    else return read_number(s, depth);
    return add(s, word);
}

/* -------------------------------------------------------------- the tree ----------------- */

const bb_json_node *bb_json_after(const bb_json_node *v)
{
    return v + (v->kind == BB_JSON_ARRAY || v->kind == BB_JSON_OBJECT ? v->is.span : 1);
}

uint32_t bb_json_hash(const char *key, size_t n)
{
    uint32_t hash = 0x811C9DC5;

    for (size_t i = 0; i < n; i++) hash = (hash ^ (unsigned char)key[i]) * 0x01000193;    /* FNV */
    return hash;
}

/* No key or value begins but at the start and after one of these. */
static size_t count_places(const char *text, size_t n)
{
    size_t places = 1;

    for (size_t i = 0; i < n; i++)
        places += text[i] == ',' || text[i] == ':' || text[i] == '[' || text[i] == '{';
    return places;
}

bb_status bb_json_build(bb_json_tree *out, const bb_allocator *a, const char *name,
                        const char *text, size_t n, unsigned flags, bamba_error *err)
{
    const int    saved = errno;           /* strtod and newlocale set it */
    const size_t places = count_places(text, n);
    const size_t budget = VALUES_ANY + n / BYTES_A_VALUE;
    scanner      s = { .a = a, .name = name, .text = text, .n = n, .flags = flags, .err = err,
                       .capacity = places < budget ? places : budget };
    locale_t     plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);    /* of strtod */

    *out = (bb_json_tree){ .node = bb_allocate(a, s.capacity, sizeof *s.node),
                           .text = bb_allocate(a, n + 1, 1) };
    s.node = out->node;
    s.out = out->text;
    bb_status status;
    if (!plain || !s.node || !s.out) {
        status = bb_fail(err, BAMBA_ERR_MEMORY, "%s: out of memory", name);
    } else {
        const locale_t users = uselocale(plain);
        status = read_value(&s, 0);
        uselocale(users);
    }
    if (status == BAMBA_OK) {
        skip_space(&s);
        if (s.at < n) status = refuse(&s, s.at, "bytes after the value");
    }
    out->n = s.n_nodes;
    if (plain) freelocale(plain);
    errno = saved;
    if (status != BAMBA_OK) bb_json_drop(out, a);
    return status;
}

void bb_json_drop(bb_json_tree *tree, const bb_allocator *a)
{
    bb_release(a, tree->node);
    bb_release(a, tree->text);
    *tree = (bb_json_tree){ 0 };
}
