/* merge.c - adapters as changes of a model's tensors on their way to a file. */
#include "merge.h"

#include "adapter_file.h"
#include "adapter_uses.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { CHUNK = 256 };                     /* columns that are changed at a time */

/* What all adapters add to one linear map, or to the embedding. */
typedef struct change {
    const bb_merge  *m;
    size_t           map;                 /* as in bb_adapter_file */
    const bb_tensor *tensor;              /* of a linear map but the head; NULL */
} change;

struct bb_merge {
    bb_allocator       a;
    const bamba_model *model;
    bb_adapter_file  **file;              /* [n] */
    float             *scale;             /* [n] */
    change            *change;            /* [n_maps] */
    size_t             n, n_maps;
    size_t             n_parts, n_used;   /* tensors, or pairs, of adapters; those found */
    bool               unties;            /* the model's embedding from the head tied to it */
    bb_tensor          twin;              /* then the one that the model has no tensor for */
};

static bool is_embed(const bb_merge *m, size_t map) { return map + 1 == m->n_maps; }
static bool is_head(const bb_merge *m, size_t map) { return map + 2 == m->n_maps; }

/* NULL: of the embedding, or the head. */
static const bb_linear_name *find_linear(const bb_merge *m, size_t map)
{
    return map + 2 < m->n_maps ? &m->model->graph->linear[map] : NULL;
}

/* -------------------------------------------------------------- sums --------------------- */

/* rows [n, cols], columns first … first + n_cols - 1: += scale · B · A, one rank at a time. */
static void add_columns(const bb_kernels *k, const bb_adapted *p, float scale,
                        bool is_embed, int row, int n, int cols, int first, int n_cols, float *rows)
{
    const size_t rank = (size_t)p->rank;
    float        v[CHUNK], b;

    for (size_t i = 0; i < rank; i++) {
        if (!is_embed) bb_adapted_A(k, p, (int)i, first, n_cols, v);
        for (int c = 0; is_embed && c < n_cols; c++)
            bb_adapter_floats(k, p->B, (size_t)(first + c) * rank + i, 1, &v[c]);
        for (int r = 0; r < n; r++) {
            const size_t at = (size_t)(row + r);
            if (is_embed) bb_adapter_floats(k, p->A, i * p->A->dim[1] + at, 1, &b);
            else bb_adapted_B(k, p, row + r, (int)i, 1, &b);
            k->axpy(n_cols, scale * b, v, rows + (size_t)r * (size_t)cols + first);
        }
    }
}

/* n rows of one map. */
static void change_map(const bb_merge *m, size_t map, int row, int n, int cols, float *rows)
{
    for (size_t i = 0; i < m->n; i++) {
        const bb_adapted *p = &m->file[i]->map[map];
        for (int first = 0; p->A && first < cols; first += CHUNK)
            add_columns(&m->model->kernels, p, m->scale[i] * p->scale, is_embed(m, map), row, n,
                        cols, first, cols - first < CHUNK ? cols - first : CHUNK, rows);
    }
}

/* Rows of a tensor: of one map, or of a stack's maps one behind the other. */
static void change_rows(const void *context, int row, int n, int cols, float *rows)
{
    const change         *c = context;
    const bb_linear_name *l = find_linear(c->m, c->map);

    if (!l || l->n_stack == 0) change_map(c->m, c->map, row, n, cols, rows);
    for (int done = 0, some; l && l->n_stack > 0 && done < n; done += some) {
        const int at = (row + done) % l->rows;
        some = l->rows - at < n - done ? l->rows - at : n - done;
        change_map(c->m, c->map + (size_t)((row + done) / l->rows), at, some, cols,
                   rows + (size_t)done * (size_t)cols);
    }
}

/* -------------------------------------------------------------- what is changed ---------- */

static bool is_tied(const bb_merge *m) { return !m->model->graph->head_name[0]; }

/* Whether an adapter's part for a map is merged by itself: of a pair that stays tied, the
   embedding's stands for that of the head, which is the same; the first matrix of a stack stands
   for all. */
static bool is_merged(const bb_merge *m, size_t map)
{
    const bb_linear_name *l = find_linear(m, map);

    if (l && l->index > 0) return false;
    return !is_head(m, map) || !is_tied(m) || m->unties;
}

/* What stands in place of a map's matrix; NULL: the model's does. */
static const bb_tensor *own_weight(const bb_merge *m, const bb_adapter_file *f, size_t map)
{
    return is_embed(m, map) ? f->own_embed : is_head(m, map) ? f->own_head : f->map[map].weight;
}

static bool is_named(const bb_merge *m, const bb_tensor *t, const char *name)
{
    return name[0] && bb_find_tensor(m->model->graph, m->model->checkpoint, name) == t;
}

