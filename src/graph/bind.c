/* bind.c - plan × checkpoint → weights attached; nothing missing, nothing dropped in silence. */
#include "graph/binder.h"

#include "base/system.h"

#include <string.h>

enum pass { COUNT = 1, MEASURE, ATTACH };

/* A matrix to be made in the block, after all are known. */
typedef struct job {
    bb_recode  recode;                    /* from NULL: random values */
    bb_matrix  to;
    void      *data;                      /* to.data, for writing */
} job;

enum { N_SLICED = 4 };                    /* tensors whose slices a mixer binds by turns, at most */

struct bb_binder {
    int                    pass;          /* COUNT … ATTACH */
    bb_graph              *g;
    bb_checkpoint         *c;             /* NULL while COUNT, and for random weights */
    const bb_bind_options *options;
    bb_arena               arena;
    const char            *prefix;
    bool                   skip;          /* mark tensors as taken, and nothing else */
    job                   *jobs;          /* [n_jobs], capacity known from MEASURE */
    size_t                 n_jobs, n_small;
    int                    n_linears;
    struct { char name[BB_MAX_NAME]; int id; } sliced[N_SLICED];      /* tensors of which this mixer has
                                             bound slices, the latest last; all slices share an id */
    int                    n_sliced;
    const float           *importance, *carry;        /* of the matrix that was chosen last */
    bb_bind_stats          stats;
    bamba_error            first;         /* sticky */
};

static bool is_aligned(const void *p, size_t bytes) { return (uintptr_t)p % bytes == 0; }

/* -------------------------------------------------------------- names and shapes --------- */

static void fail(bb_binder *b, bb_status code, const char *name, const char *message)
{
    if (b->first.code == BAMBA_OK)
        bb_fail(&b->first, code, "'%s%s': %s", b->prefix, name, message);
}

static bool has_shape(const bb_tensor *t, int n_dims, const size_t *dim)
{
    bool same = t->n_dims == n_dims;
    for (int i = 0; same && i < n_dims; i++) same = t->dim[i] == dim[i];
    return same;
}

const bb_tensor *bb_find_tensor(const bb_graph *g, const bb_checkpoint *c, const char *name)
{
    const char  *base = g->base;
    const size_t n = strlen(base);
    char         longer[3 * BB_MAX_NAME];
    const bb_tensor *t = bb_checkpoint_find(c, name);

    const bool is_of_base = n > 0 && strncmp(name, base, n) == 0;

    if (!t && is_of_base) t = bb_checkpoint_find(c, name + n);
    if (!t && is_of_base && g->base_alias[0]) {
        snprintf(longer, sizeof longer, "%s%s", g->base_alias, name + n);
        t = bb_checkpoint_find(c, longer);
    }
    if (t || n == 0) return t;
    snprintf(longer, sizeof longer, "%s%s", base, name);
    return bb_checkpoint_find(c, longer);
}

static const bb_tensor *find(const bb_binder *b, const char *name)
{
    return bb_find_tensor(b->g, b->c, name);
}

/* The tensor that holds a matrix: of that name, or in a format with scales under it and the name of
   the format, "name_q4"; *f is that format, else NULL. */
static const bb_tensor *find_matrix(const bb_binder *b, const char *name, const bb_format **f)
{
    char             longer[3 * BB_MAX_NAME];
    const bb_tensor *t = find(b, name);

    *f = NULL;
    for (int i = 0; !t && i < BB_N_FORMATS; i++) {
        const bb_format *k = &b->options->k->format[i];
        if (k->block <= 1) continue;
        snprintf(longer, sizeof longer, "%s_%s", name, k->name);
        t = find(b, longer);
        if (t) *f = k;
    }
    return t;
}

/* Whether the matrix is there as GPTQ and AWQ pack it, beside a config.json that is silent. */
static bool is_packed(const bb_binder *b, const char *name)
{
    const char *end = strrchr(name, '.');
    char        packed[2 * BB_MAX_NAME];

    if (!end || strcmp(end, ".weight") != 0) return false;
    snprintf(packed, sizeof packed, "%.*s.qweight", (int)(end - name), name);
    return find(b, packed) != NULL;
}

/* Find prefix + name, of a matrix if f is not NULL (find_matrix), and mark it as taken. NULL while
   counting, while skipping, and on failure. */
