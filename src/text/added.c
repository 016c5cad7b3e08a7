/* added.c - tokens found in a text before it is split: special ones, and others added by name.
 *
 * The tokens stand sorted by their bytes. From a position of the text on, each byte narrows the
 * range of tokens that begin like it; the last token met whole is the longest. At most positions
 * the range is empty after one byte. */
#include "text/added.h"

#include "base/sort.h"
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
        if (!counts(s, t, start, end)) continue;
        if (t->lstrip && start > s->done) start = space_before(s->text, s->done, start);
        if (t->rstrip) end = space_behind(s->text, end, s->n);
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

/* -------------------------------------------------------------- loading ------------------ */

static int by_match(const void *a, const void *b)
{
    const bb_added_token *x = *(const bb_added_token *const *)a;
    const bb_added_token *y = *(const bb_added_token *const *)b;
    const size_t          n = x->n_match < y->n_match ? x->n_match : y->n_match;
    const int             order = n ? memcmp(x->match, y->match, n) : 0;
    return order ? order : (x->n_match > y->n_match) - (x->n_match < y->n_match);
}

static bb_status no_memory(bamba_error *err)
{
    return bb_fail(err, BAMBA_ERR_MEMORY, "out of memory for the added tokens");
}

static bb_status read_token(bb_added_token *t, const bb_added *d, const bb_json *item,
                            const bb_vocab *vocab, bamba_error *err)
{
    const bb_json content = bb_json_get(item, "content");
    const char   *text = bb_json_value_text(&content, &t->n_content);

    t->id = bb_json_int(item, "id", 0, BB_ID_LIMIT - 1);
    t->special = bb_json_bool_or(item, "special", false);
    t->single_word = bb_json_bool_or(item, "single_word", false);
    t->lstrip = bb_json_bool_or(item, "lstrip", false);
    t->rstrip = bb_json_bool_or(item, "rstrip", false);
    t->normalized = bb_json_bool_or(item, "normalized", true);
    const int32_t known = bb_vocab_find(vocab, text, t->n_content);
    if (known >= 0 && known != t->id)
        bb_json_fail_key(item, "id", BAMBA_ERR_FORMAT,
                         "'%.60s' has id %d in the vocabulary, %d here", text, (int)known,
                         (int)t->id);
    else if (known < 0 && bb_vocab_at(vocab, t->id))
        bb_json_fail_key(item, "id", BAMBA_ERR_FORMAT, "id %d of '%.60s' is another token's",
                         (int)t->id, text);
    const bb_status status = bb_json_status(item->doc, err);
    if (status != BAMBA_OK) return status;
    t->content = bb_copy_text(&d->alloc, text, t->n_content);
    return t->content ? BAMBA_OK : no_memory(err);
}

/* Set what to look for: the token's name, normalized if it is looked for in normalized text. */
static bb_status find_match_text(bb_added *d, const bb_normalizer *normalizer, bamba_error *err)
{
    bb_status   status = BAMBA_OK;
    bb_buffer   text = { .a = &d->alloc };
    bb_buffer   spare = { .a = &d->alloc };
    bb_matcher *matcher = NULL;

    BB_TRY(bb_matcher_create(&matcher, &d->alloc, err));
    for (size_t i = 0; i < d->n; i++) {
        bb_added_token *t = &d->token[i];
        text.n = 0;
        if (!bb_buffer_append(&text, t->content, t->n_content)) {
            status = no_memory(err);
            goto done;
        }
        if (t->normalized) BB_TRY(bb_normalize(normalizer, matcher, &text, &spare, err));
        t->n_match = text.n;
        t->match = bb_copy_text(&d->alloc, text.data, text.n);
        if (!t->match) {
            status = no_memory(err);
            goto done;
        }
    }
done:
    bb_matcher_free(matcher);
    bb_buffer_free(&spare);
    bb_buffer_free(&text);
    return status;
}

static bb_status build_set(bb_added_set *set, const bb_added *d, bool normalized,
                           const bb_json *list, bamba_error *err)
{
    for (size_t i = 0; i < d->n; i++) set->n += d->token[i].normalized == normalized;
    if (set->n == 0) return BAMBA_OK;
    set->token = bb_allocate(&d->alloc, set->n, sizeof *set->token);
    if (!set->token) return no_memory(err);

    size_t n = 0;
    for (size_t i = 0; i < d->n; i++)
        if (d->token[i].normalized == normalized) set->token[n++] = &d->token[i];
    bb_sort(set->token, n, sizeof *set->token, by_match);
    for (size_t i = 0; i < n; i++) {
        const bb_added_token *t = set->token[i];
        if (t->n_match == 0)
            bb_json_fail(list, BAMBA_ERR_FORMAT, "token %d is empty", (int)t->id);
        else if (i > 0 && by_match(&set->token[i - 1], &set->token[i]) == 0)
            bb_json_fail(list, BAMBA_ERR_FORMAT, "tokens %d and %d are the same text",
                         (int)set->token[i - 1]->id, (int)t->id);
        else
            set->first[(unsigned char)t->match[0] + 1]++;
    }
    for (size_t b = 1; b < 257; b++) set->first[b] += set->first[b - 1];
    return bb_json_status(list->doc, err);
}

bb_status bb_added_load(bb_added *d, const bb_allocator *a, const bb_json *list,
                        const bb_vocab *vocab, const bb_normalizer *normalizer,
                        bamba_error *err)
{
    bb_status status = BAMBA_OK;

    *d = (bb_added){ .alloc = *a };
    if (!list->node) return BAMBA_OK;
    if (!bb_json_is_array(list)) {
        bb_json_fail(list, BAMBA_ERR_FORMAT, "expected a list of tokens");
        return bb_json_status(list->doc, err);
    }
    const size_t n = bb_json_length(list);
    if (n == 0) return BAMBA_OK;
    d->token = bb_new(a, n, sizeof *d->token);
    if (!d->token) return no_memory(err);
    for (; d->n < n; d->n++) {
        const bb_json item = bb_json_at(list, d->n);
        BB_TRY(read_token(&d->token[d->n], d, &item, vocab, err));
    }
    bb_sort(d->token, n, sizeof *d->token, bb_compare_ids);
    for (size_t i = 1; i < n; i++) {
        if (d->token[i - 1].id != d->token[i].id) continue;
        bb_json_fail(list, BAMBA_ERR_FORMAT, "id %d stands there twice", (int)d->token[i].id);
        BB_TRY(bb_json_status(list->doc, err));
    }
    BB_TRY(find_match_text(d, normalizer, err));
    BB_TRY(build_set(&d->raw, d, false, list, err));
    BB_TRY(build_set(&d->normalized, d, true, list, err));
done:
    if (status != BAMBA_OK) bb_added_free(d);
    return status;
}

void bb_added_free(bb_added *d)
{
    if (!d->token) return;
    for (size_t i = 0; i < d->n; i++) {
        bb_release(&d->alloc, d->token[i].content);
        bb_release(&d->alloc, d->token[i].match);
    }
    bb_release(&d->alloc, d->token);
    bb_release(&d->alloc, d->raw.token);
    bb_release(&d->alloc, d->normalized.token);
    *d = (bb_added){ .alloc = d->alloc };
}
