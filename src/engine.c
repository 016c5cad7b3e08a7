/* engine.c - what running a model costs: a thread team, scratch, logits, hidden rows. */
#include "objects.h"

#include "base/options.h"
#include "base/system.h"
#include "base/threads.h"
#include "mixer/blas.h"
#include "mixer/product.h"

#include <string.h>

enum { DEFAULT_BATCH = 512, DEFAULT_LOGITS = 32 };

static bb_status check_range(const char *name, int value, int lo, int hi, bamba_error *err)
{
    if (value >= lo && value <= hi) return BAMBA_OK;
    return bb_fail(err, BAMBA_ERR_ARGUMENT, "engine: expected %s from %d to %d, found %d", name, lo,
                   hi, value);
}

static bb_status read_options(bamba_engine_options *o, const bamba_engine_options *given,
                              bamba_error *err)
{
    bb_status status = bb_read_options(o, sizeof *o, offsetof(bamba_engine_options, link), given,
                                       "engine options", err);

    if (status != BAMBA_OK) return status;
    if (o->n_batch == 0) o->n_batch = DEFAULT_BATCH;
    if (o->n_logits == 0) o->n_logits = DEFAULT_LOGITS;
    if (o->n_threads == 0) o->n_threads = bb_threads_default();
    if ((status = check_range("n_batch", o->n_batch, 1, 65536, err)) != BAMBA_OK) return status;
    if ((status = check_range("n_logits", o->n_logits, 1, 1 << 20, err)) != BAMBA_OK) return status;
    if ((status = check_range("n_hidden", o->n_hidden, 0, 1 << 20, err)) != BAMBA_OK) return status;
    return check_range("n_threads", o->n_threads, 1, 1024, err);
}

/* Of a pass, and of a replay between passes. */
static size_t most_scratch(const bb_graph *g, int T, int n_threads)
{
    size_t most = bb_graph_scratch_floats(g) * sizeof(float) * (size_t)n_threads;

    for (size_t i = g->first; i < g->end; i++)
        for (int j = 0; j < g->block[i].n_uses; j++) {
            const bb_mixer *m = g->block[i].use[j].mixer;
            const size_t    bytes = m->kind->scratch_bytes(m, T, n_threads);
            if (bytes > most) most = bytes;
        }
    return most;
}

/* Run on a measuring arena first, then on the real one. */
static void carve(bamba_engine *e, bb_arena *a)
{
    const bb_graph   *g = e->model->graph;
    const bb_kernels *k = &e->model->kernels;
    bb_pass          *p = &e->pass;
    const int         n_threads = p->n_threads, n_batch = e->options.n_batch;
    const size_t      T = (size_t)n_batch, D = (size_t)g->d_model;
    const size_t      width = (size_t)bb_graph_input_width(g);
    const size_t      scratch = most_scratch(g, n_batch, n_threads);

    e->logits   = bb_take(a, (size_t)e->options.n_logits * (size_t)g->n_vocab, sizeof(float));
    e->hidden   = bb_take(a, (size_t)e->options.n_hidden * D, sizeof(float));
    e->profile  = bb_take(a, (size_t)n_threads, sizeof *e->profile);
    e->tokens   = bb_take(a, T, sizeof *e->tokens);
    e->segments = bb_take(a, T, sizeof *e->segments);
    e->sessions = bb_take(a, T, sizeof *e->sessions);
    e->wanted   = bb_take(a, T, sizeof *e->wanted);
    e->shown    = bb_take(a, T, sizeof *e->shown);
    p->room     = bb_product_room_take(a, k, n_batch, g->widest, n_threads);
    p->x        = bb_take(a, T * D, sizeof(float));
    p->embedded = bb_graph_reads_embedding(g, g->first) ? bb_take(a, T * D, sizeof(float)) : NULL;
    for (int i = 0; i < 2; i++)
        p->side[i] = bb_graph_has_side(g) ? bb_take(a, T * D, sizeof(float)) : NULL;
    p->normed   = bb_take(a, T * width, sizeof(float));
    void *rest  = bb_take(a, scratch, 1);
    /* Each thread carves it for itself, and one that is late would guard what others write to. */
    p->scratch = (bb_arena){ .base = rest, .size = scratch, .plain = n_threads > 1 };
}

uint64_t bamba_engine_bytes(const bamba_model *m, const bamba_engine_options *options)
{
    bamba_engine e = { .model = m, .options = BAMBA_ENGINE_OPTIONS };
    bb_arena     a = BB_MEASURE;

    if (!m || read_options(&e.options, options, NULL) != BAMBA_OK) return 0;
    e.pass.n_threads = e.options.n_threads;
    carve(&e, &a);
    return a.overflow ? UINT64_MAX : a.used;
}