static const bb_tensor *take(bb_binder *b, const char *name, const bb_format **f)
{
    char full[2 * BB_MAX_NAME];

    if (!b->c || b->first.code != BAMBA_OK) return NULL;
    snprintf(full, sizeof full, "%s%s", b->prefix, name);
    const bb_tensor *t = f ? find_matrix(b, full, f) : find(b, full);
    if (t) bb_checkpoint_take(b->c, t->name);
    if (b->skip) return NULL;
    if (!t && is_packed(b, full))
        fail(b, BAMBA_ERR_UNSUPPORTED, name, "expected this tensor, found '.qweight': quantized "
             "checkpoints are not read");
    else if (!t)
        fail(b, BAMBA_ERR_FORMAT, name, "expected this tensor, the checkpoint does not have it");
    return t;
}

/* Fail unless t has this type, or with NONE any that can be read, and these dimensions. */
static bool check(bb_binder *b, const bb_tensor *t, bb_type type, int n_dims, const size_t *dim)
{
    const bool is_typed = type != BB_TYPE_NONE;

    if (!has_shape(t, n_dims, dim) || (is_typed && t->dtype != type))
        bb_fail(&b->first, BAMBA_ERR_FORMAT, "%s: '%.*s': expected %s, found %s", t->file,
                bb_name_width(t->name), t->name,
                bb_shape_show(is_typed ? type : t->dtype, n_dims, dim).s,
                bb_shape_show(t->dtype, t->n_dims, t->dim).s);
    else if (!is_typed && t->dtype >= BB_N_FLOATS)
        bb_fail(&b->first, BAMBA_ERR_UNSUPPORTED, "%s: '%.*s': expected F32, BF16 or F16, found %s",
                t->file, bb_name_width(t->name), t->name, bb_type_name(t->dtype));
    return b->first.code == BAMBA_OK;
}

/* -------------------------------------------------------------- the mixers' verbs -------- */

/* A tensor of the calibration file; NULL if there is none. */
static const float *find_moments(bb_binder *b, const char *name, const char *ending, int n_dims,
                                 const size_t *dim)
{
    char full[3 * BB_MAX_NAME];

    snprintf(full, sizeof full, "%s%s", name, ending);
    const bb_tensor *t = bb_checkpoint_find(b->options->moments, full);
    if (!t || b->first.code != BAMBA_OK) return NULL;
    if (t->dtype != BB_TYPE_F32 || !has_shape(t, n_dims, dim)
        || !is_aligned(t->data, sizeof(float))) {
        bb_fail(&b->first, BAMBA_ERR_FORMAT, "%s: '%s': expected %s, found %s", t->file, full,
                bb_shape_show(BB_TYPE_F32, n_dims, dim).s,
                bb_shape_show(t->dtype, t->n_dims, t->dim).s);
        return NULL;
    }
    return (const float *)(const void *)t->data;
}

/* Which errors of a matrix matter, if it is going to be rounded with scales. */
static void find_importance(bb_binder *b, bb_role role, const char *name, int cols,
                            const bb_format *stored, const bb_format *wanted)
{
    const size_t dim[] = { ((size_t)cols + BB_CARRY - 1) / BB_CARRY, BB_CARRY, BB_CARRY };
    const size_t n = (size_t)cols;

    b->importance = b->carry = NULL;
    if (b->skip || !b->options->moments || wanted->block == 1 || bb_format_is_like(wanted, stored))
        return;
    b->importance = find_moments(b, name, "", 1, &n);
    b->carry = find_moments(b, name, BB_CARRY_ENDING, 3, dim);
    if (!b->importance && role == BB_ROLE_PROJECTION && b->first.code == BAMBA_OK)
        bb_fail(&b->first, BAMBA_ERR_FORMAT, "the calibration has no tensor '%s': it is not of this "
                "model", name);
}

/* Remember what a linear map is called; its id is the number of those before it. */
static void name_linear(bb_binder *b, const char *name, int rows, int cols)
{
    if (b->pass != ATTACH) return;
    bb_linear_name *l = &b->g->linear[b->n_linears];
    snprintf(l->name, sizeof l->name, "%s%s", b->prefix, name);
    l->rows = rows;
    l->cols = cols;
}

/* Remember how a linear map's weights are kept, or a slice of them. */
static void note_format(bb_binder *b, int id, const bb_format *f)
{
    if (b->pass != ATTACH || b->skip || !f) return;
    if (f->type == BB_TYPE_NONE || f->type >= BB_N_FLOATS) b->g->linear[id].is_coarse = true;
}

