/* unicode.c - properties of characters, and normal forms. The only user of utf8proc.
 *
 * Normalizing: decompose every character, order each run of combining marks by class, compose.
 * utf8proc's own driver orders by exchanging neighbours, which is quadratic in a run's length;
 * here long runs are sorted by counting, so that hostile text stays linear. Characters that the
 * reference does not know part the text: nothing composes or changes places across them. */
#include "text/unicode.h"

#include "base/utf8.h"
#include "text/unicode_new.h"

#include <string.h>
#include <utf8proc.h>

const char *bb_char_category(uint32_t c)
{
    const char *newer = bb_unicode_new_category(c);
    return newer ? newer : utf8proc_category_string((utf8proc_int32_t)c);
}

uint32_t bb_char_simple_upper(uint32_t c)
{
    return (uint32_t)utf8proc_toupper((utf8proc_int32_t)c);
}

uint32_t bb_char_simple_title(uint32_t c)
{
    return (uint32_t)utf8proc_totitle((utf8proc_int32_t)c);
}

bool bb_char_is_space(uint32_t c)
{
    return (c >= 9 && c <= 13) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
           c == 0x205F || c == 0x3000;
}

bool bb_char_is_number(uint32_t c)
{
    if (c < 0x80) return c >= '0' && c <= '9';
    return bb_char_category(c)[0] == 'N';
}

bool bb_char_is_punctuation(uint32_t c)
{
    if (c < 0x80)
        return (c >= 0x21 && c <= 0x2F) || (c >= 0x3A && c <= 0x40) ||
               (c >= 0x5B && c <= 0x60) || (c >= 0x7B && c <= 0x7E);
    return bb_char_category(c)[0] == 'P';
}

bool bb_char_is_mark(uint32_t c)
{
    return c >= 0x300 && bb_char_category(c)[0] == 'M' && !bb_unicode_is_plain(c);
}

bool bb_char_is_word(uint32_t c)
{
    if (c < 0x80)
        return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
               c == '_';
    if (c == 0x200C || c == 0x200D) return true;                      /* Join_Control        */
    if ((c >= 0x24B6 && c <= 0x24E9) || (c >= 0x1F130 && c <= 0x1F149) ||
        (c >= 0x1F150 && c <= 0x1F169) || (c >= 0x1F170 && c <= 0x1F189))
        return true;                                 /* the Alphabetic ones among the symbols */
    const char *k = bb_char_category(c);
    return k[0] == 'L' || k[0] == 'M' || strcmp(k, "Nd") == 0 || strcmp(k, "Nl") == 0 ||
           strcmp(k, "Pc") == 0;
}

size_t bb_char_lower(uint32_t c, uint32_t out[2])
{
    if (c == 0x130) {                     /* the one lower case that takes two characters */
        out[0] = 'i';
        out[1] = 0x307;
        return 2;
    }
    out[0] = (uint32_t)utf8proc_tolower((utf8proc_int32_t)c);
    return 1;
}

/* -------------------------------------------------------------- normal forms ------------- */

typedef struct decomposed {
    const bb_allocator *a;
    utf8proc_int32_t   *c;                /* [n] of [capacity]  */
    size_t              n;
    size_t              capacity;
    utf8proc_int32_t   *spare;            /* for sorting, [spare_capacity] */
    size_t              spare_capacity;
} decomposed;

enum { MOST_PARTS = 32 };                 /* the longest decomposition, U+FDFA's, has 18 */

static unsigned combining_class(utf8proc_int32_t c)
{
    if (c < 0x300 || bb_unicode_is_plain((uint32_t)c)) return 0;
    return (unsigned)utf8proc_get_property(c)->combining_class;
}