static bb_status allocate_block(bamba_engine *e, bamba_error *err)
{
    bb_arena a = BB_MEASURE;

    carve(e, &a);
    if (a.overflow)
        return bb_fail(err, BAMBA_ERR_MEMORY, "engine: n_batch %d, n_logits %d or n_hidden %d is "
                       "too large", e->options.n_batch, e->options.n_logits, e->options.n_hidden);
    const size_t bytes = a.used;
    bb_status    status = bb_system_check_memory("engine", bytes, err);
    if (status != BAMBA_OK) return status;
    e->block = bb_allocate(&e->alloc, bytes, 1);
    if (!e->block) return bb_fail(err, BAMBA_ERR_MEMORY, "engine: out of memory");
    bb_advise_huge(&e->alloc, e->block, bytes);
    e->block_bytes = bytes;
    a = (bb_arena){ .base = e->block, .size = bytes };
    carve(e, &a);
    bamba_engine_profile(e, 1);           /* clears it */
    bamba_engine_profile(e, 0);
    return BAMBA_OK;
}

/* A model of some layers needs somebody at the ends it lacks. */
static bb_status check_link(const bamba_link *l, const bb_graph *g, bamba_error *err)
{
    if (!bb_graph_has_embed(g) && !l->receive)
        return bb_fail(err, BAMBA_ERR_ARGUMENT,
                       "engine: the model begins behind layer 0: expected link.receive");
    if (!bb_graph_has_head(g) && !l->send)
        return bb_fail(err, BAMBA_ERR_ARGUMENT,
                       "engine: the model ends before layer %d: expected link.send", g->n_layers);
    return BAMBA_OK;
}

bamba_status bamba_engine_create(bamba_engine **out, const bamba_model *model,
                                 const bamba_engine_options *options, bamba_error *err)
{
    bamba_engine_options o = BAMBA_ENGINE_OPTIONS;
    bb_status            status = BAMBA_OK;
    bamba_engine        *e = NULL;
    bb_allocator         a;

    if (!out) return bb_fail(err, BAMBA_ERR_ARGUMENT, "engine: out is NULL");
    *out = NULL;
    if (!model) return bb_fail(err, BAMBA_ERR_ARGUMENT, "engine: model is NULL");
    if (!model->block)
        return bb_fail(err, BAMBA_ERR_ARGUMENT, "engine: the model was opened without weights");
    BB_TRY(read_options(&o, options, err));
    BB_TRY(check_link(&o.link, model->graph, err));
    a = model->alloc;
    if (o.allocator.allocate || o.allocator.release)
        BB_TRY(bb_allocator_resolve(&a, &o.allocator, err));

    e = bb_new(&a, 1, sizeof *e);
    if (!e) {
        status = bb_fail(err, BAMBA_ERR_MEMORY, "engine: out of memory");
        goto done;
    }
    e->alloc = a;
    e->model = model;
    e->options = o;
    e->pass.k = &model->kernels;
    BB_TRY(bb_team_create(&e->pass.team, &a, o.n_threads, o.pin != 0, err));
    e->pass.n_threads = bb_team_size(e->pass.team);
    BB_TRY(allocate_block(e, err));
    if (!model->kernels.format[BB_FORMAT_F32].many) bb_blas_prepare();
    *out = e;
    e = NULL;
done:
    bamba_engine_free(e);
    return status;
}

void bamba_engine_free(bamba_engine *e)
{
    if (!e) return;
    const bb_allocator a = e->alloc;
    bb_unguard(e->block, e->block_bytes);
    bb_release(&a, e->block);
    bb_unguard(e->lora_block, e->lora_bytes);
    bb_release(&a, e->lora_block);
    bb_team_free(e->pass.team);
    bb_release(&a, e);
}

int bamba_engine_threads(const bamba_engine *e) { return e ? e->pass.n_threads : 0; }

/* -------------------------------------------------------------- profile ------------------ */

void bamba_engine_profile(bamba_engine *e, int on)
{
    if (!e) return;
    if (on) memset(e->profile, 0, (size_t)e->pass.n_threads * sizeof *e->profile);
    e->pass.profile = on ? e->profile : NULL;
}

/* Times of the threads are averaged: together they make up the time of the call. */
size_t bamba_engine_profile_get(const bamba_engine *e, bamba_op *ops, size_t n)
{
    if (!e) return 0;
    const int n_threads = e->pass.n_threads;
    const int n_ops = e->model->graph->n_ops;

    for (size_t i = 0; i < n && i < (size_t)n_ops; i++) {
        uint64_t ns = 0;
        for (int t = 0; t < n_threads; t++) ns += e->profile[t].ns[i];
        ops[i] = (bamba_op){ e->model->graph->op_name[i], ns / (uint64_t)n_threads,
                             e->profile[0].count[i].bytes, e->profile[0].count[i].flops };
    }
    return (size_t)n_ops;
}
