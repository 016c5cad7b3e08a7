/* bind.c - plan × checkpoint → weights attached; nothing missing, nothing left over. */
#include "graph/bind.h"

#include "base/system.h"
#include "base/threads.h"
#include "graph/random.h"

#include <stdio.h>
#include <string.h>

enum pass { COUNT, MEASURE, ATTACH };

/* A matrix to be converted or made up, after all are known. */
typedef struct job {
    const bb_tensor *from;                /* NULL: random values */
    void            *to;
    size_t           n;                   /* elements */
    bb_type          type;                /* of `to` */
    int              cols;
} job;

struct bb_binder {
    enum pass              pass;
    bb_graph              *g;
    bb_checkpoint         *c;             /* NULL while COUNT, and for random weights */
    const bb_bind_options *options;
    bb_arena               arena;
    const char            *prefix;
    job                   *jobs;          /* [n_jobs], capacity known from MEASURE */
    size_t                 n_jobs, n_small;
    bb_bind_stats          stats;
    bamba_error            first;         /* sticky */
};

/* -------------------------------------------------------------- element types ------------ */

static size_t type_bytes(bb_type type) { return type == BB_TYPE_F32 ? 4 : 2; }

static bool is_float_type(bb_type t) { return t > BB_TYPE_NONE && t < BB_N_FLOATS; }

enum { CHUNK = 2048 };                    /* elements converted through the stack at a time */

/* n elements from an unaligned view to float32. */
static void read_floats(const bb_kernels *k, bb_type from, const unsigned char *data, size_t n,
                        float *to)
{
    uint16_t half[CHUNK];

    if (from == BB_TYPE_F32) {
        memcpy(to, data, n * 4);
        return;
    }
    for (size_t i = 0; i < n; i += CHUNK) {
        const size_t m = n - i < CHUNK ? n - i : CHUNK;
        memcpy(half, data + i * 2, m * 2);
        k->widen[from](m, half, to + i);
    }
}

static void convert(const bb_kernels *k, const job *j, size_t first, size_t n)
{
    const size_t from_bytes = j->from->dtype == BB_TYPE_F32 ? 4 : 2;
    const unsigned char *data = j->from->data + first * from_bytes;
    float wide[CHUNK];

    if (j->from->dtype == j->type) {         /* only the alignment was wrong */
        memcpy((unsigned char *)j->to + first * from_bytes, data, n * from_bytes);
        return;
    }
    if (j->type == BB_TYPE_F32) {
        read_floats(k, j->from->dtype, data, n, (float *)j->to + first);
        return;
    }
    for (size_t i = 0; i < n; i += CHUNK) {
        const size_t m = n - i < CHUNK ? n - i : CHUNK;
        read_floats(k, j->from->dtype, data + i * from_bytes, m, wide);
        k->narrow[j->type](m, wide, (uint16_t *)j->to + first + i);
    }
}

/* -------------------------------------------------------------- names and shapes --------- */

static void fail(bb_binder *b, bb_status code, const char *name, const char *message)
{
    if (b->first.code == BAMBA_OK)
        bb_fail(&b->first, code, "'%s%s': %s", b->prefix, name, message);
}

/* The tensor prefix + name with these dimensions (ending with 0); NULL while counting and on
   failure. */
static const bb_tensor *take(bb_binder *b, const char *name, const int *dim)
{
    char         full[160];
    size_t       want[BB_MAX_DIMS];
    int          n_dims = 0;

    if (!b->c || b->first.code != BAMBA_OK) return NULL;
    snprintf(full, sizeof full, "%s%s", b->prefix, name);
    const bb_tensor *t = bb_checkpoint_take(b->c, full);
    if (!t) {
        fail(b, BAMBA_ERR_FORMAT, name, "expected this tensor, the checkpoint does not have it");
        return NULL;
    }
    for (; dim[n_dims]; n_dims++) want[n_dims] = (size_t)dim[n_dims];
    bool same = t->n_dims == n_dims;
    for (int i = 0; same && i < n_dims; i++) same = t->dim[i] == want[i];
    if (!same) {
        bb_fail(&b->first, BAMBA_ERR_FORMAT, "%s: '%s': expected %s, found %s", t->file, full,
                bb_shape_show(t->dtype, n_dims, want).s,
                bb_shape_show(t->dtype, t->n_dims, t->dim).s);
        return NULL;
    }
    if (!is_float_type(t->dtype)) {
        bb_fail(&b->first, BAMBA_ERR_UNSUPPORTED, "%s: '%s': expected F32, BF16 or F16, found %s",
                t->file, full, bb_type_name(t->dtype));
        return NULL;
    }
    return t;
}

static bool is_aligned(const void *p, size_t bytes) { return (uintptr_t)p % bytes == 0; }