static bool is_of_map(const bb_merge *m, const bb_tensor *t, size_t map)
{
    const bb_graph *g = m->model->graph;

    if (m->unties && (is_embed(m, map) || is_head(m, map))) {
        const bool has_head = strcmp(g->embed_name, g->head_alias) == 0;
        if (t == &m->twin) return is_head(m, map) != has_head;
        return is_named(m, t, g->embed_name) && is_head(m, map) == has_head;
    }
    if (is_embed(m, map)) return is_named(m, t, g->embed_name) || is_named(m, t, g->embed_alias);
    if (is_head(m, map)) return is_named(m, t, g->head_name);
    return t == m->change[map].tensor;
}

/* Whether t is the bias beside the weight of a map. */
static bool is_bias_of(const bb_merge *m, const bb_tensor *t, size_t map)
{
    char         full[2 * BB_MAX_NAME];
    const char  *name = map + 2 < m->n_maps ? m->model->graph->linear[map].name : "";
    const size_t n = strlen(name);

    if (n < 7) return false;
    snprintf(full, sizeof full, "%.*s.bias", (int)(n - 7), name);
    return is_named(m, t, full);
}

/* Let `by` stand in place of the need's tensor, under its name and in its shape. */
static bb_status replace(bb_merge *m, bb_need *need, const bb_tensor *by, bb_tensor *place,
                         bamba_error *err)
{
    if (by->n_elements != need->tensor->n_elements)
        return bb_adapter_fail(err, BAMBA_ERR_FORMAT, by, "the model's tensor has another shape");
    if (need->tensor == place)
        return bb_adapter_fail(err, BAMBA_ERR_UNSUPPORTED, by, "another adapter replaces the "
                               "same tensor");
    *place = *by;
    place->name = need->tensor->name;
    place->n_dims = need->tensor->n_dims;
    memcpy(place->dim, need->tensor->dim, sizeof place->dim);
    need->tensor = place;
    need->recode.from = by->data;
    need->recode.stored = bb_format_of(&m->model->kernels, by->dtype);
    m->n_used++;
    return BAMBA_OK;
}

static bb_status change_by(bb_merge *m, size_t i, const bb_tensor *t, bb_need *need,
                           bb_tensor *place, bamba_error *err)
{
    const bb_adapter_file *f = m->file[i];
    bb_status              status = BAMBA_OK;

    for (size_t j = 0; j < m->n_maps; j++) {
        const bb_adapted     *p = &f->map[j];
        const bb_linear_name *l = find_linear(m, j);
        const bb_tensor      *own = own_weight(m, f, j);
        if (p->bias && is_bias_of(m, t, j)) BB_TRY(replace(m, need, p->bias, place, err));
        if ((!p->A && !own) || !is_merged(m, j) || !is_of_map(m, t, j)) continue;
        if (own) BB_TRY(replace(m, need, own, place, err));
        if (l && l->is_small) need->recode.wanted = &m->model->kernels.format[BB_FORMAT_F32];
        if (!p->A) continue;
        need->recode.change = change_rows;
        need->recode.change_context = &m->change[j];
        m->n_used++;
    }
    for (size_t j = 0; j < f->n_replaced; j++)
        if (is_named(m, t, f->replaced[j].name))
            BB_TRY(replace(m, need, f->replaced[j].tensor, place, err));
done:
    return status;
}

bb_status bb_merge_change(bb_merge *m, bb_need *need, bb_tensor *place, bamba_error *err)
{
    const bb_tensor *t = need->tensor;
    bb_status        status = BAMBA_OK;

    for (size_t i = 0; i < m->n; i++) BB_TRY(change_by(m, i, t, need, place, err));
done:
    return status;
}

bb_status bb_merge_check(const bb_merge *m, bamba_error *err)
{
    if (m->n_used == m->n_parts) return BAMBA_OK;
    return bb_fail(err, BAMBA_ERR_UNSUPPORTED, "merge: the adapters have %zu changes, the model "
                   "has tensors for %zu of them", m->n_parts, m->n_used);
}

/* -------------------------------------------------------------- a tied pair -------------- */

/* Whether a [n, m] is b [m, n] transposed. */
static bool are_transposed(const bb_kernels *k, const bb_tensor *a, const bb_tensor *b)
{
    const size_t rows = a->dim[0], cols = a->dim[1];
    float        x[CHUNK], y;

    if (b->dim[0] != cols || b->dim[1] != rows) return false;
    for (size_t at = 0; at < rows * cols; at += CHUNK) {
        const size_t n = rows * cols - at < CHUNK ? rows * cols - at : CHUNK;
        bb_adapter_floats(k, a, at, n, x);
        for (size_t i = 0; i < n; i++) {
            bb_adapter_floats(k, b, (at + i) % cols * rows + (at + i) / cols, 1, &y);
            if (!(x[i] == y)) return false;
        }
    }
    return true;
}

