/* dry_breakers.c - the tokens in which a sequence breaker begins or stands. */
#include "dry_breakers.h"

#include <string.h>

static const char *const usual[] = { "\n", ":", "\"", "*" };

typedef struct breaker {
    const char *text;                     /* [n]                                             */
    size_t      n;
    int32_t     first;                    /* tails [first + i] go on behind i bytes of text  */
} breaker;

typedef struct search {
    const breaker *breakers;              /* [n_breakers]                                    */
    size_t         n_breakers;
    const bb_tail *tails;
    bb_head       *heads;                 /* NULL: only count                                */
    size_t         n_heads;
} search;

static bool holds(const char *text, size_t n, const breaker *b)
{
    for (size_t i = 0; i + b->n <= n; i++)
        if (memcmp(text + i, b->text, b->n) == 0) return true;
    return false;
}

static void add_head(search *s, int32_t id, int32_t tail)
{
    if (s->heads) s->heads[s->n_heads] = (bb_head){ id, tail };
    s->n_heads++;
}

static void search_token(search *s, int32_t id, const char *text, size_t n)
{
    for (size_t k = 0; k < s->n_breakers; k++) {
        const breaker *b = &s->breakers[k];

        if (holds(text, n, b)) {
            add_head(s, id, 0);
            continue;
        }
        for (size_t i = 1; i < b->n && i <= n; i++)
            if (s->tails[(size_t)b->first + i].n > 0 && memcmp(text + n - i, b->text, i) == 0)
                add_head(s, id, b->first + (int32_t)i);
    }
}

static void search_vocabulary(search *s, const bamba_tokenizer *t, int n_vocab)
{
    s->n_heads = 0;
    for (int32_t id = 0; id < n_vocab; id++) {
        size_t n;
        const char *text = bamba_token_text(t, id, &n);
        if (text) search_token(s, id, text, n);
    }
}

/* A rest that is not text by itself, such as the second half of a character, has no tail. */
static bb_status fill_tails(bb_tail *tails, const breaker *b, const bamba_tokenizer *t,
                            bamba_error *err)
{
    for (size_t i = 1; i < b->n; i++) {
        bb_tail *tail = &tails[(size_t)b->first + i];
        int32_t *ids = NULL;
        size_t n = 0;
        const bb_status status = bamba_tokenize(t, b->text + i, b->n - i, BAMBA_TOKENIZE_CONTINUE,
                                                &ids, &n, NULL);
        if (status == BAMBA_ERR_MEMORY)
            return bb_fail(err, status, "sampler: out of memory (dry_breakers)");
        tail->n = status != BAMBA_OK ? 0 : n < BB_TAIL_TOKENS ? n : BB_TAIL_TOKENS;
        if (tail->n) memcpy(tail->ids, ids, tail->n * sizeof *ids);
        bamba_tokens_free(t, ids);
    }
    return BAMBA_OK;
}

static bb_status measure_breakers(breaker *b, size_t n, const char *const *texts, size_t *n_tails,
                                  bamba_error *err)
{
    *n_tails = 1;
    for (size_t i = 0; i < n; i++) {
        const size_t bytes = texts[i] ? strlen(texts[i]) : 0;
        if (bytes == 0 || bytes > BB_BREAKER_BYTES)
            return bb_fail(err, BAMBA_ERR_ARGUMENT,
                           "sampler: dry_breakers: expected texts of 1 to %d bytes, found %zu",
                           BB_BREAKER_BYTES, bytes);
        b[i] = (breaker){ texts[i], bytes, (int32_t)*n_tails };
        *n_tails += bytes;
    }
    return BAMBA_OK;
}

bb_status bb_dry_breakers_open(bb_dry_breakers *out, const bamba_sampler_options *o, int n_vocab,
                               const bb_allocator *a, bamba_error *err)
{
    bb_status          status = BAMBA_OK;
    const char *const *texts = o->dry_breakers ? o->dry_breakers : usual;
    const size_t       n = o->dry_breakers ? o->n_dry_breakers : sizeof usual / sizeof *usual;
    breaker           *breakers = NULL;
    size_t             n_tails = 0;

    *out = (bb_dry_breakers){ .n_heads = 0 };
    if (n == 0) return BAMBA_OK;
    if (!o->tokenizer)
        return bb_fail(err, BAMBA_ERR_ARGUMENT,
                       "sampler: dry_breakers are texts of a tokenizer, which is NULL");
    breakers = n <= INT32_MAX / (2 * BB_BREAKER_BYTES) ? bb_allocate(a, n, sizeof *breakers) : NULL;
    if (!breakers) goto out_of_memory;
    BB_TRY(measure_breakers(breakers, n, texts, &n_tails, err));
    out->tails = bb_new(a, n_tails, sizeof *out->tails);
    if (!out->tails) goto out_of_memory;
    for (size_t i = 0; i < n; i++)
        BB_TRY(fill_tails(out->tails, &breakers[i], o->tokenizer, err));

    search s = { .breakers = breakers, .n_breakers = n, .tails = out->tails };
    search_vocabulary(&s, o->tokenizer, n_vocab);
    if (s.n_heads > 0) {
        out->heads = s.heads = bb_allocate(a, s.n_heads, sizeof *s.heads);
        if (!s.heads) goto out_of_memory;
        search_vocabulary(&s, o->tokenizer, n_vocab);
    }
    out->n_heads = s.n_heads;
done:
    bb_release(a, breakers);
    return status;
out_of_memory:
    status = bb_fail(err, BAMBA_ERR_MEMORY, "sampler: out of memory (dry_breakers)");
    goto done;
}

void bb_dry_breakers_close(bb_dry_breakers *b, const bb_allocator *a)
{
    bb_release(a, b->tails);
    bb_release(a, b->heads);
}

/* The first head of a token, or the end. */
static const bb_head *find_heads(const bb_dry_breakers *b, int32_t id)
{
    size_t low = 0, high = b->n_heads;

    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (b->heads[middle].id < id) low = middle + 1;
        else high = middle;
    }
    return b->heads + low;
}

size_t bb_dry_breakers_match(const bb_dry_breakers *b, const int32_t *recent, size_t at)
{
    size_t longest = 0;

    if (b->n_heads == 0) return 0;
    const bb_head *end = b->heads + b->n_heads;

    for (const bb_head *h = find_heads(b, recent[at]); h < end && h->id == recent[at]; h++) {
        const bb_tail *tail = &b->tails[h->tail];
        size_t same = 0;

        if (tail->n > at) continue;
        while (same < tail->n && tail->ids[same] == recent[at - 1 - same]) same++;
        if (same == tail->n && same + 1 > longest) longest = same + 1;
    }
    return longest;
}

bool bb_dry_breakers_hold(const bb_dry_breakers *b, int32_t id)
{
    if (b->n_heads == 0) return false;
    const bb_head *end = b->heads + b->n_heads;
    for (const bb_head *h = find_heads(b, id); h < end && h->id == id; h++)
        if (h->tail == 0) return true;
    return false;
}
