/* adapters.c - the adapters of a session, and what an engine needs for them. */
#include "adapters.h"

#include "mixer/lora.h"

#include <math.h>
#include <string.h>

static bool has_own_weights(const bb_adapter *a) { return a->own_embed.data || a->own_head.w.data; }

static bb_status check(const bamba_session *s, const bamba_adapter_use *use, size_t n,
                       bamba_error *err)
{
    size_t n_own = 0;

    if (n > BB_MOST_ADAPTERS || (n > 0 && !use))
        return bb_fail(err, BAMBA_ERR_ARGUMENT, "session adapters: expected up to %d, found %zu%s",
                       BB_MOST_ADAPTERS, n, use ? "" : " and NULL");
    for (size_t i = 0; i < n; i++) {
        const bamba_adapter *a = use[i].adapter;
        if (!a || a->model != s->model)
            return bb_fail(err, BAMBA_ERR_ARGUMENT, "session adapters: number %zu %s", i,
                           a ? "belongs to another model" : "is NULL");
        if (!isfinite(use[i].scale))
            return bb_fail(err, BAMBA_ERR_ARGUMENT, "session adapters: number %zu: expected a "
                           "finite scale, found %g", i, (double)use[i].scale);
        if (!has_own_weights(&a->base)) continue;
        if (use[i].scale != 1.0f || n_own++ > 0)
            return bb_fail(err, BAMBA_ERR_ARGUMENT, "session adapters: number %zu replaces the "
                           "embedding or the head: expected %s", i,
                           use[i].scale != 1.0f ? "scale 1" : "no other adapter that does");
    }
    return BAMBA_OK;
}

static void name_list(bamba_session *s, const bamba_adapter_use *use, size_t n)
{
    unsigned char hash[BB_HASH_BYTES];
    bb_hash       h;

    s->adapters_name[0] = '\0';
    if (n == 0) return;
    bb_hash_begin(&h);
    for (size_t i = 0; i < n; i++) {
        bb_hash_add_text(&h, use[i].adapter->hash);
        bb_hash_add(&h, &use[i].scale, sizeof use[i].scale);
    }
    bb_hash_end(&h, hash);
    bb_hash_show(hash, s->adapters_name);
}

bb_status bb_adapters_give(bamba_session *s, const bamba_adapter_use *use, size_t n,
                           bamba_error *err)
{
    const bb_status status = check(s, use, n, err);

    if (status != BAMBA_OK) return status;
    bb_adapter_use *own = n > 0 ? bb_new(&s->alloc, n, sizeof *own) : NULL;
    if (n > 0 && !own) return bb_fail(err, BAMBA_ERR_MEMORY, "session adapters: out of memory");
    s->n_inputs = 0;
    for (size_t i = 0; i < n; i++) {
        own[i] = (bb_adapter_use){ &use[i].adapter->base, use[i].scale };
        s->n_inputs += own[i].adapter->widest;
    }
    bb_release(&s->alloc, s->adapter);
    s->adapter = own;
    s->n_adapters = (int)n;
    name_list(s, use, n);
    return BAMBA_OK;
}

bool bb_adapters_copy(bamba_session *to, const bamba_session *from)
{
    const size_t    n = (size_t)from->n_adapters;
    bb_adapter_use *own = n > 0 ? bb_new(&to->alloc, n, sizeof *own) : NULL;

    if (n > 0 && !own) return false;
    if (n > 0) memcpy(own, from->adapter, n * sizeof *own);
    bb_release(&to->alloc, to->adapter);
    to->adapter = own;
    to->n_adapters = from->n_adapters;
    to->n_inputs = from->n_inputs;
    memcpy(to->adapters_name, from->adapters_name, sizeof to->adapters_name);
    return true;
}

bamba_status bamba_session_set_adapters(bamba_session *s, const bamba_adapter_use *use, size_t n,
                                        bamba_error *err)
{
    if (!s) return bb_fail(err, BAMBA_ERR_ARGUMENT, "session adapters: the session is NULL");
    if (s->position > 0)
        return bb_fail(err, BAMBA_ERR_ARGUMENT, "session adapters: expected an empty session, "
                       "found one that stands at %zu", s->position);
    return bb_adapters_give(s, use, n, err);
}

/* -------------------------------------------------------------- an engine's room --------- */

static bool reserve(bamba_engine *e, int n_inputs)
{
    const int T = e->options.n_batch, n_threads = e->pass.n_threads;
    const int widest = e->model->graph->widest, used = e->model->graph->most_used;
    bb_arena  a = BB_MEASURE;

    if (n_inputs <= e->lora_inputs) return true;
    bb_lora_room_take(&a, e->pass.k, T, used, widest, n_inputs, n_threads);
    void *block = a.overflow ? NULL : bb_allocate(&e->alloc, a.used, 1);
    if (!block) return false;
    bb_unguard(e->lora_block, e->lora_bytes);
    bb_release(&e->alloc, e->lora_block);
    e->lora_block = block;
    e->lora_bytes = a.used;
    e->lora_inputs = n_inputs;
    a = (bb_arena){ .base = block, .size = a.used };
    e->lora = bb_lora_room_take(&a, e->pass.k, T, used, widest, n_inputs, n_threads);
    return true;
}

bb_status bb_adapters_prepare(bamba_engine *e, bamba_session *const *session, int n, bb_pass *pass,
                              bamba_error *err)
{
    int most = 0;

    pass->lora = NULL;
    for (int i = 0; i < n; i++)
        if (session[i]->n_adapters > 0 && session[i]->n_inputs >= most)
            most = session[i]->n_inputs > 0 ? session[i]->n_inputs : 1;
    if (most == 0) return BAMBA_OK;
    if (!reserve(e, most))
        return bb_fail(err, BAMBA_ERR_MEMORY, "feed: out of memory for adapters of rank %d", most);
    pass->lora = e->lora;
    return BAMBA_OK;
}
