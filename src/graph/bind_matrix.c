/* bind_matrix.c - a matrix in the format that the policy says: in place, or to be made. */
#include "graph/binder.h"

#include <stdio.h>
#include <string.h>

static bool is_aligned(const void *p, size_t bytes) { return (uintptr_t)p % bytes == 0; }

/* A tensor of the calibration file; NULL if there is none. */
static const float *find_moments(bb_binder *b, const char *name, const char *ending, int n_dims,
                                 const size_t *dim)
{
    char full[3 * BB_MAX_NAME];

    snprintf(full, sizeof full, "%s%s", name, ending);
    const bb_tensor *t = bb_checkpoint_find(b->options->moments, full);
    if (!t || b->first.code != BAMBA_OK) return NULL;
    if (t->dtype != BB_TYPE_F32 || !bb_tensor_has_shape(t, n_dims, dim)
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
        bb_fail(&b->first, BAMBA_ERR_FORMAT, "the calibration has no tensor '%s': it is not "
                "of this model", name);
}

int bb_binder_name_linear(bb_binder *b, const char *name, int rows, int cols, int n_stack)
{
    const int first = b->n_linears;

    b->n_linears += n_stack > 0 ? n_stack : 1;
    for (int id = first; b->pass == BB_WALK_ATTACH && id < b->n_linears; id++) {
        bb_linear_name *l = &b->g->linear[id];
        *l = (bb_linear_name){ .n_prefix = (int)strlen(b->prefix), .rows = rows, .cols = cols,
                               .index = id - first, .n_stack = n_stack };
        snprintf(l->name, sizeof l->name, "%s%s", b->prefix, name);
    }
    return first;
}

/* A matrix's name with the prefix of its mixer. */
typedef struct full_name { char s[2 * BB_MAX_NAME]; } full_name;

static full_name name_fully(const bb_binder *b, const char *name)
{
    full_name full;

    snprintf(full.s, sizeof full.s, "%s%s", b->prefix, name);
    return full;
}

/* The format that the policy says for a matrix that is stored in another. */
static const bb_format *ask(const bb_binder *b, bb_role role, const char *full, int rows, int cols,
                            const bb_format *stored)
{
    const bb_bind_options *o = b->options;

    return o->policy ? o->policy(o->policy_context, role, full, rows, cols, stored) : stored;
}

/* That format, counted. */
static const bb_format *choose(bb_binder *b, bb_role role, const char *name, int rows, int cols,
                               const bb_format *stored)
{
    const full_name  full = name_fully(b, name);
    const bb_format *f = ask(b, role, full.s, rows, cols, stored);

    find_importance(b, role, full.s, cols, stored, f);
    if (cols > b->g->widest) b->g->widest = cols;
    b->stats.n_params += (uint64_t)rows * (uint64_t)cols;
    b->stats.weights_bytes += f->bytes(rows, cols);
    b->stats.matrix_params += (uint64_t)rows * (uint64_t)cols;
    b->stats.matrix_bytes += f->bytes(rows, cols);
    b->stats.params_of[f - b->options->k->format] += (uint64_t)rows * (uint64_t)cols;
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
        if (b->pass == BB_WALK_ATTACH) o->visit(o->visit_context, need);
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
    if (b->pass == BB_WALK_ATTACH) b->jobs[b->n_jobs] = (bb_job){ *r, *out, copy };
    b->n_jobs++;
}

/* -------------------------------------------------------------- quantized matrices ------- */

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
    if (b->pass == BB_WALK_ATTACH) bb_quantized_scales(q, b->options->k, scale, zero, &b->first);
}

/* Codes whose rows have one scale each: the scales become *row_scale [out->rows]. */
static void bind_plain(bb_binder *b, bb_matrix *out, const float **row_scale, const bb_quantized *q,
                       int first)
{
    bb_scaled layout;
    float    *scale = bb_take(&b->arena, (size_t)out->rows, sizeof *scale);

    bind_scales(b, q, &layout);
    for (int r = 0; b->pass == BB_WALK_ATTACH && r < out->rows; r++)
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
    if (b->pass == BB_WALK_ATTACH) *layout = l;
}

/* Matrix `index` of a stack [n, …]; index -1: all of them, one below the other. */
static bb_tensor cut_stack(const bb_tensor *t, int n, int index)
{
    bb_tensor cut = *t;

    if (index < 0 && t->n_dims < 3) return cut;               /* scales that matrices have one of */
    cut.n_dims--;
    memmove(cut.dim, cut.dim + 1, (size_t)cut.n_dims * sizeof *cut.dim);
    if (index < 0) {
        cut.dim[0] *= (size_t)n;
        return cut;
    }
    cut.n_elements /= (size_t)n;
    cut.bytes /= (size_t)n;
    cut.data += (size_t)index * cut.bytes;
    return cut;
}

/* Make the parts of a stack of n matrices those of one of them, or of all (cut_stack), kept in
   `cut`. */
static bool cut_parts(bb_binder *b, const char *name, bb_parts part, bb_tensor cut[BB_PART_NEEDED],
                      int n, int index)
{
    for (int i = 0; i < BB_PART_NEEDED; i++) {
        const bb_tensor *t = part[i];
        if (!t) continue;
        if (i != BB_PART_WEIGHT && i != BB_PART_SCALE && i != BB_PART_SCALE_INV) {
            bb_binder_fail(b, BAMBA_ERR_UNSUPPORTED, name, "stacks of matrices in packed codes, or "
                           "with zeros, are not read");
            return false;
        }
        if (t->n_dims < (i == BB_PART_WEIGHT ? 3 : 1) || t->n_dims > 3 || t->dim[0] != (size_t)n) {
            bb_fail(&b->first, BAMBA_ERR_FORMAT, "%s: '%.*s': expected a stack of %d, found %s",
                    t->file, bb_name_width(t->name), t->name, n,
                    bb_shape_show(t->dtype, t->n_dims, t->dim).s);
            return false;
        }
        cut[i] = cut_stack(t, n, index);
        part[i] = &cut[i];
    }
    return true;
}

