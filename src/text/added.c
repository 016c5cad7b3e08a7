/* added.c - tokens found in a text before it is split: special ones, and others added by name.
 *
 * The tokens stand sorted by their bytes. From a position of the text on, each byte narrows the
 * range of tokens that begin like it; the last token met whole is the longest. At most positions
 * the range is empty after one byte. */
#include "text/added.h"

#include "base/utf8.h"
#include "text/unicode.h"

#include <string.h>

/* -------------------------------------------------------------- finding ------------------ */

/* The tokens in [lo, hi) are alike in `depth` bytes: index of the first whose next is >= byte. */
static size_t lower_bound(const bb_added_set *set, size_t lo, size_t hi, size_t depth,
                          unsigned byte)
{
    while (lo < hi) {
        const size_t          mid = lo + (hi - lo) / 2;
        const bb_added_token *t = set->token[mid];
        const bool smaller = t->n_match <= depth || (unsigned char)t->match[depth] < byte;
        if (smaller) lo = mid + 1;
        else hi = mid;
    }
    return lo;
}

static const bb_added_token *longest_at(const bb_added_set *set, const char *text, size_t n)
{
    size_t                lo = set->first[(unsigned char)text[0]];
    size_t                hi = set->first[(unsigned char)text[0] + 1];
    const bb_added_token *best = NULL;

    for (size_t depth = 1; lo < hi; depth++) {
        if (set->token[lo]->n_match == depth) best = set->token[lo];
        if (depth == n) break;
        const unsigned byte = (unsigned char)text[depth];
        lo = lower_bound(set, lo, hi, depth, byte);
        hi = lower_bound(set, lo, hi, depth, byte + 1);
    }
    return best;
}

static bool ends_in_word(const char *text, size_t n)
{
    const unsigned char *u = (const unsigned char *)text;
    size_t               at = n;

    if (n == 0) return false;
    do at--;
    while (at > 0 && (u[at] & 0xC0) == 0x80);
    return bb_char_is_word(bb_utf8_decode(u + at, n - at));
}

static bool begins_with_word(const char *text, size_t n)
{
    const unsigned char *u = (const unsigned char *)text;

    return n > 0 && bb_char_is_word(bb_utf8_decode(u, bb_utf8_length(u, n)));
}

/* Start of the white space that ends at `end`; it is cut off at `limit`. */
static size_t space_before(const char *text, size_t limit, size_t end)
{
    const unsigned char *u = (const unsigned char *)text;

    while (end > limit) {
        size_t at = end;
        do at--;
        while (at > limit && (u[at] & 0xC0) == 0x80);
        if (!bb_char_is_space(bb_utf8_decode(u + at, end - at))) break;
        end = at;
    }
    return end;
}

/* End of the white space that starts at `at`. */
static size_t space_behind(const char *text, size_t at, size_t n)
{
    const unsigned char *u = (const unsigned char *)text;

    while (at < n) {
        const size_t length = bb_utf8_length(u + at, n - at);
        if (!bb_char_is_space(bb_utf8_decode(u + at, length))) break;
        at += length;
    }
    return at;
}

bb_added_scan bb_added_scan_begin(const bb_added_set *set, const char *text, size_t n,
                                  bool special)
{
    return (bb_added_scan){ .set = set, .text = text, .n = n, .special = special };
}

/* Whether [start, end) touches a range of plain text. Starts never go back. */
static bool touches_plain(bb_added_scan *s, size_t start, size_t end)
{
    while (s->next_plain < s->n_plain && s->plain[s->next_plain].end <= start) s->next_plain++;
    return s->next_plain < s->n_plain && s->plain[s->next_plain].begin < end;
}

/* Whether a token found at [start, end) counts. One that does not still hides shorter ones. */
static bool counts(const bb_added_scan *s, const bb_added_token *t, size_t start, size_t end)
{
    if (t->special && !s->special) return false;
    return !t->single_word || (!ends_in_word(s->text, start) &&
                               !begins_with_word(s->text + end, s->n - end));
}

bool bb_added_scan_next(bb_added_scan *s)
{
    if (s->held) {
        s->token = s->held;
        s->start = s->done;
        s->end = s->done = s->held_end;
        s->held = NULL;
        return true;
    }
    while (s->set->n > 0 && s->next < s->n) {
        size_t                start = s->next;
        const bb_added_token *t = longest_at(s->set, s->text + start, s->n - start);
        if (!t) {
            s->next++;
            continue;
        }
        size_t end = s->next = start + t->n_match;
        if (t->special && touches_plain(s, start, end)) {
            s->next = start + 1;          /* it hides no token that begins behind a user's text */
            continue;
        }
        if (!counts(s, t, start, end)) continue;
        if (t->lstrip) start = start > s->done ? space_before(s->text, s->done, start) : s->done;
        if (t->rstrip) end = space_behind(s->text, end, s->n);
        if (end <= start) continue;       /* the token before has taken it in */
        s->token = s->done < start ? NULL : t;
        s->held = s->done < start ? t : NULL;
        s->held_end = end;
        s->start = s->done;
        s->end = s->done = s->token ? end : start;
        return true;
    }
    if (s->done >= s->n) return false;
    s->token = NULL;
    s->start = s->done;
    s->end = s->done = s->n;
    return true;
}

const bb_added_token *bb_added_at(const bb_added *d, int32_t id)
{
    return bb_find_id(d->token, d->n, sizeof *d->token, id);
}

const bb_added_token *bb_added_find(const bb_added *d, const char *content, size_t n)
{
    for (size_t i = 0; i < d->n; i++)
        if (d->token[i].n_content == n && memcmp(d->token[i].content, content, n) == 0)
            return &d->token[i];
    return NULL;
}
