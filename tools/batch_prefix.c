/* batch_prefix.c - beginnings that prompts of a batch share. */
#include "batch_prefix.h"

#include "console.h"

#include <stdlib.h>
#include <string.h>

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

static size_t count_common(const int32_t *a, size_t n_a, const int32_t *b, size_t n_b)
{
    const size_t n = least(n_a, n_b);
    size_t i = 0;

    while (i < n && a[i] == b[i]) i++;
    return i;
}

static size_t count_shared(const batch_text *a, const batch_text *b)
{
    return count_common(a->prompt, a->n_prompt, b->prompt, b->n_prompt);
}

static bool is_same(const batch_text *a, const batch_text *b)
{
    return a->n_prompt == b->n_prompt && count_shared(a, b) == a->n_prompt;
}

/* ---- where a prompt can be cut ---- */

size_t batch_long_end(const batch *b, size_t n)
{
    const size_t rest = n % b->n_batch;

    if (b->n_batch <= BATCH_MOST) return 0;
    return rest <= BATCH_MOST ? n - rest : n;
}

/* Whether a prompt of n tokens has the same bits if it is cut at `at`: at an edge of chunks, and
   what is left of the pass that it is in alone has many rows. */
static bool can_cut(const batch *b, size_t n, size_t at)
{
    const size_t long_end = batch_long_end(b, n);

    if (!b->is_free || at == 0 || at % BATCH_EDGE != 0 || at > long_end) return false;
    const size_t pass_end = least((at / b->n_batch + 1) * b->n_batch, long_end);
    return at == long_end ? at < n : pass_end - at > BATCH_MOST;
}

/* The last place up to `at` where both prompts can be cut; 0: none. */
static size_t find_cut(const batch *b, size_t n, size_t m, size_t at)
{
    size_t cut = at / BATCH_EDGE * BATCH_EDGE;

    while (cut > 0 && !(can_cut(b, n, cut) && can_cut(b, m, cut))) cut -= BATCH_EDGE;
    return cut;
}

/* ---- trunks ---- */

/* Tokens of a session if the text can go on from there; else 0. is_whole: as a whole prompt. */
static size_t match_session(const batch *b, const bamba_session *s, bool is_whole,
                            const batch_text *t)
{
    const size_t   n = bamba_session_position(s);
    const int32_t *tokens = bamba_session_tokens(s);

    if (count_common(tokens, n, t->prompt, t->n_prompt) < n) return 0;
    if (is_whole) return n == t->n_prompt ? n : 0;
    return can_cut(b, t->n_prompt, n) ? n : 0;
}

const batch_trunk *batch_find_trunk(const batch *b, const batch_text *t)
{
    const batch_trunk *best = NULL;
    size_t most = 0;

    for (size_t i = 0; i < b->n_trunks; i++) {
        const batch_trunk *k = &b->trunk[i];
        const size_t n = match_session(b, k->session, k->logits != NULL, t);
        if (n > most) {
            most = n;
            best = k;
        }
    }
    return best;
}

bool batch_should_wait(const batch *b, const batch_text *t)
{
    const batch_trunk *k = batch_find_trunk(b, t);
    const size_t n = k ? bamba_session_position(k->session) : 0;

    for (size_t i = 0; i < b->reading.n; i++) {
        const batch_text *a = b->reading.text[i];
        if (n < t->n_prompt && is_same(a, t)) return true;
        if (a->stop > n && count_shared(a, t) >= a->stop && can_cut(b, t->n_prompt, a->stop))
            return true;
    }
    return false;
}

/* Tokens of waiting texts that are not fed if they go on from `cut` tokens of a prompt whose first
   `from` tokens they need not be fed; n_shared of each waiting text is known. */
static size_t count_saved(const batch *b, size_t cut, size_t from)
{
    size_t saved = 0;

    for (size_t i = 0; i < b->waiting.n; i++) {
        const batch_text *t = b->waiting.text[i];
        if (t->n_shared >= cut && can_cut(b, t->n_prompt, cut)) saved += cut - from;
    }
    return saved;
}

void batch_plan_stop(const batch *b, batch_text *t)
{
    const size_t position = bamba_session_position(t->session);
    const batch_list *w = &b->waiting;
    size_t most = 0;

    t->stop = 0;
    for (size_t i = 0; i < w->n; i++) w->text[i]->n_shared = count_shared(t, w->text[i]);
    for (size_t i = 0; i < w->n; i++) {
        const size_t n = w->text[i]->n_prompt, n_shared = w->text[i]->n_shared;
        if (n == t->n_prompt && n_shared == n) continue;      /* it goes on from the whole prompt */
        const size_t cut = find_cut(b, t->n_prompt, n, n_shared);
        const size_t saved = cut > position ? count_saved(b, cut, position) : 0;
        if (saved <= most) continue;
        most = saved;
        t->stop = cut;
    }
}

/* Whether a waiting text would go on from there. */
static bool is_needed(const batch *b, const bamba_session *s, bool is_whole)
{
    for (size_t i = 0; i < b->waiting.n; i++)
        if (match_session(b, s, is_whole, b->waiting.text[i]) > 0) return true;
    return false;
}

void batch_drop_trunks(batch *b, bool all)
{
    for (size_t i = b->n_trunks; i-- > 0;) {
        batch_trunk *k = &b->trunk[i];
        if (!all && is_needed(b, k->session, k->logits != NULL)) continue;
        bamba_session_free(k->session);
        free(k->logits);
        b->bytes -= k->bytes;
        *k = b->trunk[--b->n_trunks];
    }
}

int batch_keep_trunk(batch *b, const batch_text *t, const float *logits)
{
    const size_t size = (size_t)b->setup->info.n_vocab * sizeof *logits;
    const size_t n = bamba_session_position(t->session);
    bamba_error err = { BAMBA_OK, "" };

    if (!is_needed(b, t->session, logits != NULL)) return EXIT_SUCCESS;
    batch_drop_trunks(b, false);
    const uint64_t bytes = bamba_session_bytes(b->setup->model, &b->setup->session_options, n)
        + (logits ? size : 0);
    if (b->n_trunks == BATCH_TRUNKS || b->bytes + bytes > b->budget) return EXIT_SUCCESS;
    batch_trunk *k = &b->trunk[b->n_trunks];
    *k = (batch_trunk){ .bytes = bytes };
    const bamba_status status = bamba_session_fork(&k->session, t->session, NULL, &err);
    if (status != BAMBA_OK) return console_fail_library(status, &err);
    b->n_trunks++;
    b->bytes += bytes;
    if (!logits) return EXIT_SUCCESS;
    k->logits = malloc(size);
    if (!k->logits) return console_fail("out of memory");
    memcpy(k->logits, logits, size);
    return EXIT_SUCCESS;
}
