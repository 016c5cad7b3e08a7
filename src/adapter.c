/* adapter.c - low-rank adapters: a PEFT directory as matrices in memory. */
#include "objects.h"

#include "adapter_file.h"
#include "base/options.h"
#include "base/system.h"
#include "graph/random.h"

#include <stdio.h>
#include <string.h>

enum { CHUNK = 256 };                     /* elements that are converted at a time */

/* -------------------------------------------------------------- layout ------------------- */

static bool has_constant(const bb_adapted *m) { return m->B_bias || m->bias; }

/* One linear map's matrices. Run on a measuring arena first. */
static bb_low_rank carve_map(const bb_adapted *m, int rows, int cols, bb_arena *a)
{
    const int   n = (m->A ? m->rank : 0) + (has_constant(m) ? 1 : 0);
    bb_low_rank l = { .rank = m->A ? m->rank : 0, .n_inputs = n, .scale = m->scale };

    if (l.rank > 0) l.A = bb_take(a, (size_t)l.rank * (size_t)cols, sizeof(float));
    if (n > 0) l.B = bb_take(a, (size_t)rows * (size_t)n, sizeof(float));
    return l;
}

static bb_low_rank carve_embed(const bb_adapted *m, const bb_graph *g, bb_arena *a)
{
    bb_low_rank l = { .rank = m->rank, .n_inputs = m->rank, .scale = m->scale };

    if (!m->A) return (bb_low_rank){ 0 };
    l.A = bb_take(a, (size_t)g->n_rows * (size_t)m->rank, sizeof(float));
    l.B = bb_take(a, (size_t)m->rank * (size_t)g->d_model, sizeof(float));
    return l;
}

static bb_matrix carve_own(const bb_tensor *t, const bamba_model *model, bb_arena *a)
{
    const bb_graph *g = model->graph;

    if (!t) return (bb_matrix){ 0 };
    return (bb_matrix){ g->n_rows, g->d_model, bb_format_of(&model->kernels, t->dtype),
                        bb_take(a, t->bytes, 1) };
}

static void carve(bamba_adapter *d, const bb_adapter_file *f, bb_arena *a)
{
    const bb_graph *g = d->model->graph;
    const size_t    n = f->n_maps - 1;

    d->map = bb_take(a, n, sizeof *d->map);
    for (size_t i = 0; i < n; i++) {
        const bb_low_rank l = carve_map(&f->map[i], g->linear[i].rows, g->linear[i].cols, a);
        if (d->map) d->map[i] = l;
        if (l.n_inputs > d->base.widest) d->base.widest = l.n_inputs;
    }
    d->base.map = d->map;
    d->base.embed = carve_embed(&f->map[n], g, a);
    d->base.own_embed = carve_own(f->own_embed, d->model, a);
    d->base.own_head.w = carve_own(f->own_head, d->model, a);
    d->base.own_head.w.rows = g->n_vocab;
    d->base.own_head.id = g->head.id;
}

/* -------------------------------------------------------------- filling ------------------ */

static float *writable(const float *p) { return (float *)(uintptr_t)p; }      /* ours: the block */

/* Fill column `col` of a map's B with what a constant multiplies: scale · the bias of B, and what
   the adapter's bias differs by from the model's. base may be NULL. */
static void fill_constant(const bb_kernels *k, const bb_low_rank *l, const bb_adapted *m, int rows,
                          const bb_tensor *base)
{
    float v[CHUNK], old[CHUNK];

    for (int first = 0; first < rows; first += CHUNK) {
        const int n = rows - first < CHUNK ? rows - first : CHUNK;
        float    *to = writable(l->B) + (size_t)first * (size_t)l->n_inputs + l->rank;
        memset(v, 0, sizeof v);
        if (m->B_bias) bb_adapter_floats(k, m->B_bias, (size_t)first, (size_t)n, v);
        for (int i = 0; i < n; i++) to[i * l->n_inputs] = l->scale * v[i];
        if (!m->bias) continue;
        bb_adapter_floats(k, m->bias, (size_t)first, (size_t)n, v);
        bb_adapter_floats(k, base, (size_t)first, (size_t)n, old);
        for (int i = 0; i < n; i++) to[i * l->n_inputs] += v[i] - old[i];
    }
}

/* The bias of the linear map whose weight is `name`, in the model's files; NULL: there is none. */
static const bb_tensor *base_bias(const bamba_model *m, const char *name)
{
    char         full[2 * BB_MAX_NAME];
    const size_t n = strlen(name);

    if (!m->checkpoint || n < 7) return NULL;
    snprintf(full, sizeof full, "%.*s.bias", (int)(n - 7), name);
    return bb_find_tensor(m->graph, m->checkpoint, full);
}

/* Multiply what B makes of rows by what the model multiplies them by. */
static void apply_factors(const bb_low_rank *l, const bb_linear_name *name)
{
    for (int i = 0; l->n_inputs > 0 && i < name->n_factors; i++) {
        const bb_row_factor *f = &name->factor[i];
        for (int r = f->first; r < f->first + f->n; r++) {
            float *row = writable(l->B) + (size_t)r * (size_t)l->n_inputs;
            for (int j = 0; j < l->n_inputs; j++) row[j] *= j < l->rank ? f->product : f->bias;
        }
    }
}

