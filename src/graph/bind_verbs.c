/* bind_verbs.c - what mixers ask for: linear maps, slices, small tensors, constant factors. */
#include "graph/binder.h"

#include "graph/random.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* A small tensor as a need: as a matrix with so many rows, which adapters may change, or 0. */
static bb_need describe_small(const bb_binder *b, const bb_tensor *t, int rows)
{
    const bb_format *f = bb_format_of(b->options->k, t->dtype);
    bb_need          need = { .tensor = t, .n_name = strlen(t->name), .rows = rows };

    if (rows > 0)
        need.recode = (bb_recode){ .stored = f, .wanted = f, .from = t->data,
                                   .cols = (int)(t->n_elements / (size_t)rows) };
    return need;
}

static void bind_small(bb_binder *b, const float **out, const char *name, const int *dim,
                       bb_range r, int rows)
{
    const bb_bind_options *o = b->options;
    const bb_tensor       *t = bb_binder_take(b, name, NULL);
    size_t                 n = 1, want[BB_MAX_DIMS];
    int                    n_dims = 0;

    if (b->skip || b->first.code != BAMBA_OK) return;
    for (; dim[n_dims]; n_dims++) n *= want[n_dims] = (size_t)dim[n_dims];
    if (t && !bb_binder_check(b, t, BB_TYPE_NONE, n_dims, want)) return;
    if (o->visit && b->pass == BB_WALK_ATTACH) {
        const bb_need need = describe_small(b, t, rows);
        o->visit(o->visit_context, &need);
    }
    b->stats.n_params += n;
    b->stats.weights_bytes += n * sizeof(float);
    float *copy = bb_take(&b->arena, n, sizeof *copy);
    if (b->pass == BB_WALK_ATTACH && t)
        bb_recode_elements(bb_format_of(o->k, t->dtype), t->data, 0, n, copy);
    if (b->pass == BB_WALK_ATTACH && !t)
        bb_random_range(r.low, r.high, o->seed - ++b->n_small, n, copy);
    *out = copy;
}

void bb_bind_small(bb_binder *b, const float **out, const char *name, const int *dim, bb_range r)
{
    bind_small(b, out, name, dim, r, 0);
}

void bb_bind_vector(bb_binder *b, const float **out, const char *name, int n, bb_range r)
{
    bb_bind_small(b, out, name, (const int[]){ n, 0 }, r);
}

/* The number of the linear map that a slice of this tensor belongs to, or of the first matrix of a
   stack. */
static int find_sliced(bb_binder *b, const char *name, int rows, int cols, int n_stack)
{
    for (int i = b->n_sliced - 1; i >= 0; i--)
        if (strcmp(b->sliced[i].name, name) == 0) return b->sliced[i].id;
    if (b->n_sliced == BB_N_SLICED)
        memmove(b->sliced, b->sliced + 1, (size_t)--b->n_sliced * sizeof *b->sliced);
    snprintf(b->sliced[b->n_sliced].name, BB_MAX_NAME, "%s", name);
    return b->sliced[b->n_sliced++].id = bb_binder_name_linear(b, name, rows, cols, n_stack);
}

void bb_binder_note_format(bb_binder *b, int id, const bb_format *f)
{
    if (b->pass != BB_WALK_ATTACH || b->skip || !f) return;
    if (f->type == BB_TYPE_NONE || f->type >= BB_N_FLOATS) b->g->linear[id].is_coarse = true;
}

void bb_bind_slice(bb_binder *b, bb_linear *out, const char *name, int rows, int cols,
                   bb_slice slice)
{
    bb_linear l = { .first = slice.first };

    l.id = find_sliced(b, name, slice.of ? slice.of : rows, cols, slice.n) + slice.index;
    bb_binder_matrix(b, &l.w, &l.row_scale, BB_ROLE_PROJECTION, name, rows, cols, slice);
    bb_binder_note_format(b, l.id, l.w.format);
    if (!b->skip) *out = l;
    out->id = l.id;
}

