/* spans.c - places in a text: where a pattern matches, and the pieces that makes. */
#include "text/spans.h"

#include "base/utf8.h"

bool bb_spans_add(bb_spans *list, size_t start, size_t end, bool is_match)
{
    if (!bb_reserve(list->a, &list->span, &list->capacity, list->n + 1, sizeof *list->span))
        return false;
    list->span[list->n++] = (bb_span){ start, end, is_match };
    return true;
}

bb_status bb_spans_find(bb_spans *found, const bb_regex *pattern, bb_matcher *m,
                        const char *text, bb_span in, bamba_error *err)
{
    bb_scan scan = bb_scan_begin(pattern, m, text + in.start, in.end - in.start);
    size_t  done = 0;
    bool    more = true;
    bool    ok = true;

    found->n = 0;
    while (ok) {
        const bb_status status = bb_scan_next(&scan, &more, err);
        if (status != BAMBA_OK) return status;
        if (!more) break;
        if (done < scan.start)
            ok = bb_spans_add(found, in.start + done, in.start + scan.start, false);
        ok = ok && bb_spans_add(found, in.start + scan.start, in.start + scan.end, true);
        done = scan.end;
    }
    if (ok && done < scan.n) ok = bb_spans_add(found, in.start + done, in.end, false);
    return ok ? BAMBA_OK : bb_fail(err, BAMBA_ERR_MEMORY, "splitting text: out of memory");
}

bool bb_spans_find_chars(bb_spans *found, bb_char_fn *matches, const char *text, bb_span in)
{
    const unsigned char *u = (const unsigned char *)text;
    size_t               done = in.start;
    bool                 ok = true;

    found->n = 0;
    for (size_t i = in.start; ok && i < in.end;) {
        const size_t length = bb_utf8_length(u + i, in.end - i);
        if (matches(bb_utf8_decode(u + i, length))) {
            if (done < i) ok = bb_spans_add(found, done, i, false);
            ok = ok && bb_spans_add(found, i, i + length, true);
            done = i + length;
        }
        i += length;
    }
    if (ok && done < in.end) ok = bb_spans_add(found, done, in.end, false);
    return ok;
}

/* A match joins the gap before it; a match right behind another stands alone. */
static void join_previous(bb_spans *s)
{
    for (size_t i = 1; i < s->n; i++) {
        if (!s->span[i].is_match || s->span[i - 1].is_match) continue;
        s->span[i - 1].end = s->span[i].end;
        s->span[i].start = s->span[i].end;
    }
}

/* A match joins the gap behind it; a match right before another stands alone. */
static void join_next(bb_spans *s)
{
    for (size_t i = 0; i + 1 < s->n; i++) {
        if (!s->span[i].is_match || s->span[i + 1].is_match) continue;
        s->span[i + 1].start = s->span[i].start;
        s->span[i].end = s->span[i].start;
    }
}

/* Neighbours that both match, or both do not, become one. */
static void join_equals(bb_spans *s)
{
    for (size_t i = 0; i + 1 < s->n; i++) {
        if (s->span[i].is_match != s->span[i + 1].is_match) continue;
        s->span[i + 1].start = s->span[i].start;
        s->span[i].end = s->span[i].start;
    }
}

bool bb_spans_split(bb_spans *pieces, bb_behavior behavior, bb_spans *found)
{
    if (behavior == BB_MERGED_WITH_PREVIOUS) join_previous(found);
    if (behavior == BB_MERGED_WITH_NEXT) join_next(found);
    if (behavior == BB_CONTIGUOUS) join_equals(found);
    for (size_t i = 0; i < found->n; i++) {
        const bb_span s = found->span[i];
        if (s.start == s.end || (behavior == BB_REMOVED && s.is_match)) continue;
        if (!bb_spans_add(pieces, s.start, s.end, false)) return false;
    }
    return true;
}
