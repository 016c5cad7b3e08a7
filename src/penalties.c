/* penalties.c - tokens that were seen lately become less likely. */
#include "penalties.h"

#include <string.h>

static bool has_penalties(const bamba_sampler_options *o)
{
    return o->penalty_last_n != 0 &&
           (o->repetition_penalty != 1.0f || o->presence_penalty != 0.0f ||
            o->frequency_penalty != 0.0f);
}

bool bb_penalties_open(bb_penalties *p, const bamba_sampler_options *o, int n_vocab,
                       const bb_allocator *a)
{
    *p = (bb_penalties){
        .repetition = o->repetition_penalty, .presence = o->presence_penalty,
        .frequency = o->frequency_penalty, .n_vocab = n_vocab,
    };
    if (!has_penalties(o)) return true;
    p->counts = bb_new(a, (size_t)n_vocab, sizeof *p->counts);
    if (!p->counts || o->penalty_last_n < 0) return p->counts != NULL;
    p->size = (size_t)o->penalty_last_n;
    p->window = bb_allocate(a, p->size, sizeof *p->window);
    return p->window != NULL;
}

void bb_penalties_close(bb_penalties *p, const bb_allocator *a)
{
    bb_release(a, p->counts);
    bb_release(a, p->window);
}

void bb_penalties_reset(bb_penalties *p)
{
    p->n = 0;
    p->oldest = 0;
    if (p->counts) memset(p->counts, 0, (size_t)p->n_vocab * sizeof *p->counts);
}

void bb_penalties_accept(bb_penalties *p, int32_t id)
{
    if (!p->counts || id < 0 || id >= p->n_vocab) return;
    if (p->counts[id] < UINT32_MAX) p->counts[id]++;
    if (!p->window) return;

    if (p->n == p->size) p->counts[p->window[p->oldest]]--;
    else p->n++;
    p->window[p->oldest] = id;
    p->oldest = p->oldest + 1 == p->size ? 0 : p->oldest + 1;
}

void bb_penalties_apply(const bb_penalties *p, bb_pool *pool)
{
    const float temperature = (float)pool->temperature;

    if (!p->counts) return;
    for (size_t i = 0; i < pool->n; i++) {
        const uint32_t count = p->counts[pool->c[i].id];
        float x = pool->c[i].logit;

        if (count == 0) continue;
        x = x > 0.0f ? x / p->repetition : x * p->repetition;
        x -= temperature * ((float)count * p->frequency + p->presence);
        pool->c[i].logit = x;
    }
    bb_pool_drop_impossible(pool);
}
