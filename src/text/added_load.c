/* added_load.c - which tokens are added, with which ids and flags. */
#include "text/added.h"

#include "base/sort.h"

#include <string.h>

static bb_status no_memory(bamba_error *err)
{
    return bb_fail(err, BAMBA_ERR_MEMORY, "out of memory for the added tokens");
}

/* -------------------------------------------------------------- the list ----------------- */

bool bb_added_append(bb_added_list *l, const bb_added_spec *spec)
{
    if (!bb_reserve(l->a, &l->spec, &l->capacity, l->n + 1, sizeof *l->spec)) return false;
    l->spec[l->n] = *spec;
    l->spec[l->n].order = l->n;
    l->n++;
    return true;
}

void bb_added_read(bb_added_spec *t, const bb_json *item)
{
    const bb_json content = bb_json_get(item, "content");
    const bool    written = bb_json_has(item, "normalized");

    *t = (bb_added_spec){ .id = -1, .content = "" };
    if (content.node) t->content = bb_json_value_text(&content, &t->n_content);
    t->special = bb_json_bool_or(item, "special", false);
    t->single_word = bb_json_bool_or(item, "single_word", false);
    t->lstrip = bb_json_bool_or(item, "lstrip", false);
    t->rstrip = bb_json_bool_or(item, "rstrip", false);
    t->normalized = written ? bb_json_bool_or(item, "normalized", true) : -1;
}

bb_status bb_added_list_load(bb_added_list *l, const bb_json *json, bamba_error *err)
{
    bb_added_spec t;

    if (json->node && !bb_json_is_array(json))
        bb_json_fail(json, BAMBA_ERR_FORMAT, "expected a list of tokens");
    for (size_t i = 0; i < bb_json_length(json); i++) {
        const bb_json item = bb_json_at(json, i);
        bb_json_text(&item, "content");
        bb_added_read(&t, &item);
        t.id = bb_json_int(&item, "id", 0, BB_ID_LIMIT - 1);
        if (t.normalized < 0) t.normalized = true;
        if (bb_json_status(json->doc, NULL) != BAMBA_OK) break;
        if (!bb_added_append(l, &t)) return no_memory(err);
    }
    l->n_first = l->n;
    return bb_json_status(json->doc, err);
}

/* -------------------------------------------------------------- building ----------------- */

static int by_content(const void *a, const void *b)
{
    const bb_added_spec *x = a;
    const bb_added_spec *y = b;
    const size_t         n = x->n_content < y->n_content ? x->n_content : y->n_content;
    const int            order = n ? memcmp(x->content, y->content, n) : 0;

    if (order) return order;
    if (x->n_content != y->n_content) return x->n_content < y->n_content ? -1 : 1;
    return (x->order > y->order) - (x->order < y->order);
}

static int by_order(const void *a, const void *b)
{
    const bb_added_spec *x = a;
    const bb_added_spec *y = b;
    return (x->order > y->order) - (x->order < y->order);
}

static bool is_like(const bb_added_spec *x, const bb_added_spec *y)
{
    const bool raw_x = x->normalized < 0 ? !x->special : x->normalized;
    const bool raw_y = y->normalized < 0 ? !y->special : y->normalized;
    return x->by_name == y->by_name && x->special == y->special && raw_x == raw_y &&
           x->single_word == y->single_word && x->lstrip == y->lstrip && x->rstrip == y->rstrip;
}

/* Drop those of specs [n] that do not count. */
static void drop_others(bb_added_spec *spec, size_t n, bool known)
{
    size_t kept[64];                      /* there are 33 different ones */
    size_t n_kept = 0;

    for (size_t i = 0; i < n; i++) {
        bool drop = spec[i].n_content == 0 || (known && spec[i].only_new);
        for (size_t k = 0; spec[i].only_new && k < n_kept && !drop; k++)
            drop = is_like(&spec[kept[k]], &spec[i]);
        if (drop) spec[i].content = NULL;
        else if (spec[i].only_new) kept[n_kept++] = i;
    }
}

/* Of specs [n] with one content, in their order, make the first that counts the token: the last
   one's flags, and special if any is. The others lose their content. */
static void merge(bb_added_spec *spec, size_t n, size_t n_first)
{
    bool           known = false;
    bool           named = false;
    bool           told = false;
    bb_added_spec *token = NULL;

    for (size_t i = 0; i < n; i++) {
        known = known || !spec[i].only_new;
        named = named || spec[i].key;
        told = told || spec[i].mark == BB_ADDED_TELLS;
    }
    drop_others(spec, n, known);
    for (size_t i = 0; i < n; i++) {
        bb_added_spec *s = &spec[i];
        if (!s->content) continue;
        if (s->mark == BB_ADDED_BARE) {
            s->special = told;
            s->normalized = !told;
        }
        s->special = s->special || (named && s->order >= n_first);
        if (s->normalized < 0) s->normalized = !s->special;
        if (!token) {
            token = s;
            continue;
        }
        s->special = s->special || token->special;
        s->order = token->order;
        s->id = token->id;
        token->content = NULL;
        token = s;
    }
}

static void merge_all(bb_added_list *l)
{
    bb_sort(l->spec, l->n, sizeof *l->spec, by_content);
    for (size_t i = 0, end; i < l->n; i = end) {
        for (end = i + 1; end < l->n; end++)
            if (l->spec[end].n_content != l->spec[i].n_content ||
                memcmp(l->spec[end].content, l->spec[i].content, l->spec[i].n_content) != 0)
                break;
        merge(l->spec + i, end - i, l->n_first);
    }
    bb_sort(l->spec, l->n, sizeof *l->spec, by_order);
}