/* The format that the policy says for a matrix that is stored in another, counted. */
static const bb_format *choose(bb_binder *b, bb_role role, const char *name, int rows, int cols,
                               const bb_format *stored)
{
    const bb_bind_options *o = b->options;
    char                   full[2 * BB_MAX_NAME];

    snprintf(full, sizeof full, "%s%s", b->prefix, name);
    const bb_format *f = o->policy ? o->policy(o->policy_context, role, full, rows, cols, stored)
                                   : stored;
    find_importance(b, role, full, cols, stored, f);
    if (cols > b->g->widest) b->g->widest = cols;
    b->stats.n_params += (uint64_t)rows * (uint64_t)cols;
    b->stats.weights_bytes += f->bytes(rows, cols);
    b->stats.matrix_params += (uint64_t)rows * (uint64_t)cols;
    b->stats.matrix_bytes += f->bytes(rows, cols);
    b->stats.params_of[f - o->k->format] += (uint64_t)rows * (uint64_t)cols;
    return f;
}

/* Leave a matrix, whose shape and format stand in *out, where its bytes lie in a file, or make it
   in the block from what is stored. */
static void place(bb_binder *b, bb_matrix *out, bb_need *need)
{
    const bb_bind_options *o = b->options;
    bb_recode             *r = &need->recode;
    const size_t           bytes = out->format->bytes(out->rows, out->cols);
    const bool             is_whole = r->first % r->stored->rows_together == 0;

    r->wanted = out->format;
    r->importance = b->importance;
    r->carry = b->carry;
    if (o->visit) {
        if (b->pass == ATTACH) o->visit(o->visit_context, need);
        return;
    }
    out->data = r->from ? r->from + r->stored->bytes(r->first, r->cols) : NULL;
    if (bb_format_is_like(r->wanted, r->stored) && !o->copy && !o->random && is_whole
        && is_aligned(out->data, r->stored->align)) {
        b->stats.mapped_bytes += bytes;
        return;
    }
    if (!o->random && !bb_format_is_like(r->wanted, r->stored)) b->stats.converted_bytes += bytes;
    else if (!o->random && !o->copy) b->stats.misaligned_bytes += bytes;
    void *copy = bb_take(&b->arena, bytes, 1);
    out->data = copy;
    if (b->pass == ATTACH) b->jobs[b->n_jobs] = (job){ *r, *out, copy };
    b->n_jobs++;
}

/* -------------------------------------------------------------- quantized matrices ------- */

/* The tensors of the module whose matrix would be `name`, taken; false if it is not quantized. */
static bool take_parts(bb_binder *b, const char *name, bb_parts part)
{
    char         full[2 * BB_MAX_NAME + 32];
    const size_t n = strlen(name);

    if (!b->c || b->first.code != BAMBA_OK || n < 7 || strcmp(name + n - 7, ".weight") != 0)
        return false;
    for (int i = 0; i < BB_N_PARTS; i++) {
        snprintf(full, sizeof full, "%s%.*s%s", b->prefix, (int)(n - 6), name, bb_part_name[i]);
        part[i] = find(b, full);
    }
    if (!bb_is_quantized(part)) return false;
    for (int i = 0; i < BB_N_PARTS; i++)
        if (part[i]) bb_checkpoint_take(b->c, part[i]->name);
    return true;
}

/* The scales of a matrix as the `scale` and `zero` of *layout, in the block. */
static void bind_scales(bb_binder *b, const bb_quantized *q, bb_scaled *layout)
{
    float *scale = bb_take(&b->arena, q->n_scales, sizeof *scale);
    float *zero = q->zero ? bb_take(&b->arena, q->n_scales, sizeof *zero) : NULL;

    b->stats.weights_bytes += (q->zero ? 2 : 1) * q->n_scales * sizeof *scale;
    b->stats.matrix_bytes += (q->zero ? 2 : 1) * q->n_scales * sizeof *scale;
    *layout = q->layout;
    layout->scale = scale;
    layout->zero = zero;
    if (b->pass == ATTACH) bb_quantized_scales(q, b->options->k, scale, zero, &b->first);
}