static bb_status fill_map(const bamba_adapter *d, const bb_adapted *m, size_t i, bamba_error *err)
{
    const bb_kernels     *k = &d->model->kernels;
    const bb_linear_name *name = &d->model->graph->linear[i];
    const bb_low_rank    *l = &d->map[i];
    const bb_tensor      *base = m->bias ? base_bias(d->model, name->name) : NULL;

    if (m->bias && (!base || base->n_elements != (size_t)name->rows || base->dtype >= BB_N_FLOATS))
        return bb_adapter_fail(err, BAMBA_ERR_FORMAT, m->bias, "the model has no bias there");
    if (l->rank > 0) bb_adapter_floats(k, m->A, 0, m->A->n_elements, writable(l->A));
    for (int r = 0; l->rank > 0 && r < name->rows; r++)
        bb_adapter_floats(k, m->B, (size_t)r * (size_t)l->rank, (size_t)l->rank,
                          writable(l->B) + (size_t)r * (size_t)l->n_inputs);
    if (has_constant(m)) fill_constant(k, l, m, name->rows, base);
    apply_factors(l, name);
    return BAMBA_OK;
}

/* to [cols, rows] = the tensor [rows, cols] */
static void transpose(const bb_kernels *k, const bb_tensor *t, float *to)
{
    const size_t rows = t->dim[0], cols = t->dim[1];
    float        v[CHUNK];

    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < cols; c += CHUNK) {
            const size_t n = cols - c < CHUNK ? cols - c : CHUNK;
            bb_adapter_floats(k, t, r * cols + c, n, v);
            for (size_t i = 0; i < n; i++) to[(c + i) * rows + r] = v[i];
        }
}

static void copy_own(const bb_matrix *to, const bb_tensor *t)
{
    if (to->data) memcpy((void *)(uintptr_t)to->data, t->data, t->bytes);
}

static bb_status fill(const bamba_adapter *d, const bb_adapter_file *f, bamba_error *err)
{
    const bb_kernels *k = &d->model->kernels;
    const size_t      n = f->n_maps - 1;
    bb_status         status = BAMBA_OK;

    for (size_t i = 0; i < n; i++) BB_TRY(fill_map(d, &f->map[i], i, err));
    if (f->map[n].A) {
        transpose(k, f->map[n].A, writable(d->base.embed.A));
        transpose(k, f->map[n].B, writable(d->base.embed.B));
    }
    if (f->own_embed) copy_own(&d->base.own_embed, f->own_embed);
    if (f->own_head) copy_own(&d->base.own_head.w, f->own_head);
done:
    return status;
}

/* -------------------------------------------------------------- what is refused ---------- */

/* Only linear maps, embedding and head can be other ones than the model's. */
static bb_status check_replaced(const bamba_model *m, const bb_adapter_file *f, bamba_error *err)
{
    static const char why[] = "only the embedding and the head can be replaced while running: "
                              "merge the adapter into a model (bamba merge)";

    for (size_t i = 0; i + 2 < f->n_maps; i++) {
        const bb_tensor *t = f->map[i].weight;
        if (t && !bb_adapter_is_base(m, t, m->graph->linear[i].name))
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
    for (size_t i = 0; i < f->n_maps; i++)
        bb_hash_add(&h, &f->map[i].scale, sizeof f->map[i].scale);
    bb_hash_end(&h, hash);
    bb_hash_show(hash, d->hash);
}

static bb_status allocate_block(bamba_adapter *d, const bb_adapter_file *f, bamba_error *err)
{
    bb_arena  a = BB_MEASURE;
    bb_status status = BAMBA_OK;

    carve(d, f, &a);
    if (a.overflow) return bb_fail(err, BAMBA_ERR_MEMORY, "adapter: too large for this machine");
    BB_TRY(bb_system_check_memory("adapter", a.used, err));
    d->block_bytes = a.used;
    d->block = bb_allocate(&d->alloc, a.used, 1);
    if (!d->block) return bb_fail(err, BAMBA_ERR_MEMORY, "adapter: out of memory");
    a = (bb_arena){ .base = d->block, .size = a.used };
    carve(d, f, &a);
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
    BB_TRY(fill(d, f, err));
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
    bb_tensor             some = { 0 };   /* stands for matrices that are made */
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
        if (g->linear[i].rows > 0)
            f.map[i] = (bb_adapted){ .A = &some, .B = &some, .rank = rank, .scale = 1.0f };
    BB_TRY(allocate_block(d, &f, err));
    for (size_t i = 0; i + 2 < f.n_maps; i++) {
        const bb_low_rank *l = &d->map[i];
        if (l->rank == 0) continue;
        const size_t cols = (size_t)g->linear[i].cols, rows = (size_t)g->linear[i].rows;
        bb_random_fill(bb_random_bound((int)cols), seed + 2 * i, 0, (size_t)rank * cols,
                       writable(l->A));
        bb_random_fill(0.1f * bb_random_bound(rank), seed + 2 * i + 1, 0, rows * (size_t)rank,
                       writable(l->B));
    }
    snprintf(d->hash, sizeof d->hash, "random %d %llu", rank, (unsigned long long)seed % 1000000);
    *out = d;
    d = NULL;
done:
    bb_release(&a, f.map);
    bamba_adapter_free(d);
    return status;
}