/* The parts of a module as a matrix of `of` rows. A visitor (bb_need_fn) sees a stack as one matrix
   of all rows; else each of its matrices is one, with scales of its own. *q may point to `cut`. */
static bool read_quantized(bb_binder *b, bb_quantized *q, bb_tensor cut[BB_PART_NEEDED],
                           const char *name, const bb_parts whole, int of, int cols,
                           const bb_slice *s)
{
    const bb_bind_options *o = b->options;
    const int              end = (int)(strlen(name) - strlen(".weight"));
    char                   module[2 * BB_MAX_NAME];
    const bool             all = s->n && o->visit;            /* of a stack, as one matrix */
    bb_parts               part;
    bb_scheme              each = { BB_STRATEGY_BLOCK, 0, false, false, 0, of, cols };

    snprintf(module, sizeof module, "%s%.*s", b->prefix, end, name);
    const bb_scheme *scheme = o->scheme ? o->scheme(o->scheme_context, module) : NULL;
    memcpy(part, whole, sizeof part);
    if (s->n && !cut_parts(b, name, part, cut, s->n, all ? -1 : s->index)) return false;
    const bb_tensor *scale = part[part[BB_PART_SCALE] ? BB_PART_SCALE : BB_PART_SCALE_INV];
    if (all && scale && scale->n_elements == (size_t)s->n) scheme = &each;
    return bb_quantized_read(q, part, module, all ? s->n * of : of, cols, scheme,
                             &b->first) == BAMBA_OK;
}

/* A quantized matrix; row_scale NULL: whoever reads it knows only its format. */
static void bind_quantized(bb_binder *b, bb_matrix *out, const float **row_scale, bb_role role,
                           const char *name, const bb_parts part, int rows, int cols, bb_slice s)
{
    const bb_bind_options *o = b->options;
    const int              of = s.of ? s.of : rows;
    bb_tensor              cut[BB_PART_NEEDED];
    bb_quantized           q;
    int                    plain;

    if (!read_quantized(b, &q, cut, name, part, of, cols, &s)) return;
    const bool       is_plain = bb_quantized_is_plain(&q, &plain) && row_scale;
    const bb_format *stored = &o->k->format[is_plain ? plain : q.format];
    *out = (bb_matrix){ rows, cols, choose(b, role, name, rows, cols, stored), NULL };
    if (o->visit && out->format == stored) {
        bb_binder_fail(b, BAMBA_ERR_UNSUPPORTED, name,
             "expected a type for weights that others have quantized");
    } else if (is_plain && out->format == stored) {
        bind_plain(b, out, row_scale, &q, s.first);
    } else {
        const bb_tensor *t = part[part[BB_PART_PACKED] ? BB_PART_PACKED : BB_PART_WEIGHT];
        bb_need need = { .tensor = t, .rows = s.n ? s.n * of : of, .n_stack = s.n };
        need.n_name = strlen(t->name) - strlen(part[BB_PART_PACKED] ? "_packed" : "");
        need.recode.stored = &o->k->format[q.format];
        need.recode.first = o->visit ? s.index * of + s.first : s.first;
        need.recode.cols = cols;
        if (o->visit && need.recode.first > 0) place(b, out, &need);  /* the first is the whole */
        else bind_scaled(b, out, &q, &need);
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
    const bb_tensor *t = bb_binder_take(b, name, &blocks);

    if (b->skip || b->first.code != BAMBA_OK) return false;
    const bb_type    type = t ? t->dtype : b->options->planned_type;
    const bb_format *f = blocks ? blocks : bb_format_of(b->options->k, type);
    *need = (bb_need){ .tensor = t, .rows = s.n ? s.n * of : of, .n_stack = s.n };
    need->recode = (bb_recode){ .stored = f, .first = s.index * of + s.first, .cols = cols };
    if (!t) return true;
    need->n_name = strlen(t->name) - (blocks ? strlen(f->name) + 1 : 0);
    need->recode.from = t->data;
    if (!blocks) {
        const size_t dim[] = { (size_t)s.n, (size_t)of, (size_t)cols };
        return bb_binder_check(b, t, BB_TYPE_NONE, s.n ? 3 : 2, s.n ? dim : dim + 1);
    }
    const int    together = f->rows_together;
    const size_t dim[] = { (size_t)((need->rows + together - 1) / together),
                           f->bytes(together, cols) };
    return bb_binder_check(b, t, BB_TYPE_U8, 2, dim);
}

void bb_binder_matrix(bb_binder *b, bb_matrix *out, const float **row_scale, bb_role role,
                        const char *name, int rows, int cols, bb_slice s)
{
    bb_parts part;
    bb_need  need;

    /* What runs elsewhere has a name all the same, which the policy's rules may mean. */
    if (b->skip)
        ask(b, role, name_fully(b, name).s, rows, cols, &b->options->k->format[BB_FORMAT_F32]);
    if (bb_binder_take_parts(b, name, part)) {
        if (!b->skip) bind_quantized(b, out, row_scale, role, name, part, rows, cols, s);
        return;
    }
    if (!take_matrix(b, &need, name, rows, cols, s)) return;
    *out = (bb_matrix){ rows, cols, choose(b, role, name, rows, cols, need.recode.stored), NULL };
    place(b, out, &need);
}