/* -------------------------------------------------------------- the mixers' verbs -------- */

void bb_bind_matrix(bb_binder *b, bb_matrix *out, const char *name, int rows, int cols)
{
    const bb_tensor *t = take(b, name, (const int[]){ rows, cols, 0 });
    const size_t     n = (size_t)rows * (size_t)cols;
    const bb_type   stored = t ? t->dtype : b->options->planned_type;
    const bb_type   wanted = b->options->type == BB_TYPE_NONE ? stored : b->options->type;
    const size_t     bytes = n * type_bytes(wanted);
    const bool       in_place = wanted == stored && !b->options->copy && !b->options->random
                                && (!t || is_aligned(t->data, type_bytes(wanted)));

    if (b->first.code != BAMBA_OK) return;
    if (cols > b->g->widest) b->g->widest = cols;
    b->stats.n_params += n;
    b->stats.weights_bytes += bytes;
    *out = (bb_matrix){ .rows = rows, .cols = cols, .type = wanted };
    if (in_place) {
        b->stats.mapped_bytes += bytes;
        out->data = t ? t->data : NULL;
        return;
    }
    if (wanted != stored) b->stats.converted_bytes += bytes;
    else if (t && !b->options->copy) b->stats.misaligned_bytes += bytes;
    void *copy = bb_take(&b->arena, n, type_bytes(wanted));
    if (b->pass == ATTACH) b->jobs[b->n_jobs] = (job){ t, copy, n, wanted, cols };
    b->n_jobs++;
    out->data = copy;
}

void bb_bind_small(bb_binder *b, const float **out, const char *name, const int *dim)
{
    const bb_tensor *t = take(b, name, dim);
    size_t           n = 1;
    int              last = 1;

    if (b->first.code != BAMBA_OK) return;
    for (int i = 0; dim[i]; i++) {
        last = dim[i];
        n *= (size_t)last;
    }
    b->stats.n_params += n;
    b->stats.weights_bytes += n * sizeof(float);
    float *copy = bb_take(&b->arena, n, sizeof *copy);
    if (b->pass == ATTACH && t) read_floats(b->options->k, t->dtype, t->data, n, copy);
    if (b->pass == ATTACH && !t)
        bb_random_small(name, b->options->seed - ++b->n_small, last, n, copy);
    *out = copy;
}

void bb_bind_vector(bb_binder *b, const float **out, const char *name, int n)
{
    bb_bind_small(b, out, name, (const int[]){ n, 0 });
}

void bb_bind_linear(bb_binder *b, bb_linear *out, const char *name, int rows, int cols,
                    bool has_bias)
{
    char full[64];

    snprintf(full, sizeof full, "%s.weight", name);
    bb_bind_matrix(b, &out->w, full, rows, cols);
    out->bias = NULL;
    if (!has_bias) return;
    snprintf(full, sizeof full, "%s.bias", name);
    bb_bind_vector(b, &out->bias, full, rows);
}

void bb_bind_map(bb_binder *b, const float *values, int n, float (*map)(float))
{
    if (b->pass != ATTACH || b->first.code != BAMBA_OK) return;
    float *v = (float *)(uintptr_t)values;            /* ours: the copy in the arena */
    for (int i = 0; i < n; i++) v[i] = map(v[i]);
}

/* -------------------------------------------------------------- the walk ----------------- */

static const char *embed_name(const bb_binder *b)
{
    const bb_graph *g = b->g;
    const bool      renamed = b->c && g->embed_alias[0] && !bb_checkpoint_find(b->c, g->embed_name)
                           && bb_checkpoint_find(b->c, g->embed_alias);

    return renamed ? g->embed_alias : g->embed_name;
}

static void walk(bb_binder *b)
{
    bb_graph *g = b->g;

    b->n_jobs = 0;
    b->n_small = 0;
    b->stats = (bb_bind_stats){ 0 };
    b->prefix = "";
    bb_bind_matrix(b, &g->embed, embed_name(b), g->n_rows, g->d_model);
    if (g->head_name[0])                  /* else the head reads it: one row a token is nothing */
        b->stats.weights_bytes = 0;
    for (size_t i = 0; i < g->n_blocks; i++) {
        bb_block *k = &g->block[i];
        b->prefix = "";
        bb_bind_vector(b, &k->norm, k->norm_name, g->d_model);
        for (int j = 0; j < k->n_mixers; j++) {
            b->prefix = k->mixer[j]->prefix;
            k->mixer[j]->kind->bind(k->mixer[j], b);
        }
    }
    b->prefix = "";
    bb_bind_vector(b, &g->norm, g->norm_name, g->d_model);
    if (g->head_name[0]) bb_bind_matrix(b, &g->head.w, g->head_name, g->n_rows, g->d_model);
    else g->head.w = g->embed;
    g->head.w.rows = g->n_vocab;
    b->stats.resident_bytes = b->arena.used;
    if (b->arena.overflow) fail(b, BAMBA_ERR_UNSUPPORTED, "weights", "too large for this machine");
}