/* The id after all there are. */
static int32_t next_id(const bb_added *d, const bb_vocab *vocab)
{
    int32_t next = (int32_t)vocab->n;

    for (size_t i = 0; i < d->n; i++)
        if (d->token[i].id >= next) next = d->token[i].id + 1;
    return next;
}

static bb_status add_tokens(bb_added *d, const bb_added_list *l, const bb_vocab *vocab,
                            const bb_log *log, bamba_error *err)
{
    int32_t next = next_id(d, vocab);
    bool    later = false;

    for (size_t i = 0; i < l->n; i++) {
        const bb_added_spec *s = &l->spec[i];
        bb_added_token      *t = &d->token[d->n];
        if (!s->content) continue;
        if (!later && s->order >= l->n_first) {
            later = true;
            next = next_id(d, vocab);
        }
        *t = (bb_added_token){ .n_content = s->n_content, .special = s->special,
                               .single_word = s->single_word, .lstrip = s->lstrip,
                               .rstrip = s->rstrip, .normalized = s->normalized };
        t->id = bb_vocab_find(vocab, s->content, s->n_content);
        if (t->id < 0) t->id = next++;
        if (t->id >= BB_ID_LIMIT)
            return bb_fail(err, BAMBA_ERR_FORMAT, "added token '%.60s': no id below %d is left",
                           s->content, BB_ID_LIMIT);
        if (s->id >= 0 && s->id != t->id)
            bb_log_line(log, "added token '%.60s' has id %d, not %lld as written", s->content,
                        (int)t->id, (long long)s->id);
        t->content = bb_copy_text(&d->alloc, s->content, s->n_content);
        if (!t->content) return no_memory(err);
        d->n++;
    }
    return BAMBA_OK;
}

/* By id, then as added. */
static int by_id(const void *a, const void *b)
{
    const bb_added_token *x = a;
    const bb_added_token *y = b;
    const int             order = bb_compare_ids(a, b);
    return order ? order : (x->n_match > y->n_match) - (x->n_match < y->n_match);
}

/* Sort by id. Where a new id is also that of a token of a vocabulary with gaps, the later token
   takes it. */
static void sort_tokens(bb_added *d)
{
    size_t n = 0;

    for (size_t i = 0; i < d->n; i++) d->token[i].n_match = i;        /* to sort stably */
    bb_sort(d->token, d->n, sizeof *d->token, by_id);
    for (size_t i = 0; i < d->n; i++) {
        if (n > 0 && d->token[n - 1].id == d->token[i].id)
            bb_release(&d->alloc, d->token[--n].content);
        d->token[n++] = d->token[i];
    }
    d->n = n;
}

static bool same_match(const bb_added_token *x, const bb_added_token *y)
{
    return x->n_match == y->n_match && memcmp(x->match, y->match, x->n_match) == 0;
}

static int by_match(const void *a, const void *b)
{
    const bb_added_token *x = *(const bb_added_token *const *)a;
    const bb_added_token *y = *(const bb_added_token *const *)b;
    const size_t          n = x->n_match < y->n_match ? x->n_match : y->n_match;
    const int             order = n ? memcmp(x->match, y->match, n) : 0;

    if (order) return order;
    if (x->n_match != y->n_match) return x->n_match < y->n_match ? -1 : 1;
    return bb_compare_ids(x, y);
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
        if (t->normalized) BB_TRY(bb_normalize(normalizer, matcher, &text, &spare, false, err));
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

/* Of tokens that normalize to the same text, the lowest id is found. */
static bb_status build_set(bb_added_set *set, const bb_added *d, bool normalized,
                           const bb_json *place, bamba_error *err)
{
    for (size_t i = 0; i < d->n; i++) set->n += d->token[i].normalized == normalized;
    if (set->n == 0) return BAMBA_OK;
    set->token = bb_allocate(&d->alloc, set->n, sizeof *set->token);
    if (!set->token) return no_memory(err);

    size_t n = 0;
    for (size_t i = 0; i < d->n; i++)
        if (d->token[i].normalized == normalized) set->token[n++] = &d->token[i];
    bb_sort(set->token, n, sizeof *set->token, by_match);
    set->n = 0;
    for (size_t i = 0; i < n; i++) {
        const bb_added_token *t = set->token[i];
        if (t->n_match == 0)
            bb_json_fail(place, BAMBA_ERR_FORMAT, "token %d is empty", (int)t->id);
        else if (set->n == 0 || !same_match(set->token[set->n - 1], t)) {
            set->first[(unsigned char)t->match[0] + 1]++;
            set->token[set->n++] = t;
        }
    }
    for (size_t b = 1; b < 257; b++) set->first[b] += set->first[b - 1];
    return bb_json_status(place->doc, err);
}

bb_status bb_added_load(bb_added *d, const bb_allocator *a, bb_added_list *list,
                        const bb_json *place, const bb_vocab *vocab,
                        const bb_normalizer *normalizer, const bb_log *log, bamba_error *err)
{
    bb_status status = BAMBA_OK;

    *d = (bb_added){ .alloc = *a };
    if (list->n == 0) return BAMBA_OK;
    d->token = bb_new(a, list->n, sizeof *d->token);
    if (!d->token) return no_memory(err);
    merge_all(list);
    BB_TRY(add_tokens(d, list, vocab, log, err));
    sort_tokens(d);
    BB_TRY(find_match_text(d, normalizer, err));
    BB_TRY(build_set(&d->raw, d, false, place, err));
    BB_TRY(build_set(&d->normalized, d, true, place, err));
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