/* Codes whose rows have one scale each: the scales become *row_scale [out->rows]. */
static void bind_plain(bb_binder *b, bb_matrix *out, const float **row_scale, const bb_quantized *q,
                       int first)
{
    bb_scaled layout;
    float    *scale = bb_take(&b->arena, (size_t)out->rows, sizeof *scale);

    bind_scales(b, q, &layout);
    for (int r = 0; b->pass == ATTACH && r < out->rows; r++)
        scale[r] = layout.scale[bb_scaled_row(&layout, first + r)];
    *row_scale = scale;
    place(b, out, &(bb_need){ .recode = { .stored = out->format, .from = q->layout.codes,
                                          .first = first, .cols = out->cols } });
}

/* Codes with other scales: a matrix of them, or what the policy makes of it. */
static void bind_scaled(bb_binder *b, bb_matrix *out, const bb_quantized *q, bb_need *need)
{
    const bb_format *f8 = &b->options->k->format[BB_FORMAT_F8], *stored = need->recode.stored;
    bb_scaled       *layout = bb_take(&b->arena, 1, sizeof *layout), l;

    bind_scales(b, q, &l);
    if (out->format != stored) {
        need->recode.from = (const unsigned char *)layout;
        place(b, out, need);
    } else {                              /* codes are copied as bytes, or stay */
        bb_matrix codes = { out->rows, (int)l.row_bytes, f8, NULL };
        place(b, &codes, &(bb_need){ .recode = { .stored = f8, .from = l.codes, .cols = codes.cols,
                                                 .first = need->recode.first } });
        l.codes = codes.data;
        l.first = need->recode.first;
        out->data = layout;
    }
    if (b->pass == ATTACH) *layout = l;
}

/* A quantized matrix; row_scale NULL: whoever reads it knows only its format. */
static void bind_quantized(bb_binder *b, bb_matrix *out, const float **row_scale, bb_role role,
                           const char *name, const bb_parts part, int rows, int cols, bb_slice s)
{
    const bb_bind_options *o = b->options;
    const int              end = (int)(strlen(name) - strlen(".weight"));
    char                   module[2 * BB_MAX_NAME];
    bb_quantized           q;
    int                    plain;

    snprintf(module, sizeof module, "%s%.*s", b->prefix, end, name);
    if (s.n) {
        fail(b, BAMBA_ERR_UNSUPPORTED, name, "stacks of quantized matrices are not read");
        return;
    }
    const bb_scheme *scheme = o->scheme ? o->scheme(o->scheme_context, module) : NULL;
    if (bb_quantized_read(&q, part, module, s.of ? s.of : rows, cols, scheme, &b->first) != BAMBA_OK)
        return;
    const bool       is_plain = bb_quantized_is_plain(&q, &plain) && row_scale;
    const bb_format *stored = &o->k->format[is_plain ? plain : q.format];
    *out = (bb_matrix){ rows, cols, choose(b, role, name, rows, cols, stored), NULL };
    if (o->visit && out->format == stored) {
        fail(b, BAMBA_ERR_UNSUPPORTED, name,
             "expected a type for weights that others have quantized");
    } else if (is_plain && out->format == stored) {
        bind_plain(b, out, row_scale, &q, s.first);
    } else {
        const bb_tensor *t = part[part[BB_PART_PACKED] ? BB_PART_PACKED : BB_PART_WEIGHT];
        bb_need need = { .tensor = t, .rows = s.of ? s.of : rows };
        need.n_name = strlen(t->name) - strlen(part[BB_PART_PACKED] ? "_packed" : "");
        need.recode.stored = &o->k->format[q.format];
        need.recode.first = s.first;
        need.recode.cols = cols;
        bind_scaled(b, out, &q, &need);
    }
}

/* -------------------------------------------------------------- a matrix ----------------- */

/* Take the tensor that has the matrix, or of which it is a slice. False while there is nothing to
   bind. */