static bool may_be_left_over(const bb_graph *g, const char *name)
{
    const size_t n = strlen(name);

    for (const char *const *end = g->leftovers; end && *end; end++) {
        const size_t m = strlen(*end);
        if (n >= m && strcmp(name + n - m, *end) == 0) return true;
    }
    return false;
}

static bb_status refuse_leftovers(const bb_graph *g, const bb_checkpoint *c, bamba_error *err)
{
    const bb_tensor *t = NULL;

    while ((t = bb_checkpoint_untaken(c, t)))
        if (!may_be_left_over(g, t->name))
            return bb_fail(err, BAMBA_ERR_FORMAT,
                           "%s: '%.*s': this tensor belongs to no part of the model that "
                           "config.json describes", t->file, bb_name_width(t->name), t->name);
    return BAMBA_OK;
}

/* -------------------------------------------------------------- conversions -------------- */

enum { TILE = 1 << 16 };                  /* elements a thread converts at a time */

typedef struct conversion {
    const bb_kernels *k;
    const job        *j;
    uint64_t          seed;
} conversion;

static void convert_tile(void *context, int tile)
{
    const conversion *c = context;
    const job        *j = c->j;
    const size_t      first = (size_t)tile * TILE;
    const size_t      m = j->n - first < TILE ? j->n - first : TILE;

    if (j->from) convert(c->k, j, first, m);
    else bb_random_fill(c->k, j->type, bb_random_bound(j->cols), c->seed, first, m,
                        (unsigned char *)j->to + first * type_bytes(j->type));
}

static bool report(const bb_binder *b, uint64_t done)
{
    const bb_bind_options *o = b->options;
    const uint64_t total = b->stats.mapped_bytes + b->stats.resident_bytes;

    return !o->progress || o->progress(o->progress_context, done < total ? done : total, total) == 0;
}

static bb_status run_jobs(bb_binder *b, bamba_error *err)
{
    const int n_threads = b->options->n_threads ? b->options->n_threads : bb_threads_default();
    uint64_t  done = b->stats.mapped_bytes;

    for (size_t i = 0; i < b->n_jobs; i++) {
        conversion c = { b->options->k, &b->jobs[i], b->options->seed + i };
        bb_loop(n_threads, (int)((c.j->n + TILE - 1) / TILE), convert_tile, &c);
        done += c.j->n * type_bytes(c.j->type);
        if (!report(b, done))
            return bb_fail(err, BAMBA_ERR_CANCELLED, "cancelled while loading weights");
    }
    return BAMBA_OK;
}

/* -------------------------------------------------------------- bind --------------------- */

bb_status bb_bind(bb_graph *g, bb_checkpoint *c, const bb_bind_options *options, void **block,
                  bb_bind_stats *stats, bamba_error *err)
{
    bb_status status = BAMBA_OK;
    bb_binder b = { .pass = c || options->random ? MEASURE : COUNT, .g = g, .c = c, .options = options,
                    .arena = BB_MEASURE };
    void     *memory = NULL;

    *block = NULL;
    walk(&b);
    *stats = b.stats;
    if (b.first.code != BAMBA_OK) goto failed;
    if (b.pass == COUNT) return BAMBA_OK;
    if (c) BB_TRY(refuse_leftovers(g, c, err));

    BB_TRY(bb_system_check_memory("weights", b.arena.used, err));
    memory = bb_allocate(&g->alloc, b.arena.used, 1);
    b.jobs = bb_new(&g->alloc, b.n_jobs + 1, sizeof *b.jobs);
    if (!memory || !b.jobs) {
        status = bb_fail(err, BAMBA_ERR_MEMORY, "weights: out of memory");
        goto done;
    }
    bb_advise_huge(&g->alloc, memory, b.arena.used);
    b.pass = ATTACH;
    b.arena = (bb_arena){ .base = memory, .size = b.arena.used };
    walk(&b);
    if (b.first.code != BAMBA_OK) goto failed;
    BB_TRY(run_jobs(&b, err));
    if (!report(&b, UINT64_MAX))
        status = bb_fail(err, BAMBA_ERR_CANCELLED, "cancelled while loading weights");
    if (status == BAMBA_OK) {
        *block = memory;
        memory = NULL;
    }
    goto done;
failed:
    status = b.first.code;
    if (err) *err = b.first;
done:
    if (memory) bb_unguard(memory, stats->resident_bytes);
    bb_release(&g->alloc, b.jobs);
    bb_release(&g->alloc, memory);
    return status;
}
