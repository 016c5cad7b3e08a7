/* speculator.c - guesses at what comes next: what followed the last tokens where they stood before.
 *
 * Positions whose last SHORTEST tokens hash alike are chained, the latest first. A guess follows
 * the position, among the latest MOST_TRIED of the chain, that agrees with the end the longest.
 * Source:  Saxena 2023, "Prompt Lookup Decoding". */
#include "bamba.h"

#include "base/alloc.h"
#include "base/error.h"

#include <string.h>

enum { SHORTEST = 2, LONGEST = 32, MOST_TRIED = 64, FEWEST_CHAINS = 1024 };

struct bamba_speculator {
    bb_allocator alloc;
    int32_t     *token;                   /* [n] */
    uint32_t    *before;                  /* [n] 1 + the previous position of the chain; 0: none */
    size_t       n, cap_tokens, cap_before;
    uint32_t    *latest;                  /* [n_chains] 1 + a chain's last position; 0: empty */
    size_t       n_chains;                /* a power of two, at least the tokens */
};

bamba_status bamba_speculator_create(bamba_speculator **out, bamba_error *err)
{
    bb_allocator a;

    if (!out) return bb_fail(err, BAMBA_ERR_ARGUMENT, "speculator: out is NULL");
    *out = NULL;
    bb_status status = bb_allocator_resolve(&a, &(bamba_allocator){ NULL, NULL, NULL }, err);
    if (status != BAMBA_OK) return status;
    *out = bb_new(&a, 1, sizeof **out);
    if (!*out) return bb_fail(err, BAMBA_ERR_MEMORY, "speculator: out of memory");
    (*out)->alloc = a;
    return BAMBA_OK;
}

void bamba_speculator_free(bamba_speculator *s)
{
    if (!s) return;
    const bb_allocator a = s->alloc;
    bb_release(&a, s->token);
    bb_release(&a, s->before);
    bb_release(&a, s->latest);
    bb_release(&a, s);
}

/* The chain of the SHORTEST tokens that end with the token at `at`. */
static uint32_t *chain_of(const bamba_speculator *s, size_t at)
{
    uint64_t h = 0;

    for (size_t i = 0; i < SHORTEST; i++)
        h = (h + (uint32_t)s->token[at - i]) * UINT64_C(0x9E3779B97F4A7C15);
    return &s->latest[(h >> 32) & (s->n_chains - 1)];
}

static void link(bamba_speculator *s, size_t at)
{
    s->before[at] = 0;
    if (at + 1 < SHORTEST) return;
    uint32_t *chain = chain_of(s, at);
    s->before[at] = *chain;
    *chain = (uint32_t)at + 1;
}

/* Twice as many chains, when there are more tokens than chains. */
static bool add_chains(bamba_speculator *s, size_t n)
{
    size_t    wanted = s->n_chains ? s->n_chains : FEWEST_CHAINS;
    uint32_t *latest;

    if (n <= s->n_chains) return true;
    while (wanted < n) wanted *= 2;
    if (!(latest = bb_new(&s->alloc, wanted, sizeof *latest))) return false;
    bb_release(&s->alloc, s->latest);
    s->latest = latest;
    s->n_chains = wanted;
    for (size_t i = 0; i < s->n; i++) link(s, i);
    return true;
}

bamba_status bamba_speculator_accept(bamba_speculator *s, const int32_t *tokens, size_t n,
                                     bamba_error *err)
{
    if (!s || (n > 0 && !tokens) || n > UINT32_MAX / 2 - s->n)
        return bb_fail(err, BAMBA_ERR_ARGUMENT, "speculator: expected an object, and at most "
                       "%u tokens", UINT32_MAX / 2);
    if (!bb_reserve(&s->alloc, &s->token, &s->cap_tokens, s->n + n, sizeof *s->token)
        || !bb_reserve(&s->alloc, &s->before, &s->cap_before, s->n + n, sizeof *s->before)
        || !add_chains(s, s->n + n))
        return bb_fail(err, BAMBA_ERR_MEMORY, "speculator: out of memory");
    for (size_t i = 0; i < n; i++) {
        s->token[s->n] = tokens[i];
        link(s, s->n++);
    }
    return BAMBA_OK;
}

/* How many tokens before `at`, and at it, agree with the last ones. */
static size_t agreement(const bamba_speculator *s, size_t at)
{
    size_t n = 0;
    while (n < LONGEST && n <= at && s->token[at - n] == s->token[s->n - 1 - n]) n++;
    return n;
}

size_t bamba_speculator_propose(const bamba_speculator *s, int32_t *tokens, size_t n)
{
    size_t best = 0, from = 0, at;
    int    tried = 0;

    if (!s || !tokens || s->n <= SHORTEST) return 0;
    for (at = s->before[s->n - 1]; at > 0 && tried++ < MOST_TRIED; at = s->before[at - 1]) {
        const size_t same = agreement(s, at - 1);
        if (same >= SHORTEST && same > best) best = same, from = at;
        if (best == LONGEST) break;
    }
    if (best == 0) return 0;
    for (size_t i = 0; i < n; i++)        /* what has been proposed goes on what repeats itself */
        tokens[i] = from + i < s->n ? s->token[from + i] : tokens[from + i - s->n];
    return n;
}