static bool decompose(decomposed *d, const char *text, size_t n, bool compatible)
{
    const unsigned char *s = (const unsigned char *)text;
    const int options = UTF8PROC_STABLE | UTF8PROC_DECOMPOSE |
                        (compatible ? UTF8PROC_COMPAT : 0);

    for (size_t i = 0; i < n;) {
        const size_t length = bb_utf8_length(s + i, n - i);
        const utf8proc_int32_t c = (utf8proc_int32_t)bb_utf8_decode(s + i, length);

        if (!bb_reserve(d->a, &d->c, &d->capacity, d->n + MOST_PARTS, sizeof *d->c))
            return false;
        i += length;
        if (c < 0x80 || bb_unicode_is_plain((uint32_t)c)) {
            d->c[d->n++] = c;
            continue;
        }
        int boundary = 0;
        const utf8proc_ssize_t parts = utf8proc_decompose_char(c, d->c + d->n, MOST_PARTS,
                                                               (utf8proc_option_t)options,
                                                               &boundary);
        if (parts > 0 && parts <= MOST_PARTS) d->n += (size_t)parts;
        else d->c[d->n++] = c;
    }
    return true;
}

/* Order a run of marks by class, equals as they were: a short one by insertion, a long one by
   counting. */
static bool sort_run(decomposed *d, size_t from, size_t n)
{
    utf8proc_int32_t *run = d->c + from;

    if (n <= 16) {
        for (size_t i = 1; i < n; i++) {
            const utf8proc_int32_t c = run[i];
            size_t j = i;
            for (; j > 0 && combining_class(run[j - 1]) > combining_class(c); j--)
                run[j] = run[j - 1];
            run[j] = c;
        }
        return true;
    }
    if (!bb_reserve(d->a, &d->spare, &d->spare_capacity, n, sizeof *d->spare)) return false;

    size_t at[257] = { 0 };
    for (size_t i = 0; i < n; i++) at[(combining_class(run[i]) & 0xFF) + 1]++;
    for (size_t k = 1; k < 257; k++) at[k] += at[k - 1];
    for (size_t i = 0; i < n; i++) d->spare[at[combining_class(run[i]) & 0xFF]++] = run[i];
    memcpy(run, d->spare, n * sizeof *run);
    return true;
}

static bool order_marks(decomposed *d)
{
    for (size_t i = 0; i < d->n;) {
        if (combining_class(d->c[i]) == 0) {
            i++;
            continue;
        }
        size_t end = i + 1;
        while (end < d->n && combining_class(d->c[end]) != 0) end++;
        if (!sort_run(d, i, end - i)) return false;
        i = end;
    }
    return true;
}

/* Compose in place. */
static void compose(decomposed *d)
{
    size_t kept = 0;

    for (size_t i = 0; i < d->n;) {
        size_t end = i;
        while (end < d->n && !bb_unicode_is_plain((uint32_t)d->c[end])) end++;
        const utf8proc_ssize_t n = utf8proc_normalize_utf32(
            d->c + i, (utf8proc_ssize_t)(end - i), UTF8PROC_STABLE | UTF8PROC_COMPOSE);
        const size_t length = n >= 0 ? (size_t)n : end - i;
        memmove(d->c + kept, d->c + i, length * sizeof *d->c);
        kept += length;
        if (end < d->n) d->c[kept++] = d->c[end];
        i = end + 1;
    }
    d->n = kept;
}

static bool is_ascii(const char *text, size_t n)
{
    unsigned char any = 0;
    for (size_t i = 0; i < n; i++) any |= (unsigned char)text[i];
    return any < 0x80;
}

bb_status bb_unicode_normalize(bb_buffer *out, const char *text, size_t n, bb_form form,
                               bamba_error *err)
{
    decomposed d = { .a = out->a };
    bb_status  status = BAMBA_OK;
    bool       ok;

    if (is_ascii(text, n)) {
        ok = bb_buffer_append(out, text, n);
        goto done;
    }
    ok = decompose(&d, text, n, form == BB_NFKC || form == BB_NFKD) && order_marks(&d);
    if (!ok) goto done;
    if (form == BB_NFC || form == BB_NFKC) compose(&d);
    for (size_t i = 0; ok && i < d.n; i++) ok = bb_buffer_append_char(out, (uint32_t)d.c[i]);
done:
    if (!ok) status = bb_fail(err, BAMBA_ERR_MEMORY, "normalizing text: out of memory");
    bb_release(d.a, d.c);
    bb_release(d.a, d.spare);
    return status;
}
