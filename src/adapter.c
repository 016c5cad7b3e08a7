/* adapter.c - low-rank adapters: a PEFT directory as matrices in memory. */
#include "adapter_fill.h"

#include "base/options.h"
#include "base/system.h"

#include <stdio.h>

/* -------------------------------------------------------------- what is refused ---------- */

/* Only linear maps, embedding and head can be other ones than the model's. */
static bb_status check_replaced(const bamba_model *m, const bb_adapter_file *f, bamba_error *err)
{
    static const char why[] = "only the embedding and the head can be replaced while running: "
                              "merge the adapter into a model (bamba merge)";

    for (size_t i = 0; i + 2 < f->n_maps; i++) {
        const bb_tensor *t = f->map[i].weight;
        if (t && !bb_adapter_is_base(m, t, bb_graph_stored_name(m->graph, i)))
            return bb_adapter_fail(err, BAMBA_ERR_UNSUPPORTED, t, why);
    }
    for (size_t i = 0; i < f->n_replaced; i++) {
        const bb_replaced *r = &f->replaced[i];
        if (!bb_adapter_is_base(m, r->tensor, r->name))
            return bb_adapter_fail(err, BAMBA_ERR_UNSUPPORTED, r->tensor, why);
    }
    return BAMBA_OK;
}

/* -------------------------------------------------------------- open --------------------- */

static void make_hash(bamba_adapter *d, const bb_adapter_file *f)
{
    unsigned char hash[BB_HASH_BYTES];
    bb_hash       h;

    bb_hash_begin(&h);
    for (size_t i = 0; i < f->tensors->n; i++) {
        const bb_tensor *t = &f->tensors->tensor[i];
        bb_hash_add_text(&h, t->name);
        bb_hash_add_text(&h, bb_type_name(t->dtype));
        bb_hash_add(&h, t->data, t->bytes);
    }
    for (size_t i = 0; i < f->n_maps; i++)            /* of what adapter_config.json says */
        if (f->map[i].A) bb_hash_add(&h, &f->map[i].scale, sizeof f->map[i].scale);
    for (size_t i = 0; i < f->n_maps; i++)
        if (f->map[i].is_turned) bb_hash_add_text(&h, "turned");
    bb_hash_end(&h, hash);
    bb_hash_show(hash, d->hash);
}

static bb_status allocate_block(bamba_adapter *d, const bb_adapter_file *f, bamba_error *err)
{
    bb_arena  a = BB_MEASURE;
    bb_status status = BAMBA_OK;

    bb_adapter_carve(d, f, &a);
    if (a.overflow) return bb_fail(err, BAMBA_ERR_MEMORY, "adapter: too large for this machine");
    BB_TRY(bb_system_check_memory("adapter", a.used, err));
    d->block_bytes = a.used;
    d->block = bb_allocate(&d->alloc, a.used, 1);
    if (!d->block) return bb_fail(err, BAMBA_ERR_MEMORY, "adapter: out of memory");
    bb_advise_huge(&d->alloc, d->block, d->block_bytes);
    a = (bb_arena){ .base = d->block, .size = a.used };
    bb_adapter_carve(d, f, &a);
done:
    return status;
}

/* An empty adapter of a model, by the options. */
static bb_status begin(bamba_adapter **out, const bamba_model *model,
                       const bamba_adapter_options *given, bamba_adapter_options *o,
                       bamba_error *err)
{
    bb_status    status = BAMBA_OK;
    bb_allocator a;

    if (!model->block)
        return bb_fail(err, BAMBA_ERR_ARGUMENT, "adapter: the model was opened without weights");
    BB_TRY(bb_read_options(o, sizeof *o, sizeof *o, given, "adapter options", err));
    a = model->alloc;
    if (o->allocator.allocate || o->allocator.release)
        BB_TRY(bb_allocator_resolve(&a, &o->allocator, err));
    *out = bb_new(&a, 1, sizeof **out);
    if (!*out) return bb_fail(err, BAMBA_ERR_MEMORY, "adapter: out of memory");
    (*out)->alloc = a;
    (*out)->model = model;
done:
    return status;
}

bamba_status bamba_adapter_open(bamba_adapter **out, const bamba_model *model, const char *dir,
                                const bamba_adapter_options *options, bamba_error *err)
{
    bamba_adapter_options o = BAMBA_ADAPTER_OPTIONS;
    bb_status             status = BAMBA_OK;
    bb_adapter_file      *f = NULL;
    bamba_adapter        *d = NULL;

    if (!out || !model || !dir)
        return bb_fail(err, BAMBA_ERR_ARGUMENT, "adapter: %s is NULL",
                       !out ? "out" : model ? "dir" : "model");
    *out = NULL;
    BB_TRY(begin(&d, model, options, &o, err));
    const bb_log log = { o.log, o.log_context };
    BB_TRY(bb_adapter_file_open(&f, &d->alloc, model, dir, &log, err));
    BB_TRY(check_replaced(model, f, err));
    BB_TRY(allocate_block(d, f, err));
    BB_TRY(bb_adapter_fill(d, f, err));
    make_hash(d, f);
    *out = d;
    d = NULL;
done:
    bb_adapter_file_close(f);
    bamba_adapter_free(d);
    return status;
}

void bamba_adapter_free(bamba_adapter *d)
{
    if (!d) return;
    const bb_allocator a = d->alloc;
    bb_unguard(d->block, d->block_bytes);
    bb_release(&a, d->block);
    bb_release(&a, d);
}

/* -------------------------------------------------------------- random ------------------- */

bamba_status bamba_adapter_open_random(bamba_adapter **out, const bamba_model *model, int rank,
                                       uint64_t seed, const bamba_adapter_options *options,
                                       bamba_error *err)
{
    bamba_adapter_options o = BAMBA_ADAPTER_OPTIONS;
    bb_status             status = BAMBA_OK;
    bamba_adapter        *d = NULL;
    bb_adapter_file       f = { 0 };
    bb_tensor             some = { .dtype = BB_TYPE_F32 };         /* for matrices that are made */
    bb_allocator          a = { 0 };

    if (!out || !model)
        return bb_fail(err, BAMBA_ERR_ARGUMENT, "adapter: %s is NULL", out ? "model" : "out");
    *out = NULL;
    if (rank < 1 || rank > 4096)
        return bb_fail(err, BAMBA_ERR_ARGUMENT, "adapter: expected a rank from 1 to 4096, found %d",
                       rank);
    BB_TRY(begin(&d, model, options, &o, err));
    a = d->alloc;
    const bb_graph *g = model->graph;
    f.n_maps = (size_t)g->n_linears + 1;
    f.map = bb_new(&d->alloc, f.n_maps, sizeof *f.map);
    if (!f.map) {
        status = bb_fail(err, BAMBA_ERR_MEMORY, "adapter: out of memory");
        goto done;
    }
    for (size_t i = 0; i + 2 < f.n_maps; i++)         /* not the head, nor the embedding */
        if (g->linear[i].rows > 0 && !g->linear[i].is_idle)
            f.map[i] = (bb_adapted){ .A = &some, .B = &some, .rank = rank, .scale = 1.0f };
    BB_TRY(allocate_block(d, &f, err));
    BB_TRY(bb_adapter_fill_random(d, seed, err));
    snprintf(d->hash, sizeof d->hash, "random %d %llu", rank, (unsigned long long)seed % 1000000);
    *out = d;
    d = NULL;
done:
    bb_release(&a, f.map);
    bamba_adapter_free(d);
    return status;
}