static bool take_matrix(bb_binder *b, bb_need *need, const char *name, int rows, int cols,
                        bb_slice s)
{
    const int        of = s.of ? s.of : rows;
    const bb_format *blocks = NULL;
    const bb_tensor *t = take(b, name, &blocks);

    if (b->skip || b->first.code != BAMBA_OK) return false;
    const bb_type    type = t ? t->dtype : b->options->planned_type;
    const bb_format *f = blocks ? blocks : bb_format_of(b->options->k, type);
    *need = (bb_need){ .tensor = t, .rows = s.n ? s.n * of : of };
    need->recode = (bb_recode){ .stored = f, .first = s.index * of + s.first, .cols = cols };
    if (!t) return true;
    need->n_name = strlen(t->name) - (blocks ? strlen(f->name) + 1 : 0);
    need->recode.from = t->data;
    if (!blocks) {
        const size_t dim[] = { (size_t)s.n, (size_t)of, (size_t)cols };
        return check(b, t, BB_TYPE_NONE, s.n ? 3 : 2, s.n ? dim : dim + 1);
    }
    const int    together = f->rows_together;
    const size_t dim[] = { (size_t)((need->rows + together - 1) / together),
                           f->bytes(together, cols) };
    return check(b, t, BB_TYPE_U8, 2, dim);
}

/* A matrix out of a tensor (its slice), or out of those of a quantized module, in the format that
   the policy says. */
static void bind_matrix(bb_binder *b, bb_matrix *out, const float **row_scale, bb_role role,
                        const char *name, int rows, int cols, bb_slice s)
{
    bb_parts part;
    bb_need  need;

    if (take_parts(b, name, part)) {
        if (!b->skip) bind_quantized(b, out, row_scale, role, name, part, rows, cols, s);
        return;
    }
    if (!take_matrix(b, &need, name, rows, cols, s)) return;
    *out = (bb_matrix){ rows, cols, choose(b, role, name, rows, cols, need.recode.stored), NULL };
    place(b, out, &need);
}

void bb_bind_small(bb_binder *b, const float **out, const char *name, const int *dim, bb_range r)
{
    const bb_bind_options *o = b->options;
    const bb_tensor       *t = take(b, name, NULL);
    size_t                 n = 1, want[BB_MAX_DIMS];
    int                    n_dims = 0;

    if (b->skip || b->first.code != BAMBA_OK) return;
    for (; dim[n_dims]; n_dims++) n *= want[n_dims] = (size_t)dim[n_dims];
    if (t && !check(b, t, BB_TYPE_NONE, n_dims, want)) return;
    if (o->visit && b->pass == ATTACH)
        o->visit(o->visit_context, &(bb_need){ .tensor = t, .n_name = strlen(t->name) });
    b->stats.n_params += n;
    b->stats.weights_bytes += n * sizeof(float);
    float *copy = bb_take(&b->arena, n, sizeof *copy);
    if (b->pass == ATTACH && t)
        bb_recode_elements(bb_format_of(o->k, t->dtype), t->data, 0, n, copy);
    if (b->pass == ATTACH && !t) bb_random_range(r.low, r.high, o->seed - ++b->n_small, n, copy);
    *out = copy;
}

void bb_bind_vector(bb_binder *b, const float **out, const char *name, int n, bb_range r)
{
    bb_bind_small(b, out, name, (const int[]){ n, 0 }, r);
}

/* The number of the linear map that a slice of this tensor belongs to. */
static int find_sliced(bb_binder *b, const char *name, int rows, int cols)
{
    for (int i = b->n_sliced - 1; i >= 0; i--)
        if (strcmp(b->sliced[i].name, name) == 0) return b->sliced[i].id;
    if (b->n_sliced == N_SLICED)
        memmove(b->sliced, b->sliced + 1, (size_t)--b->n_sliced * sizeof *b->sliced);
    snprintf(b->sliced[b->n_sliced].name, BB_MAX_NAME, "%s", name);
    name_linear(b, name, rows, cols);
    return b->sliced[b->n_sliced++].id = b->n_linears++;
}

