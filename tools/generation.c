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

/* Move n_safe to where no stop string can begin any more. True if one stands there. */
static bool find_stop(generation *g)
{
    for (; g->n_safe < g->n_text; g->n_safe++) {
        const size_t rest = g->n_text - g->n_safe;
        bool possible = false;

        for (size_t i = 0; i < g->n_stops; i++) {
            const size_t length = strlen(g->stops[i]);
            const size_t n = length < rest ? length : rest;
            if (memcmp(g->text + g->n_safe, g->stops[i], n) != 0) continue;
            if (n == length) return true;
            possible = true;
        }
        if (possible) return false;
    }
    return false;
}

static void cut_at_stop(generation *g)
{
    if (g->end == GENERATION_STOP || !find_stop(g)) return;
    g->n_text = g->n_safe;
    g->end = GENERATION_STOP;
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
    return BAMBA_OK;
}

const char *generation_take(generation *g, size_t *n)
{
    const size_t start = g->n_taken;

    *n = g->n_safe - start;
    g->n_taken = g->n_safe;
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
    free(g->text);
}
