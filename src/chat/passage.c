/* passage.c - text that remembers which of its bytes users typed. */
#include "chat/passage.h"

#include "base/utf8.h"
#include "text/unicode.h"

#include <stdarg.h>
#include <stdio.h>

static const bb_passage EMPTY = { .s = "" };

size_t bb_count_chars(const char *s, size_t n)
{
    size_t count = 0;

    for (size_t i = 0; i < n; i++) count += ((unsigned char)s[i] & 0xC0) != 0x80;
    return count;
}

static const bb_passage *make(bb_work *w, bb_passage p)
{
    bb_passage *made = bb_work_take(w, 1, sizeof *made);

    if (!made || !bb_step(w, p.n / 16)) return &EMPTY;
    p.n_chars = bb_count_chars(p.s, p.n);
    *made = p;
    return made;
}

const bb_passage *bb_passage_of(bb_work *w, const char *s, size_t n)
{
    return make(w, (bb_passage){ .s = s, .n = n });
}

const bb_passage *bb_passage_of_user(bb_work *w, const char *s, size_t n)
{
    return make(w, (bb_passage){ .s = s, .n = n, .is_user = true });
}

const bb_passage *bb_passage_slice(bb_work *w, const bb_passage *p, size_t begin, size_t end)
{
    if (begin == 0 && end == p->n) return p;
    return make(w, (bb_passage){ .s = p->s + begin, .mask = p->mask ? p->mask + begin : NULL,
                                 .n = end - begin, .is_user = p->is_user,
                                 .is_markup = p->is_markup });
}

const bb_passage *bb_passage_markup(bb_work *w, const bb_passage *p, bool is_markup)
{
    bb_passage copy = *p;

    if (p->is_markup == is_markup) return p;
    copy.is_markup = is_markup;
    return make(w, copy);
}

bool bb_passage_equal(const bb_passage *a, const bb_passage *b)
{
    return a == b || (a->n == b->n && memcmp(a->s, b->s, a->n) == 0);
}

/* UTF-8 sorts by bytes as its characters do by code point. */
int bb_passage_compare(const bb_passage *a, const bb_passage *b)
{
    const int order = memcmp(a->s, b->s, a->n < b->n ? a->n : b->n);
    return order ? order : (a->n > b->n) - (a->n < b->n);
}

bool bb_passage_is(const bb_passage *p, const char *s)
{
    return p->n == strlen(s) && memcmp(p->s, s, p->n) == 0;
}

bool bb_passage_is_user(const bb_passage *p, size_t at)
{
    return p->mask ? p->mask[at] : p->is_user;
}

size_t bb_passage_find(bb_work *w, const bb_passage *p, const bb_passage *what, size_t begin,
                       size_t end)
{
    if (what->n > end - begin) return SIZE_MAX;
    if (what->n == 0) return begin;
    for (size_t at = begin; at + what->n <= end;) {
        const char *hit = memchr(p->s + at, what->s[0], end - what->n + 1 - at);
        if (!hit || !bb_step(w, 1 + what->n / 16)) return SIZE_MAX;
        if (memcmp(hit, what->s, what->n) == 0) return (size_t)(hit - p->s);
        at = (size_t)(hit - p->s) + 1;
    }
    return SIZE_MAX;
}

size_t bb_passage_find_last(bb_work *w, const bb_passage *p, const bb_passage *what, size_t begin,
                            size_t end)
{
    if (what->n > end - begin) return SIZE_MAX;
    for (size_t at = end - what->n + 1; at-- > begin;) {
        if (memcmp(p->s + at, what->s, what->n) == 0) return at;
        if (!bb_step(w, 1 + what->n / 16)) break;
    }
    return SIZE_MAX;
}

size_t bb_passage_offset(const bb_passage *p, size_t index)
{
    size_t at = 0;

    if (p->n_chars == p->n) return index;
    for (; index > 0 && at < p->n; index--)
        do at++;
        while (at < p->n && ((unsigned char)p->s[at] & 0xC0) == 0x80);
    return at;
}

uint32_t bb_passage_char(const bb_passage *p, size_t at, size_t *length)
{
    const unsigned char *u = (const unsigned char *)p->s + at;

    *length = bb_utf8_length(u, p->n - at);
    return bb_utf8_decode(u, *length);
}

size_t bb_passage_before(const bb_passage *p, size_t end)
{
    do end--;
    while (end > 0 && ((unsigned char)p->s[end] & 0xC0) == 0x80);
    return end;
}

bool bb_is_py_space(uint32_t c)
{
    return (c >= 0x1C && c <= 0x1F) || bb_char_is_space(c);
}

/* -------------------------------------------------------------- building ----------------- */

bb_builder bb_builder_begin(bb_work *w)
{
    return (bb_builder){ .w = w };
}

static bool make_room(bb_builder *b, size_t more)
{
    if (b->w->status != BAMBA_OK) return false;
    if (more <= b->capacity - b->n) return true;
    const size_t capacity = b->capacity + more + (b->capacity < more ? 64 : b->capacity);
    char        *s = bb_work_take(b->w, capacity, 2);
    if (!s) return false;
    uint8_t *mask = (uint8_t *)s + capacity;
    if (b->n) {
        memcpy(s, b->s, b->n);
        memcpy(mask, b->mask, b->n);
    }
    b->s = s;
    b->mask = mask;
    b->capacity = capacity;
    return true;
}

void bb_put_part(bb_builder *b, const bb_passage *p, size_t begin, size_t end)
{
    const size_t n = end - begin;

    if (n == 0 || !bb_step(b->w, 1 + n / 16) || !make_room(b, n)) return;
    memcpy(b->s + b->n, p->s + begin, n);
    if (p->mask) memcpy(b->mask + b->n, p->mask + begin, n);
    else memset(b->mask + b->n, p->is_user, n);
    b->n += n;
}

void bb_put(bb_builder *b, const bb_passage *p)
{
    bb_put_part(b, p, 0, p->n);
}

void bb_put_bytes(bb_builder *b, const char *s, size_t n, bool is_user)
{
    bb_put_part(b, &(bb_passage){ .s = s, .n = n, .is_user = is_user }, 0, n);
}

void bb_put_text(bb_builder *b, const char *s)
{
    bb_put_bytes(b, s, strlen(s), false);
}

void bb_put_char(bb_builder *b, uint32_t c, bool is_user)
{
    unsigned char s[4];
    const size_t  n = bb_utf8_encode(c, s);

    bb_put_bytes(b, (const char *)s, n, is_user);
}

void bb_put_format(bb_builder *b, const char *format, ...)
{
    char    text[100];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    bb_put_text(b, text);
}

const bb_passage *bb_builder_text(bb_builder *b)
{
    bb_passage p = { .s = b->n ? b->s : "", .mask = b->mask, .n = b->n, .is_markup = b->is_markup };

    if (b->n == 0 || b->w->status != BAMBA_OK || !memchr(b->mask, !b->mask[0], b->n)) {
        p.is_user = b->n && b->mask[0];
        p.mask = NULL;
    }
    return make(b->w, p);
}
