/* generation.c - from chosen tokens to the text a reader may see, and when it ends. */
#include "generation.h"

#include <stdlib.h>
#include <string.h>

enum { USUAL_BYTES = 256 };               /* of the text of one token; longer ones ask again */

/* Room for n elements of `size` bytes in a list; NULL without memory, and the list stays. */
static void *grow(void *list, size_t n, size_t *capacity, size_t size)
{
    if (n <= *capacity && list) return list;

    const size_t wanted = n > 2 * *capacity ? n : 2 * *capacity;
    void *grown = wanted <= SIZE_MAX / size ? realloc(list, wanted * size) : NULL;
    if (grown) *capacity = wanted;
    return grown;
}

static bamba_status decode(generation *g, const int32_t *ids, size_t n, unsigned flags)
{
    size_t needed = USUAL_BYTES;
    bamba_status status;

    if (!g->special) flags |= BAMBA_DECODE_SKIP_SPECIAL;
    do {
        char *text = grow(g->text, g->n_text + needed, &g->text_capacity, 1);
        if (!text) return BAMBA_ERR_MEMORY;
        g->text = text;
        status = bamba_decode(g->tokenizer, &g->decoder, ids, n, flags, text + g->n_text,
                              g->text_capacity - g->n_text, &needed);
    } while (status == BAMBA_OK && needed > g->text_capacity - g->n_text);
    if (status == BAMBA_OK) g->n_text += needed;
    return status;
}

/* What stood before a token. */
typedef struct generation_mark {
    size_t        n_text, n_safe;
    bamba_decoder decoder;
} generation_mark;

enum { NOTHING, PART, WHOLE };

/* How much of one of n texts stands at byte `at`: PART if the text ends before it does. */
static int match(const generation *g, size_t at, const char *const *texts, size_t n)
{
    const size_t rest = g->n_text - at;
    int most = NOTHING;

    for (size_t i = 0; i < n; i++) {
        const size_t length = strlen(texts[i]);
        if (memcmp(g->text + at, texts[i], length < rest ? length : rest) != 0) continue;
        if (length <= rest) return WHOLE;
        most = PART;
    }
    return most;
}

/* Move n_safe to where no stop or banned string can begin any more. True if a stop
   string stands there. */
static bool find_stop(generation *g)
{
    for (; g->n_safe < g->n_text && !g->is_banned; g->n_safe++) {
        const int stop = match(g, g->n_safe, g->stops, g->n_stops);
        if (stop == WHOLE) return true;
        const int ban = match(g, g->n_safe, g->bans, g->n_bans);
        g->is_banned = ban == WHOLE;
        if (stop == PART || ban == PART) return false;
        if (g->is_banned) return false;
    }
    return false;
}

static void cut_at_stop(generation *g)
{
    if (g->end == GENERATION_STOP || !find_stop(g)) return;
    g->n_text = g->n_safe;
    g->end = GENERATION_STOP;
}

/* The token whose text has byte `at`, or comes next. */
static size_t token_at(const generation *g, size_t at)
{
    size_t i = g->n_ids;
    while (i > 0 && g->mark[i - 1].n_text > at) i--;
    return i > 0 ? i - 1 : 0;
}

size_t generation_banned_token(const generation *g) { return token_at(g, g->n_safe); }

void generation_cut(generation *g, size_t n)
{
    if (n < g->n_ids) {
        g->n_text = g->mark[n].n_text;
        g->n_safe = g->mark[n].n_safe;    /* the rest of a stop or banned string may follow */
        g->decoder = g->mark[n].decoder;
        g->n_ids = n;
    }
    g->is_banned = false;
    g->end = GENERATION_RUNNING;
}

bamba_status generation_skip(generation *g, const int32_t *ids, size_t n)
{
    bamba_status status = BAMBA_OK;

    for (size_t i = 0; i < n && status == BAMBA_OK; i++) {
        status = decode(g, &ids[i], 1, 0);
        g->n_text = 0;
    }
    return status;
}

bool generation_is_end(const generation *g, int32_t id)
{
    return g->model && id >= 0 && (bamba_model_is_end(g->model, id) || id == g->turn_end ||
                                   id == bamba_tokenizer_eos(g->tokenizer));
}

bamba_status generation_put(generation *g, int32_t id, size_t room)
{
    const bool is_end = generation_is_end(g, id);
    bamba_status status = BAMBA_OK;

    int32_t *ids = grow(g->ids, g->n_ids + 1, &g->id_capacity, sizeof *ids);
    if (!ids) return BAMBA_ERR_MEMORY;
    g->ids = ids;
    generation_mark *mark = grow(g->mark, g->n_ids + 1, &g->mark_capacity, sizeof *mark);
    if (!mark) return BAMBA_ERR_MEMORY;
    g->mark = mark;
    g->mark[g->n_ids] = (generation_mark){ g->n_text, g->n_safe, g->decoder };
    g->ids[g->n_ids++] = id;

    if (is_end) g->end = GENERATION_END;
    if (!is_end || g->special) status = decode(g, &id, 1, 0);
    if (status != BAMBA_OK) return status;
    cut_at_stop(g);
    if (g->end != GENERATION_RUNNING) return BAMBA_OK;
    if (g->limit >= 0 && g->n_ids >= (size_t)g->limit) g->end = GENERATION_LENGTH;
    else if (room == 0) g->end = GENERATION_CONTEXT;
    return BAMBA_OK;
}

bamba_status generation_finish(generation *g, generation_end why)
{
    if (g->end == GENERATION_STOP) return BAMBA_OK;

    const bamba_status status = decode(g, NULL, 0, BAMBA_DECODE_FINISH);
    if (status != BAMBA_OK) return status;
    if (g->end == GENERATION_RUNNING) g->end = why;
    cut_at_stop(g);
    g->n_safe = g->n_text;
    g->n_open = g->n_bans = 0;
    return BAMBA_OK;
}

/* Bytes that stay if token i is taken back. Where text before it was waiting to become a banned
   string, it may become one with another token, and the token where that begins goes too. */
static size_t find_certain_before(const generation *g, size_t i)
{
    while (i > 0 && g->mark[i].n_safe < g->mark[i].n_text) i = token_at(g, g->mark[i].n_safe);
    return g->mark[i].n_text;
}

/* Bytes that nothing can take back: tokens that are taken back are so as a whole. */
static size_t find_certain(const generation *g)
{
    size_t certain = g->n_safe;

    if (g->n_bans > 0 && g->n_ids > 0 && certain < g->n_text)
        certain = find_certain_before(g, token_at(g, certain));
    if (g->n_open > 0 && g->n_ids > 0) {
        const size_t first_open = g->n_ids > g->n_open ? g->n_ids - g->n_open : 0;
        const size_t open = find_certain_before(g, first_open);
        if (open < certain) certain = open;
    }
    return certain > g->n_taken ? certain : g->n_taken;
}

const char *generation_take(generation *g, size_t *n)
{
    const size_t start = g->n_taken;

    g->n_taken = find_certain(g);
    *n = g->n_taken - start;
    return g->text ? g->text + start : "";
}

const char *generation_end_name(generation_end end)
{
    static const char *const names[] = {
        "running", "length", "end", "stop", "context", "interrupt"
    };
    return names[end];
}

void generation_free(generation *g)
{
    free(g->ids);
    free(g->mark);
    free(g->text);
}