/* Whether an adapter leaves the tied pair one matrix: it changes both in the same way, or neither,
   as PEFT's ensure_weight_tying has it. */
static bool keeps_tied(const bb_merge *m, const bb_adapter_file *f)
{
    const bb_kernels *k = &m->model->kernels;
    const bb_adapted *head = &f->map[m->n_maps - 2], *embed = &f->map[m->n_maps - 1];
    const bb_tensor  *a = f->own_embed, *b = f->own_head;

    if (a != b && (!a || !b || !bb_adapter_are_equal(k, a, b))) return false;
    if (!embed->A && !head->A) return true;
    return embed->A && head->A && embed->scale == head->scale
        && are_transposed(k, head->A, embed->B) && are_transposed(k, head->B, embed->A);
}

bool bb_merge_unties(const bb_merge *m) { return m->unties; }

bb_need bb_merge_twin(bb_merge *m, const bb_need *need)
{
    bb_need twin = *need;

    m->twin = *need->tensor;
    m->twin.name = m->model->graph->twin_name;
    twin.tensor = &m->twin;
    twin.n_name = strlen(m->twin.name);
    return twin;
}

/* -------------------------------------------------------------- open --------------------- */

/* Count what an adapter changes, and refuse what cannot be written. */
static bb_status look_over(bb_merge *m, size_t file, bamba_error *err)
{
    const bb_adapter_file *f = m->file[file];
    static const char      one[] = "it is merged with scale 1 only";

    m->n_parts += f->n_replaced;
    for (size_t i = 0; i < m->n_maps; i++) {
        const bb_adapted *p = &f->map[i];
        const bb_tensor  *own = own_weight(m, f, i), *fixed = p->bias ? p->bias : own;
        if (p->B_bias)
            return bb_adapter_fail(err, BAMBA_ERR_UNSUPPORTED, p->B_bias, "a bias of B is "
                                   "not merged");
        if (fixed && m->scale[file] != 1.0f)
            return bb_adapter_fail(err, BAMBA_ERR_UNSUPPORTED, fixed, one);
        if (!is_merged(m, i)) continue;
        m->n_parts += (size_t)(p->A != NULL) + (size_t)(own != NULL) + (size_t)(p->bias != NULL);
    }
    return BAMBA_OK;
}

bb_status bb_merge_open(bb_merge **out, const bb_allocator *a, const bamba_model *model,
                        const bamba_adapter_source *source, size_t n, bamba_error *err)
{
    const bb_log log = { 0 };
    bb_status    status = BAMBA_OK;
    bb_merge    *m = bb_new(a, 1, sizeof *m);

    *out = m;                             /* the caller closes it on failure too */
    if (!m) return bb_fail(err, BAMBA_ERR_MEMORY, "merge: out of memory");
    *m = (bb_merge){ .a = *a, .model = model, .n_maps = (size_t)model->graph->n_linears + 1 };
    m->file = bb_new(a, n, sizeof *m->file);
    m->scale = bb_new(a, n, sizeof *m->scale);
    m->change = bb_new(a, m->n_maps, sizeof *m->change);
    if (!m->file || !m->scale || !m->change)
        return bb_fail(err, BAMBA_ERR_MEMORY, "merge: out of memory");
    for (size_t i = 0; i < m->n_maps; i++) {
        const bb_linear_name *l = find_linear(m, i);
        m->change[i] = (change){ m, i, l ? bb_find_tensor(model->graph, model->checkpoint, l->name)
                                         : NULL };
    }
    for (; m->n < n; m->n++) {
        if (!source[m->n].dir)
            return bb_fail(err, BAMBA_ERR_ARGUMENT, "merge: adapter %zu: dir is NULL", m->n);
        if (!isfinite(source[m->n].scale))
            return bb_fail(err, BAMBA_ERR_ARGUMENT, "merge: adapter %zu: expected a finite scale, "
                           "found %g", m->n, (double)source[m->n].scale);
        m->scale[m->n] = source[m->n].scale;
        BB_TRY(bb_adapter_file_open(&m->file[m->n], a, model, source[m->n].dir, &log, err));
        if (is_tied(m) && !keeps_tied(m, m->file[m->n])) m->unties = true;
    }
    for (size_t i = 0; i < n; i++) {
        BB_TRY(bb_adapter_join_uses(m->file[i], model, err));
        BB_TRY(look_over(m, i, err));
    }
done:
    return status;
}

void bb_merge_close(bb_merge *m)
{
    if (!m) return;
    const bb_allocator a = m->a;
    for (size_t i = 0; m->file && i < m->n; i++) bb_adapter_file_close(m->file[i]);
    bb_release(&a, m->file);
    bb_release(&a, m->scale);
    bb_release(&a, m->change);
    bb_release(&a, m);
}
