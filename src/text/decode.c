/* decode.c - running decoders: ids in, whole characters out.
 *
 * What a decoder does to single tokens was done when it was loaded (decode_load.c). This file does
 * what depends on neighbours:
 *
 *   bytes     ByteLevel: tokens are bytes of UTF-8, cut anywhere. A character not finished
 *             waits; a sequence that cannot be finished gives one U+FFFD (Unicode 15, section
 *             3.9, "maximal subparts").
 *   byte runs ByteFallback: tokens are text, save for runs of single bytes. A run that is not
 *             UTF-8 gives one U+FFFD a byte, so its bytes wait until it ends. Runs longer than
 *             the state holds are decoded in stretches.
 *   start     Metaspace drops its mark from the first token, Strip characters at the beginning.
 *
 * The last byte of the state's `pending` counts the leading characters that Strip has seen. */
#include "text/decode_internal.h"

#include "base/utf8.h"

#include <string.h>

enum { STRIP_AT = BB_RUN_MOST };

typedef struct sink {
    const bb_decode *d;
    bamba_decoder   *state;
    char            *buffer;              /* [size] */
    size_t           size;
    size_t           n;                   /* bytes of the text so far, written or not */
} sink;

/* -------------------------------------------------------------- writing ------------------ */

static void put(sink *o, const char *text, size_t n)
{
    if (n > 0 && n <= o->size && o->n <= o->size - n) memcpy(o->buffer + o->n, text, n);
    o->n += n;
}

/* Write one character, unless Strip takes it. */
static void put_char(sink *o, const char *text, size_t n)
{
    unsigned char *decided = &o->state->pending[STRIP_AT];

    if (*decided < o->d->n_strip) {
        if (bb_utf8_decode((const unsigned char *)text, n) == o->d->strip) {
            (*decided)++;
            return;
        }
        *decided = (unsigned char)o->d->n_strip;
    }
    put(o, text, n);
}

static void put_replacement(sink *o)
{
    put_char(o, "\xEF\xBF\xBD", 3);
}

/* Write well-formed text, less what Strip takes. */
static void put_text(sink *o, const char *text, size_t n)
{
    size_t i = 0;

    while (i < n && o->state->pending[STRIP_AT] < o->d->n_strip) {
        const size_t length = bb_utf8_length((const unsigned char *)text + i, n - i);
        put_char(o, text + i, length);
        i += length;
    }
    if (i < n) put(o, text + i, n - i);
}

/* -------------------------------------------------------------- bytes -------------------- */

/* If s [n], n >= 1, is the beginning of a character, the bytes of the whole of it; else 0. */
static size_t length_begun(const unsigned char *s, size_t n)
{
    unsigned char      full[4] = { s[0], 0x80, 0x80, 0x80 };
    const size_t       length = s[0] < 0x80 ? 1 : s[0] < 0xE0 ? 2 : s[0] < 0xF0 ? 3 : 4;

    /* Complete it with the tail that fits any lead byte but E0 and F0, whose second byte starts
       higher. */
    if (s[0] == 0xE0) full[1] = 0xA0;
    if (s[0] == 0xF0) full[1] = 0x90;
    for (size_t i = 1; i < n && i < length; i++) full[i] = s[i];
    return n <= length && bb_utf8_length(full, length) == length ? length : 0;
}

static void feed_byte(sink *o, unsigned char byte)
{
    bamba_decoder *s = o->state;

    s->pending[s->n_pending++] = byte;
    size_t length = length_begun(s->pending, s->n_pending);
    if (length == 0 && s->n_pending > 1) {
        put_replacement(o);
        s->pending[0] = byte;
        s->n_pending = 1;
        length = length_begun(s->pending, 1);
    }
    if (length == 0) {
        put_replacement(o);
        s->n_pending = 0;
    } else if (length == s->n_pending) {
        put_char(o, (const char *)s->pending, length);
        s->n_pending = 0;
    }
}

/* Write a run of byte tokens that has ended. */
static void end_run(sink *o)
{
    bamba_decoder *s = o->state;
    const char    *run = (const char *)s->pending;

    if (s->n_pending == 0) return;
    if (bb_utf8_valid(run, s->n_pending) == s->n_pending) put_text(o, run, s->n_pending);
    else for (uint32_t i = 0; i < s->n_pending; i++) put_replacement(o);
    s->n_pending = 0;
}

/* Make room in a run of byte tokens: write all but an unfinished character at its end. */
static void shorten_run(sink *o)
{
    bamba_decoder *s = o->state;
    uint32_t       i = 0;

    while (i < s->n_pending) {
        const size_t length = bb_utf8_length(s->pending + i, s->n_pending - i);
        if (length > 0) {
            put_char(o, (const char *)s->pending + i, length);
            i += (uint32_t)length;
        } else if (length_begun(s->pending + i, s->n_pending - i)) {
            break;
        } else {
            put_replacement(o);
            i++;
        }
    }
    s->n_pending -= i;
    memmove(s->pending, s->pending + i, s->n_pending);
}

/* -------------------------------------------------------------- tokens ------------------- */

/* Write the first token under Metaspace, whose marks vanish. */
static void put_without_marks(sink *o, const bb_piece *t)
{
    const unsigned char *s = (const unsigned char *)t->name;

    for (size_t i = 0; i < t->n_name;) {
        const size_t length = bb_utf8_length(s + i, t->n_name - i);
        if (bb_utf8_decode(s + i, length) != o->d->mark) put_char(o, t->name + i, length);
        i += length;
    }
}

static void feed_token(sink *o, const bb_piece *t)
{
    bamba_decoder *s = o->state;
    const bool     first = s->n_tokens == 0;

    if (s->n_tokens < UINT32_MAX) s->n_tokens++;
    if (o->d->bytes) {
        for (size_t i = 0; i < t->n_bytes; i++) feed_byte(o, (unsigned char)t->bytes[i]);
        return;
    }
    if (t->is_byte) {
        if (s->n_pending == BB_RUN_MOST) shorten_run(o);
        s->pending[s->n_pending++] = (unsigned char)t->bytes[0];
        return;
    }
    end_run(o);
    if (o->d->joined && !first) put_text(o, " ", 1);
    if (o->d->mark && first) put_without_marks(o, t);
    else put_text(o, t->bytes, t->n_bytes);
}

size_t bb_decode_run(const bb_decode *d, bamba_decoder *state, const int32_t *ids, size_t n_ids,
                     unsigned flags, char *buffer, size_t size)
{
    sink o = { d, state, buffer, size, 0 };

    for (size_t i = 0; i < n_ids; i++) {
        const bb_piece *t = bb_decode_piece(d, ids[i]);
        if (!t || (t->special && (flags & BAMBA_DECODE_SKIP_SPECIAL))) continue;
        feed_token(&o, t);
    }
    if (flags & BAMBA_DECODE_FINISH) {
        if (d->bytes && state->n_pending) put_replacement(&o);
        if (d->bytes) state->n_pending = 0;
        else end_run(&o);
    }
    return o.n;
}
