/* product_rows.c - the rows of x that a call's products read: where they lie, or made or gathered,
 * and put into the order that the formats of the weights want.
 *
 * Of few rows each thread makes and prepares all for itself; many are prepared by all threads for
 * all, a group of rows a tile. */
#include "mixer/product_internal.h"

#include <string.h>

const float *bb_reader_rows(const bb_exec *e, const bb_reader *r, int first, int n, size_t *ld)
{
    const bb_source *x = r->x;
    const size_t     cols = (size_t)x->cols;

    *ld = x->x ? x->ld : cols;
    if (x->x && !x->index) return x->x + (size_t)first * x->ld;
    *ld = cols;
    if (!x->x) bb_mark(e, r->op);
    for (int t = 0; t < n; t++) {
        float *row = r->own.rows + (size_t)t * cols;
        if (!x->x) x->make(e, x->job, first + t, row);
        else memcpy(row, x->x + (size_t)x->index[first + t] * x->ld, cols * sizeof *row);
    }
    if (!x->x) bb_mark(e, x->op);
    return r->own.rows;
}

const float *bb_reader_few_rows(const bb_exec *e, const bb_reader *r, size_t *ld)
{
    bb_source *x = r->x;

    *ld = (size_t)x->cols;
    const float *rows = x->is_made ? r->own.rows : bb_reader_rows(e, r, 0, x->T, ld);
    x->is_made = rows == r->own.rows;
    return rows;
}

/* Number of the copy that `prepare` has made or may make: copy 0 if it is that or nothing yet. */
static int copy_of(const bb_source *x, bb_prepare_fn *prepare)
{
    return !x->prepared[0] || x->prepared[0] == prepare ? 0 : 1;
}

void bb_source_keep_apart(bb_source *x, const bb_format *a, const bb_format *b)
{
    bb_prepare_fn *const by_a = bb_preparer(a, x->many), *const by_b = bb_preparer(b, x->many);

    if (by_a != by_b && copy_of(x, by_a) == copy_of(x, by_b))
        x->prepared[0] = x->prepared[1] = NULL;
}

static const void *prepare_few(const bb_exec *e, const bb_reader *r, const bb_format *f)
{
    bb_source *x = r->x;
    const int  i = copy_of(x, f->prepare_few);
    size_t     ld;

    if (x->prepared[i] == f->prepare_few) return r->own.prepared[i];
    const float *rows = bb_reader_few_rows(e, r, &ld);
    f->prepare_few(x->T, x->cols, rows, ld, r->own.prepared[i]);
    x->prepared[i] = f->prepare_few;
    return r->own.prepared[i];
}

typedef struct preparing {
    const bb_reader *r;
    const bb_format *f;
    unsigned char   *to;
} preparing;

/* One tile a group of rows. */
static void run_prepare(const bb_exec *e, const void *context, int g)
{
    const preparing *p = context;
    const bb_source *x = p->r->x;
    const int        first = g * p->f->group;
    const int        n = bb_smaller(p->f->group, x->T - first);
    size_t           ld;
    const float     *rows = bb_reader_rows(e, p->r, first, n, &ld);

    p->f->prepare_many(n, x->cols, rows, ld, p->to + p->f->many_bytes(first, x->cols));
}

static const void *prepare_many(const bb_exec *e, const bb_reader *r, const bb_format *f)
{
    bb_source      *x = r->x;
    const int       i = copy_of(x, f->prepare_many);
    const preparing p = { r, f, e->pass->room->prepared[i] };

    if (x->prepared[i] == f->prepare_many) return p.to;
    bb_each_tile(e, bb_divide_up(x->T, f->group), run_prepare, &p);
    x->prepared[i] = f->prepare_many;
    return p.to;
}

const void *bb_reader_prepare(const bb_exec *e, const bb_reader *r, const bb_format *f)
{
    return r->x->many ? prepare_many(e, r, f) : prepare_few(e, r, f);
}
