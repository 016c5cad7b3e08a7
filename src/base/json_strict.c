/* json_strict.c - one strict pass over JSON text before a lenient parser sees it.
 *
 * Recursive descent without values. Keys are compared by a 64-bit hash of their decoded bytes: a
 * collision can only refuse a file (once in 10^9 files of 128k keys), never accept a wrong one. */
#include "base/json_strict.h"

#include "base/json.h"
#include "base/utf8.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct key {
    uint64_t hash;
    size_t   at;                          /* offset of the opening quote */
} key;

typedef struct scanner {
    const bb_allocator *a;
    const char         *name;
    const char         *text;
    size_t              n, at;
    unsigned            flags;            /* BB_JSON_… */
    key                *keys;             /* of all open objects, innermost last */
    size_t              n_keys, cap_keys;
    bamba_error        *err;
} scanner;

static bb_status check_value(scanner *s, int depth);

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

static void hash_bytes(uint64_t *hash, const unsigned char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {      /* FNV-1a */
        *hash ^= bytes[i];
        *hash *= UINT64_C(0x100000001B3);
    }
}

/* Check the escape whose backslash has just been read. */
static bb_status check_escape(scanner *s, bool is_key, uint64_t *hash)
{
    static const char plain[] = "\"\\/bfnrt";
    static const char meant[] = "\"\\/\b\f\n\r\t";
    const size_t  begin = s->at - 1;
    const int     c = peek(s);
    unsigned char utf8[4];

    s->at++;
    if (c != 'u') {
        const char *p = c > 0 ? strchr(plain, c) : NULL;
        if (!p) return refuse(s, begin, "unknown escape");
        hash_bytes(hash, (const unsigned char *)&meant[p - plain], 1);
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
    hash_bytes(hash, utf8, bb_utf8_encode((uint32_t)u, utf8));
    return BAMBA_OK;
}

/* Check a string from its opening quote on. *hash becomes that of its decoded bytes. */
static bb_status check_string(scanner *s, bool is_key, uint64_t *hash)
{
    const size_t begin = s->at++;
    bb_status    status;

    *hash = UINT64_C(0xCBF29CE484222325);
    for (;;) {
        const int c = peek(s);
        if (c < 0) return refuse(s, begin, "string without end");
        if (c == '"') {
            s->at++;
            return BAMBA_OK;
        }
        if (c < 0x20) return refuse(s, s->at, "control character in a string");
        if (c == '\\') {
            s->at++;
            if ((status = check_escape(s, is_key, hash)) != BAMBA_OK) return status;
            continue;
        }
        const unsigned char *u = (const unsigned char *)s->text + s->at;
        const size_t length = bb_utf8_length(u, s->n - s->at);
        if (length == 0) return refuse(s, s->at, "bytes that are not UTF-8");
        hash_bytes(hash, u, length);
        s->at += length;
    }
}

static size_t skip_digits(scanner *s)
{
    const size_t begin = s->at;
    while (peek(s) >= '0' && peek(s) <= '9') s->at++;
    return s->at - begin;
}

/* Whether the number of these n digits and this sign fits int64. */
static bool fits_int64(const char *digits, size_t n, bool negative)
{
    const uint64_t limit = (uint64_t)INT64_MAX + negative;
    uint64_t v = 0;

    for (size_t i = 0; i < n; i++) {
        const uint64_t d = (uint64_t)(digits[i] - '0');
        if (v > (limit - d) / 10) return false;
        v = v * 10 + d;
    }
    return true;
}

static bb_status check_number(scanner *s)
{
    const size_t begin = s->at;
    const bool   negative = peek(s) == '-';

    if (negative) s->at++;
    if ((s->flags & BB_JSON_INFINITY) && take_word(s, "Infinity")) return BAMBA_OK;

    const size_t digits = s->at;
    const size_t n_digits = skip_digits(s);
    if (n_digits == 0) return refuse(s, begin, "expected a value");
    if (n_digits > 1 && s->text[digits] == '0') return refuse(s, begin, "number with a leading zero");

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
    if (integer)
        return (s->flags & BB_JSON_HUGE) || fits_int64(s->text + digits, n_digits, negative)
             ? BAMBA_OK : refuse(s, begin, "integer beyond 64 bits");

    /* strtod needs an end; 400 characters hold every number people write (1e308 in full). */
    char copy[400];
    const size_t length = s->at - begin;
    if (length >= sizeof copy) return refuse(s, begin, "number too long");
    memcpy(copy, s->text + begin, length);
    copy[length] = '\0';
    return isfinite(strtod(copy, NULL)) ? BAMBA_OK : refuse(s, begin, "number beyond double");
}

static int by_hash(const void *x, const void *y)
{
    const key *a = x;
    const key *b = y;

    if (a->hash != b->hash) return a->hash < b->hash ? -1 : 1;
    return a->at < b->at ? -1 : a->at > b->at;
}

/* Refuse equal keys among [first, n_keys), those of one object, and forget them. */
static bb_status check_duplicates(scanner *s, size_t first)
{
    key         *k = s->keys + first;
    const size_t n = s->n_keys - first;

    s->n_keys = first;
    if (n < 2) return BAMBA_OK;
    qsort(k, n, sizeof *k, by_hash);
    for (size_t i = 1; i < n; i++) {
        if (k[i].hash != k[i - 1].hash) continue;
        const char  *text = s->text + k[i].at + 1;
        const size_t room = s->n - k[i].at - 1;
        size_t       length = 0;
        while (length < room && text[length] != '"' && length < 80) length++;
        return bb_fail(s->err, BAMBA_ERR_FORMAT, "%s: key '%.*s' stands twice in one object",
                       s->name, (int)length, text);
    }
    return BAMBA_OK;
}

static bb_status check_object(scanner *s, int depth)
{
    const size_t first = s->n_keys;
    bb_status    status;

    s->at++;
    skip_space(s);
    if (peek(s) == '}') {
        s->at++;
        return BAMBA_OK;
    }
    for (;;) {
        key k;

        skip_space(s);
        if (peek(s) != '"') return refuse(s, s->at, "expected a key in quotes");
        k.at = s->at;
        if ((status = check_string(s, true, &k.hash)) != BAMBA_OK) return status;
        if (!bb_reserve(s->a, &s->keys, &s->cap_keys, s->n_keys + 1, sizeof k))
            return bb_fail(s->err, BAMBA_ERR_MEMORY, "%s: out of memory", s->name);
        s->keys[s->n_keys++] = k;

        skip_space(s);
        if (peek(s) != ':') return refuse(s, s->at, "expected ':' after a key");
        s->at++;
        if ((status = check_value(s, depth)) != BAMBA_OK) return status;
        skip_space(s);
        if (peek(s) == ',') {
            s->at++;
            continue;
        }
        if (peek(s) != '}') return refuse(s, s->at, "expected ',' or '}'");
        s->at++;
        return check_duplicates(s, first);
    }
}

static bb_status check_array(scanner *s, int depth)
{
    bb_status status;

    s->at++;
    skip_space(s);
    if (peek(s) == ']') {
        s->at++;
        return BAMBA_OK;
    }
    for (;;) {
        if ((status = check_value(s, depth)) != BAMBA_OK) return status;
        skip_space(s);
        if (peek(s) == ',') {
            s->at++;
            continue;
        }
        if (peek(s) != ']') return refuse(s, s->at, "expected ',' or ']'");
        s->at++;
        return BAMBA_OK;
    }
}

static bb_status check_value(scanner *s, int depth)
{
    uint64_t unused;

    skip_space(s);
    if (depth >= BB_JSON_DEPTH) return refuse(s, s->at, "nested too deeply");
    switch (peek(s)) {
    case '{': return check_object(s, depth + 1);
    case '[': return check_array(s, depth + 1);
    case '"': return check_string(s, false, &unused);
    case 't': if (take_word(s, "true")) return BAMBA_OK; break;
    case 'f': if (take_word(s, "false")) return BAMBA_OK; break;
    case 'n': if (take_word(s, "null")) return BAMBA_OK; break;
    case 'I': if ((s->flags & BB_JSON_INFINITY) && take_word(s, "Infinity")) return BAMBA_OK; break;
    case -1:  return refuse(s, s->at, "the text ends where a value is expected");
    default:  return check_number(s);
    }
    return refuse(s, s->at, "expected a value");
}

bb_status bb_json_check(const bb_allocator *a, const char *name, const char *text, size_t n,
                        unsigned flags, bamba_error *err)
{
    scanner s = { .a = a, .name = name, .text = text, .n = n,
                  .flags = flags, .err = err };
    bb_status status = check_value(&s, 0);

    if (status == BAMBA_OK) {
        skip_space(&s);
        if (s.at < n) status = refuse(&s, s.at, "bytes after the value");
    }
    bb_release(a, s.keys);
    return status;
}