void bb_bind_slice(bb_binder *b, bb_linear *out, const char *name, int rows, int cols,
                   bb_slice slice)
{
    bb_linear l = { .first = slice.index * slice.of + slice.first };

    l.id = find_sliced(b, name, slice.n ? 0 : slice.of ? slice.of : rows, cols);
    bind_matrix(b, &l.w, &l.row_scale, BB_ROLE_PROJECTION, name, rows, cols, slice);
    note_format(b, l.id, l.w.format);
    if (!b->skip) *out = l;
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

uint64_t bb_bind_begin_routed(const bb_binder *b) { return b->stats.weights_bytes; }

void bb_bind_end_routed(bb_binder *b, uint64_t begun, int used, int of)
{
    const uint64_t bytes = b->stats.weights_bytes - begun;
    b->stats.weights_bytes = begun + bytes / (uint64_t)of * (uint64_t)used;
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
    if (b->pass == ATTACH) note_factors(b, l, list);
    if (is_needed && !l->row_scale) {
        float *ones = bb_take(&b->arena, (size_t)l->w.rows, sizeof *ones);
        for (int i = 0; b->pass == ATTACH && i < l->w.rows; i++) ones[i] = 1.0f;
        l->row_scale = ones;
        b->stats.weights_bytes += (uint64_t)l->w.rows * sizeof *ones;
    }
    float *scale = (float *)(uintptr_t)l->row_scale, *bias = (float *)(uintptr_t)l->bias;
    for (const bb_factor *f = list; b->pass == ATTACH && f->rows; f++) {
        for (int i = 0; scale && i < f->rows; i++) *scale++ *= (float)or_one(f->product);
        for (int i = 0; bias && i < f->rows; i++) *bias++ *= (float)or_one(f->bias);
    }
}

void bb_bind_map(bb_binder *b, const float *values, int n, float (*map)(float))
{
    if (b->skip || b->pass != ATTACH || b->first.code != BAMBA_OK) return;
    float *v = (float *)(uintptr_t)values;            /* ours: the copy in the arena */
    for (int i = 0; i < n; i++) v[i] = map(v[i]);
}

/* -------------------------------------------------------------- the walk ----------------- */

static bool begins(const char *name, const char *prefix, size_t n)
{
    return n > 0 && strncmp(name, prefix, n) == 0;
}

/* Settle what the checkpoint calls the embedding. Of a tied pair it may hold either matrix; if it
   holds two that differ, they are not tied, as in transformers. */
static void settle_names(bb_binder *b)
{
    bb_graph        *g = b->g;
    const bb_format *f;
    const bb_tensor *embed = bb_binder_find_matrix(b, g->embed_name, &f);
    const bb_tensor *head = g->head_alias[0] ? bb_binder_find_matrix(b, g->head_alias, &f) : NULL;

    if (!embed && g->embed_alias[0] && (embed = bb_binder_find_matrix(b, g->embed_alias, &f)))
        memcpy(g->embed_name, g->embed_alias, sizeof g->embed_name);
    if (!head) return;
    if (!embed) {
        memcpy(g->twin_name, g->embed_name, sizeof g->twin_name);
        memcpy(g->embed_name, g->head_alias, sizeof g->embed_name);
    } else if (head->dtype == embed->dtype && head->bytes == embed->bytes
               && memcmp(head->data, embed->data, head->bytes) == 0) {
        bb_checkpoint_take(b->c, head->name);
    } else {
        memcpy(g->head_name, g->head_alias, sizeof g->head_name);
        bb_log_line(&b->options->log, "%s: '%.*s' differs from '%.*s', to which config.json "
                    "ties it: it is used as it is", head->file, bb_name_width(head->name),
                    head->name, bb_name_width(embed->name), embed->name);
    }
}

/* The block before number i that has bound the norm of both; NULL: none. A norm with the prefix of
   the block's own layer is its own. */
static const bb_block *find_norm(const bb_binder *b, size_t i)
{
    const bb_block *k = &b->g->block[i];
    const size_t    n = strlen(k->prefix);

    if (b->skip || (n > 0 && strncmp(k->norm_name, k->prefix, n) == 0)) return NULL;
    for (size_t j = b->g->first; j < i; j++)
        if (strcmp(b->g->block[j].norm_name, k->norm_name) == 0) return &b->g->block[j];
    return NULL;
}

static void bind_norm(bb_binder *b, size_t i)
{
    bb_block *k = &b->g->block[i];

    const bb_block *other = find_norm(b, i);
    const int       width = b->g->d_model * (k->input == BB_INPUT_BESIDE_EMBEDDING ? 2 : 1);

    b->prefix = "";
    if (other) k->norm = other->norm;
    else if (k->norm_name[0]) bb_bind_vector(b, &k->norm, k->norm_name, width, BB_RANGE_SCALE);
}

static void bind_block(bb_binder *b, size_t i)
{
    bb_block *k = &b->g->block[i];

    b->skip = i < b->g->first || i >= b->g->end;
    bind_norm(b, i);
    for (int j = 0; j < k->n_uses; j++) {
        bb_mixer *m = k->use[j].mixer;
        if (m->bound_in == b->pass) continue;         /* another block uses it too */
        if (!b->skip) m->bound_in = b->pass;
        b->prefix = m->prefix;
        b->n_sliced = 0;
        m->kind->bind(m, b);
    }
}

static void walk(bb_binder *b)
{
    bb_graph  *g = b->g;
    const bool is_tied = !g->head_name[0];

    b->n_jobs = 0;
    b->n_small = 0;
    b->n_linears = b->n_sliced = 0;
    b->stats = (bb_bind_stats){ 0 };
    b->prefix = "";
    b->skip = !bb_graph_has_embed(g) && !(is_tied && bb_graph_has_head(g));
    bb_binder_matrix(b, &g->embed, NULL, BB_ROLE_EMBEDDING, g->embed_name, g->n_rows, g->d_model,
                     (bb_slice){ 0 });
    /* Unless the head reads it too, a token reads one row of it, which is nothing. */
    if (!is_tied || !bb_graph_has_head(g)) b->stats.weights_bytes = 0;
    for (size_t i = 0; i < g->n_blocks; i++) bind_block(b, i);
    b->prefix = "";
    b->skip = !bb_graph_has_head(g);
    bb_bind_vector(b, &g->norm, g->norm_name, g->d_model, BB_RANGE_SCALE);
    bb_binder_name_linear(b, g->head_name[0] ? g->head_name : g->embed_name, g->n_rows, g->d_model);
    g->head.id = b->n_linears++;
    if (!is_tied)
        bb_binder_matrix(b, &g->head.w, &g->head.row_scale, BB_ROLE_HEAD, g->head_name, g->n_rows,
                         g->d_model, (bb_slice){ 0 });
    else g->head.w = g->embed;
    g->head.w.rows = g->n_vocab;
    note_format(b, g->head.id, g->head.w.format);
    b->stats.resident_bytes = b->arena.used;
    if (b->arena.overflow)
        bb_binder_fail(b, BAMBA_ERR_UNSUPPORTED, "weights", "too large for this machine");
}

/* -------------------------------------------------------------- bind --------------------- */

static bb_status first_failure(const bb_binder *b, bamba_error *err)
{
    if (b->first.code != BAMBA_OK && err) *err = b->first;
    return b->first.code;
}

bb_status bb_bind(bb_graph *g, bb_checkpoint *c, const bb_bind_options *options, void **block,
                  bb_bind_stats *stats, bamba_error *err)
{
    bb_status status = BAMBA_OK;
    bb_binder b = { .pass = c || options->random ? BB_WALK_MEASURE : BB_WALK_COUNT, .g = g, .c = c,
                    .options = options, .arena = BB_MEASURE };
    void     *memory = NULL;

    *block = NULL;
    if (c) settle_names(&b);
    walk(&b);
    *stats = b.stats;
    BB_TRY(first_failure(&b, err));
    if (b.pass == BB_WALK_COUNT) return BAMBA_OK;
    if (c) BB_TRY(bb_binder_leftovers(&b, err));

    BB_TRY(bb_system_check_memory("weights", b.arena.used, err));
    memory = bb_allocate(&g->alloc, b.arena.used, 1);
    bb_release(&g->alloc, g->linear);     /* of an earlier binding */
    g->n_linears = b.n_linears;
    g->linear = bb_new(&g->alloc, (size_t)b.n_linears, sizeof *g->linear);
    b.jobs = bb_new(&g->alloc, b.n_jobs + 1, sizeof *b.jobs);
    if (!memory || !b.jobs || !g->linear) {
        status = bb_fail(err, BAMBA_ERR_MEMORY, "weights: out of memory");
        goto done;
    }
    bb_advise_huge(&g->alloc, memory, b.arena.used);
    b.pass = BB_WALK_ATTACH;
    b.arena = (bb_arena){ .base = memory, .size = b.arena.used };
    walk(&b);
    BB_TRY(first_failure(&b, err));
    BB_TRY(bb_binder_make(&b, err));
    if (!options->visit && !bb_binder_report(&b, UINT64_MAX))
        status = bb_fail(err, BAMBA_ERR_CANCELLED, "cancelled while loading weights");
    if (status == BAMBA_OK) {
        *block = memory;
        memory = NULL;
    }
done:
    if (memory) bb_unguard(memory, stats->resident_bytes);
    bb_release(&g->alloc, b.jobs);
    bb_release(&g->alloc, memory);
    return status;
}