void bb_bind_small_linear(bb_binder *b, bb_linear *out, const char *name, int rows, int cols,
                          bb_range r)
{
    const float *weight = NULL;

    out->id = bb_binder_name_linear(b, name, rows, cols, 0);
    if (b->pass == BB_WALK_ATTACH) b->g->linear[out->id].is_small = true;
    bind_small(b, &weight, name, (const int[]){ rows, cols, 0 }, r, rows);
    out->w = (bb_matrix){ rows, cols, &b->options->k->format[BB_FORMAT_F32], weight };
}

void bb_bind_part_of(bb_binder *b, const bb_linear *l, const char *parameter, int index, int n,
                     int row)
{
    if (b->pass == BB_WALK_ATTACH)
        b->g->linear[l->id].part_of = (bb_part_of){ parameter, index, n, row };
}

void bb_bind_linear(bb_binder *b, bb_linear *out, const char *name, int rows, int cols,
                    bool has_bias)
{
    char full[BB_MAX_NAME];

    assert(strlen(name) + sizeof ".weight" <= sizeof full);       /* a literal of a mixer's file */
    snprintf(full, sizeof full, "%s.weight", name);
    bb_bind_slice(b, out, full, rows, cols, (bb_slice){ 0 });
    if (!has_bias) return;
    snprintf(full, sizeof full, "%s.bias", name);
    bb_bind_vector(b, &out->bias, full, rows, BB_RANGE_BIAS);
}

void bb_bind_for_use(const bb_binder *b, const bb_linear *l, int nth)
{
    if (b->pass != BB_WALK_ATTACH || b->skip || b->first.code != BAMBA_OK) return;
    b->g->linear[l->id].only = nth + 1;
    b->g->linear[l->id].is_idle = nth > 0;            /* in the first use, which this one names */
}

uint64_t bb_bind_begin_routed(const bb_binder *b) { return b->stats.weights_bytes; }

void bb_bind_end_routed(bb_binder *b, uint64_t begun, int used, int of)
{
    const uint64_t bytes = b->stats.weights_bytes - begun;
    b->stats.weights_bytes = begun + bytes / (uint64_t)of * (uint64_t)used;
    if (used > b->g->most_used) b->g->most_used = used;
}

static double or_one(double factor) { return factor != 0.0 ? factor : 1.0; }

/* Remember the factors of a map for those that change what it adds. */
static void note_factors(bb_binder *b, const bb_linear *l, const bb_factor *list)
{
    bb_linear_name *name = &b->g->linear[l->id];

    for (int first = l->first; list->rows; first += list->rows, list++) {
        assert(name->n_factors < BB_MOST_FACTORS);
        name->factor[name->n_factors++] = (bb_row_factor){ first, list->rows,
            (float)or_one(list->product), (float)or_one(list->bias) };
    }
}

/* Both of the vectors that are scaled are ours: copies in the arena. */
void bb_bind_factors(bb_binder *b, bb_linear *l, const bb_factor *list)
{
    bool is_needed = false;

    for (const bb_factor *f = list; f->rows; f++) is_needed |= or_one(f->product) != 1.0;
    if (b->skip || b->first.code != BAMBA_OK) return;
    if (b->pass == BB_WALK_ATTACH) note_factors(b, l, list);
    if (is_needed && !l->row_scale) {
        float *ones = bb_take(&b->arena, (size_t)l->w.rows, sizeof *ones);
        for (int i = 0; b->pass == BB_WALK_ATTACH && i < l->w.rows; i++) ones[i] = 1.0f;
        l->row_scale = ones;
        b->stats.weights_bytes += (uint64_t)l->w.rows * sizeof *ones;
    }
    float *scale = (float *)(uintptr_t)l->row_scale, *bias = (float *)(uintptr_t)l->bias;
    for (const bb_factor *f = list; b->pass == BB_WALK_ATTACH && f->rows; f++) {
        for (int i = 0; scale && i < f->rows; i++) *scale++ *= (float)or_one(f->product);
        for (int i = 0; bias && i < f->rows; i++) *bias++ *= (float)or_one(f->bias);
    }
}

void bb_bind_map(bb_binder *b, const float *values, int n, float (*map)(float))
{
    if (b->skip || b->pass != BB_WALK_ATTACH || b->first.code != BAMBA_OK) return;
    float *v = (float *)(uintptr_t)values;            /* ours: the copy in the arena */
    for (int i = 0; i < n; i++) v[i] = map(v[i]);
}
