/* product.c - rows times weight matrices, by all threads.
 *
 * A tile is some weight rows times all rows of x. Many rows are prepared by all threads for all,
 * then tiles of up to 128 weight rows run. Few rows are made and prepared by each thread for
 * itself, which costs less than meeting; tiles are small and are made in memory of the thread, so
 * that another thread can repeat them (base/team.h). */
#include "mixer/product_internal.h"

#include "mixer/blas.h"
#include "mixer/lora.h"

#include <assert.h>
#include <string.h>

enum { FEW_TILE = BB_FEW_TILE, MANY_TILE = BB_MANY_TILE, COPIES = BB_COPIES };
enum { DECODED = 2, MANY_DECODED = 32 };  /* weight rows decoded at a time, for few and many rows */

/* -------------------------------------------------------------- room --------------------- */

typedef bb_product_own own;

struct bb_product_room {
    unsigned char *prepared[COPIES];      /* many rows, shared by all threads */
    own            first;                 /* of thread 0; thread i's is i · own_bytes further on */
    size_t         own_bytes;
    int            T, widest;
};

static size_t larger(size_t a, size_t b) { return a > b ? a : b; }
static int    smaller(int a, int b) { return a < b ? a : b; }
static int    divide_up(int a, int b) { return (a + b - 1) / b; }

/* Most bytes that any format's prepared rows take. */
static size_t prepared_bytes(const bb_kernels *k, int T, int widest, bool many)
{
    size_t most = 0;

    for (int i = 0; i < BB_N_FORMATS; i++)
        most = larger(most, (many ? k->format[i].many_bytes : k->format[i].few_bytes)(T, widest));
    return most;
}

static size_t scratch_bytes(const bb_kernels *k, int T, int widest)
{
    size_t most = (size_t)DECODED * (size_t)widest * sizeof(float);

    for (int i = 0; i < BB_N_FORMATS; i++) {
        const bb_format *f = &k->format[i];
        if (f->many) most = larger(most, BB_MANY_SCRATCH(T, MANY_TILE));
        else if (f->few) most = larger(most, (size_t)MANY_TILE * (size_t)widest * sizeof(float));
    }
    return most;
}

static own take_own(const bb_kernels *k, int T, int widest, bb_arena *a)
{
    const size_t few = prepared_bytes(k, BB_FEW_ROWS, widest, false);
    own          o;

    o.rows = bb_take(a, (size_t)BB_FEW_ROWS * (size_t)widest, sizeof(float));
    for (int i = 0; i < COPIES; i++) o.prepared[i] = bb_take(a, few, 1);
    o.few = bb_take(a, (size_t)BB_PLACES * 2 * BB_FEW_ROWS * FEW_TILE, sizeof(float));
    o.many = bb_take(a, 2 * (size_t)T * MANY_TILE, sizeof(float));
    o.scratch = bb_take(a, scratch_bytes(k, T, widest), 1);
    return o;
}

bb_product_room *bb_product_room_take(bb_arena *a, const bb_kernels *k, int T, int widest,
                                      int n_threads)
{
    bb_product_room *room = bb_take(a, 1, sizeof *room);
    bb_product_room  r = { .T = T, .widest = widest };

    for (int i = 0; i < COPIES; i++)
        r.prepared[i] = bb_take(a, prepared_bytes(k, T, widest, true), 1);
    for (int i = 0; i < n_threads; i++) {
        const size_t before = a->used;
        const own    o = take_own(k, T, widest, a);
        if (i == 0) r.first = o;
        r.own_bytes = a->used - before;
    }
    if (room) *room = r;
    return room;
}

static void *further(void *p, size_t bytes) { return (unsigned char *)p + bytes; }

bb_product_own bb_product_own_of(const bb_product_room *room, int thread)
{
    const size_t bytes = (size_t)thread * room->own_bytes;
    own          o = room->first;

    o.rows = further(o.rows, bytes);
    for (int i = 0; i < COPIES; i++) o.prepared[i] = further(o.prepared[i], bytes);
    o.few = further(o.few, bytes);
    o.many = further(o.many, bytes);
    o.scratch = further(o.scratch, bytes);
    return o;
}

/* -------------------------------------------------------------- a call ------------------- */

/* Products of a call that read the same prepared rows. */
typedef struct job {
    int                op;
    const bb_product  *product;           /* [n] */
    int                n;
    const bb_epilogue *then;
    bb_source         *x;
    own                own;
    int                tile_rows;
    int                before;            /* columns of the call before these products */
    bb_lora            lora;              /* what adapters add to them */
} job;

/* As many tiles for each thread, of nearly the same size: a small model's stages have few. */
static int few_tile_rows(const bb_exec *e, const job *j)
{
    int rows = 0, together = 4;

    for (int i = 0; i < j->n; i++) {
        const bb_matrix *w = &j->product[i].linear->w;
        rows += w->rows;
        if (w->format->rows_together > together) together = w->format->rows_together;
    }
    const int share = divide_up(rows, e->pass->n_threads);
    return divide_up(divide_up(share, divide_up(share, FEW_TILE)), together) * together;
}

bool bb_product_has_many(const bb_kernels *k, const bb_format *f)
{
    return f->many || (!f->few && k->format[BB_FORMAT_F32].many);
}

/* Tiles that stay in the caches; smaller ones where they would not be enough for all threads, but
   not for BLAS, whose bits depend on the tile. */
static int many_tile_rows(const bb_exec *e, const job *j)
{
    int rows = 0;

    for (int i = 0; i < j->n; i++) {
        const bb_product *p = &j->product[i];
        if (!bb_product_has_many(e->pass->k, p->linear->w.format)) return MANY_TILE;
        if (p->pair && !bb_product_has_many(e->pass->k, p->pair->w.format)) return MANY_TILE;
        rows += p->linear->w.rows;
    }
    const int share = divide_up(rows, e->pass->n_threads);
    return smaller(divide_up(share, BB_TILE_ROWS) * BB_TILE_ROWS, MANY_TILE);
}

static int count_tiles(const job *j, const bb_product *p)
{
    return divide_up(p->linear->w.rows, j->tile_rows);
}

/* A tile: its product, its weight rows. */
typedef struct place {
    const bb_product *p;
    int               first, n;
    int               before;             /* columns of the call before this product */
} place;

static place place_of(const job *j, int tile)
{
    place at = { .p = j->product, .before = j->before };

    for (; tile >= count_tiles(j, at.p); at.p++) {
        tile -= count_tiles(j, at.p);
        at.before += at.p->linear->w.rows;
    }
    at.first = tile * j->tile_rows;
    at.n = smaller(j->tile_rows, at.p->linear->w.rows - at.first);
    return at;
}

/* -------------------------------------------------------------- rows of x ---------------- */

/* Rows first … first + n - 1 of the source, n <= BB_FEW_ROWS: where they lie, or made or gathered
   into own.rows. */
static const float *rows_at(const bb_exec *e, const job *j, int first, int n, size_t *ld)
{
    const bb_source *x = j->x;
    const size_t     cols = (size_t)x->cols;

    *ld = x->x ? x->ld : cols;
    if (x->x && !x->index) return x->x + (size_t)first * x->ld;
    *ld = cols;
    if (!x->x) bb_mark(e, j->op);
    for (int t = 0; t < n; t++) {
        float *row = j->own.rows + (size_t)t * cols;
        if (!x->x) x->make(e, x->job, first + t, row);
        else memcpy(row, x->x + (size_t)x->index[first + t] * x->ld, cols * sizeof *row);
    }
    if (!x->x) bb_mark(e, x->op);
    return j->own.rows;
}

static bb_prepare_fn *preparer(const bb_source *x, const bb_format *f)
{
    return x->many ? f->prepare_many : f->prepare_few;
}

/* Number of the copy that `prepare` has made or may make: copy 0 if it is that or nothing yet. */
static int copy_of(const bb_source *x, bb_prepare_fn *prepare)
{
    return !x->prepared[0] || x->prepared[0] == prepare ? 0 : 1;
}

/* See that rows prepared by a and by b can stand side by side, for a pair that needs both. */
static void keep_apart(bb_source *x, bb_prepare_fn *a, bb_prepare_fn *b)
{
    if (a != b && copy_of(x, a) == copy_of(x, b)) x->prepared[0] = x->prepared[1] = NULL;
}

/* All of few rows, made once by each thread for itself. */
static const float *few_rows(const bb_exec *e, const job *j, size_t *ld)
{
    bb_source *x = j->x;

    *ld = (size_t)x->cols;
    const float *rows = x->is_made ? j->own.rows : rows_at(e, j, 0, x->T, ld);
    x->is_made = rows == j->own.rows;
    return rows;
}

static const void *prepare_few(const bb_exec *e, const job *j, const bb_format *f)
{
    bb_source *x = j->x;
    const int  i = copy_of(x, f->prepare_few);
    size_t     ld;

    if (x->prepared[i] == f->prepare_few) return j->own.prepared[i];
    const float *rows = few_rows(e, j, &ld);
    f->prepare_few(x->T, x->cols, rows, ld, j->own.prepared[i]);
    x->prepared[i] = f->prepare_few;
    return j->own.prepared[i];
}

typedef struct preparing {
    const job       *j;
    const bb_format *f;
    unsigned char   *to;
} preparing;

/* One tile a group of rows. */
static void run_prepare(const bb_exec *e, const void *context, int g)
{
    const preparing *p = context;
    const bb_source *x = p->j->x;
    const int        first = g * p->f->group;
    const int        n = smaller(p->f->group, x->T - first);
    size_t           ld;
    const float     *rows = rows_at(e, p->j, first, n, &ld);

    p->f->prepare_many(n, x->cols, rows, ld, p->to + p->f->many_bytes(first, x->cols));
}

static const void *prepare_many(const bb_exec *e, const job *j, const bb_format *f)
{
    bb_source      *x = j->x;
    const int       i = copy_of(x, f->prepare_many);
    const preparing p = { j, f, e->pass->room->prepared[i] };

    if (x->prepared[i] == f->prepare_many) return p.to;
    bb_each_tile(e, divide_up(x->T, f->group), run_prepare, &p);
    x->prepared[i] = f->prepare_many;
    return p.to;
}

/* -------------------------------------------------------------- tiles -------------------- */

/* T prepared rows times n weight rows. Weights without kernels of their own are decoded, a few rows
   at a time, which stay in the caches, for those of float32. */
static void multiply_few(const bb_kernels *k, const bb_matrix *w, int T, int first, int n,
                         const void *x, float *panel, float *y, size_t ldy)
{
    const bb_format *f = w->format;

    if (f->few) {
        f->few(T, n, w->cols, w->data, first, x, y, ldy);
        return;
    }
    for (int r = 0; r < n; r += DECODED) {
        const int m = smaller(DECODED, n - r);
        f->decode(m, w->cols, w->data, first + r, panel, (size_t)w->cols);
        k->format[BB_FORMAT_F32].few(T, m, w->cols, panel, 0, x, y + r, ldy);
    }
}

static void multiply_many(const bb_kernels *k, const own *o, const bb_matrix *w, int T, int first,
                          int n, const void *x, float *y, size_t ldy)
{
    const bb_format *f = w->format;

    if (f->many) {
        f->many(T, n, w->cols, w->data, first, x, y, ldy, o->scratch);
        return;
    }
    for (int r = 0; r < n; r += MANY_DECODED) {
        const int m = smaller(MANY_DECODED, n - r);
        f->decode(m, w->cols, w->data, first + r, o->rows, (size_t)w->cols);
        k->format[BB_FORMAT_F32].many(T, m, w->cols, o->rows, 0, x, y + r, ldy, o->scratch);
    }
}

/* Many rows at a level without kernels for them: by BLAS from decoded weights, or a few rows at a
   time. */
static void multiply_without(const bb_kernels *k, const own *o, const bb_matrix *w, int T,
                             int first, int n, const float *x, float *y, size_t ldy)
{
    const bb_format *f = w->format;
    const int        cols = w->cols;
    float           *panel = (float *)(void *)o->scratch;

    if (bb_blas_present()) {
        f->decode(n, cols, w->data, first, panel, (size_t)cols);
        bb_blas_product(T, n, cols, panel, (size_t)cols, x, (size_t)cols, y, ldy);
        return;
    }
    for (int t = 0; t < T; t += BB_FEW_ROWS) {
        const int m = smaller(BB_FEW_ROWS, T - t);
        f->prepare_few(m, cols, x + (size_t)t * (size_t)cols, (size_t)cols, o->prepared[0]);
        multiply_few(k, w, m, first, n, o->prepared[0], panel, y + (size_t)t * ldy, ldy);
    }
}

void bb_product_tile(const bb_kernels *k, const bb_product_own *o, const bb_linear *l,
                     const bb_prepared *x, int first, int n, float *y, size_t ldy)
{
    const bb_matrix *w = &l->w;
    const bb_format *f = w->format;
    const int        T = x->T;

    if (!x->many)
        multiply_few(k, w, T, first, n, x->x, (float *)(void *)o->scratch, y, ldy);
    else if (bb_product_has_many(k, f))
        multiply_many(k, o, w, T, first, n, x->x, y, ldy);
    else multiply_without(k, o, w, T, first, n, x->x, y, ldy);
    for (int t = 0; l->row_scale && t < T; t++)
        k->mul(n, l->row_scale + first, y + (size_t)t * ldy);
    for (int t = 0; l->bias && t < T; t++)
        k->axpy(n, 1.0f, l->bias + first, y + (size_t)t * ldy);
}

static void multiply(const bb_exec *e, const job *j, const bb_linear *l, const place *at, float *y,
                     size_t ldy)
{
    const bb_format *f = l->w.format;
    const bb_prepared x = { .x = j->x->many ? prepare_many(e, j, f) : prepare_few(e, j, f),
                            .T = j->x->T, .many = j->x->many };

    bb_product_tile(e->pass->k, &j->own, l, &x, at->first, at->n, y, ldy);
    if (j->lora.n > 0) bb_lora_add(e, &j->lora, l, at->first, at->n, y, ldy);
}

/* Whether columns can be made in the sink's own memory. */
static bool is_plain(const bb_sink *to)
{
    return !to->add && to->alpha == 1.0f && !to->index && !to->weight;
}

void bb_sink_put(const bb_kernels *k, const bb_sink *to, int t, int first, int n, const float *y)
{
    const float alpha = to->weight ? to->alpha * to->weight[t] : to->alpha;
    float      *out = to->y + (size_t)(to->index ? to->index[t] : t) * to->ld + first;

    if (to->add) k->axpy(n, alpha, y, out);
    else if (alpha != 1.0f)
        for (int i = 0; i < n; i++) out[i] = alpha * y[i];
    else if (y != out) memcpy(out, y, (size_t)n * sizeof *y);
}

/* Finish a tile whose columns stand in y [T, n] and, of a pair, in partner [T, n]. */
static void complete(const bb_exec *e, const job *j, const place *at, float *y, size_t ldy,
                     const float *partner, size_t ld_partner)
{
    const bb_kernels  *k = e->pass->k;
    const bb_sink     *to = &at->p->to;
    const bb_epilogue *then = j->then;

    for (int t = 0; t < j->x->T; t++) {
        float *row = y + (size_t)t * ldy;
        if (then && then->activate) {
            float *out = is_plain(to) ? to->y + (size_t)t * to->ld + at->first : row;
            then->activate(k, at->n, row, partner ? partner + (size_t)t * ld_partner : NULL, out);
            row = out;
        }
        bb_sink_put(k, to, t, at->first, at->n, row);
    }
    if (!then || !then->after) return;
    bb_mark(e, j->op);
    then->after(e, then->job, at->before + at->first, at->n);
}

static void run_many(const bb_exec *e, const void *context, int tile)
{
    const job  *j = context;
    const place at = place_of(j, tile);
    const bool  plain = is_plain(&at.p->to);
    float      *y = plain ? at.p->to.y + at.first : j->own.many;
    float      *partner = at.p->pair ? j->own.many + (size_t)j->x->T * MANY_TILE : NULL;
    const size_t ldy = plain ? at.p->to.ld : (size_t)at.n;

    multiply(e, j, at.p->linear, &at, y, ldy);
    if (partner) multiply(e, j, at.p->pair, &at, partner, (size_t)at.n);
    complete(e, j, &at, y, ldy, partner, (size_t)at.n);
}

/* Place number i of a thread's own tiles of few rows: [2, T, FEW_TILE]. */
static float *few_at(const job *j, int i)
{
    return j->own.few + (size_t)i * 2 * (size_t)j->x->T * FEW_TILE;
}

static void begin_few(const bb_exec *e, void *context)
{
    const job *j = context;
    size_t     ld;

    prepare_few(e, j, j->product->linear->w.format);
    if (j->product->pair) prepare_few(e, j, j->product->pair->w.format);
    if (j->lora.n > 0) {
        const float *rows = few_rows(e, j, &ld);
        bb_lora_read(e, &j->lora, 0, j->x->T, rows, ld);
    }
}

static void compute_few(const bb_exec *e, const void *context, int tile, int i)
{
    const job  *j = context;
    const place at = place_of(j, tile);
    float      *y = few_at(j, i);

    multiply(e, j, at.p->linear, &at, y, FEW_TILE);
    if (at.p->pair) multiply(e, j, at.p->pair, &at, y + (size_t)j->x->T * FEW_TILE, FEW_TILE);
}

static void commit_few(const bb_exec *e, const void *context, int tile, int i)
{
    const job  *j = context;
    const place at = place_of(j, tile);
    float      *y = few_at(j, i);

    complete(e, j, &at, y, FEW_TILE, at.p->pair ? y + (size_t)j->x->T * FEW_TILE : NULL, FEW_TILE);
}

/* -------------------------------------------------------------- observer ----------------- */

static void run_observe(const bb_exec *e, const void *context, int tile)
{
    const job   *j = context;
    bb_observer *o = e->pass->observer;
    const int    first = tile * BB_OBSERVED_COLS;
    const int    n_cols = smaller(BB_OBSERVED_COLS, j->x->cols - first);
    size_t       ld;

    for (int t = 0; t < j->x->T; t += BB_FEW_ROWS) {
        const int    n = smaller(BB_FEW_ROWS, j->x->T - t);
        const float *rows = rows_at(e, j, t, n, &ld);
        o->see(o, j->product->linear->id, first, n_cols, n, rows + first, ld);
    }
    if (tile > 0) return;
    for (int i = 0; i < j->n; i++) {
        if (i > 0) o->same(o, j->product[i].linear->id, j->product->linear->id);
        if (j->product[i].pair) o->same(o, j->product[i].pair->id, j->product->linear->id);
    }
}

/* A stage of its own, in which one thread at a time has the same columns. */
static void observe(const bb_exec *e, const job *j)
{
    bb_each_tile(e, divide_up(j->x->cols, BB_OBSERVED_COLS), run_observe, j);
    bb_mark(e, j->op);
}

/* -------------------------------------------------------------- adapters ----------------- */

/* One tile BB_FEW_ROWS rows of many. */
static void run_read(const bb_exec *e, const void *context, int tile)
{
    const job   *j = context;
    const int    first = tile * BB_FEW_ROWS;
    const int    n = smaller(BB_FEW_ROWS, j->x->T - first);
    size_t       ld;
    const float *rows = rows_at(e, j, first, n, &ld);

    bb_lora_read(e, &j->lora, first, n, rows, ld);
}

/* What adapters make of the rows: of few, each thread by itself, when its first tile begins. */
static void read_adapters(const bb_exec *e, job *j)
{
    const bb_linear *map[BB_LORA_MAPS];
    int              n = 0;

    for (int i = 0; i < j->n; i++) {
        map[n++] = j->product[i].linear;
        if (j->product[i].pair) map[n++] = j->product[i].pair;
    }
    j->lora = bb_lora_of(e, j->x, map, n);
    if (j->lora.n > 0 && j->x->many) bb_each_tile(e, divide_up(j->x->T, BB_FEW_ROWS), run_read, j);
}

/* -------------------------------------------------------------- products ----------------- */

static void run(const bb_exec *e, job *j)
{
    const bb_product *p = j->product;
    const bb_format  *f = p->linear->w.format, *pair = p->pair ? p->pair->w.format : f;
    int               n_tiles = 0;

    if (e->pass->observer && p->linear->id >= 0) observe(e, j);
    if (e->pass->lora) read_adapters(e, j);
    keep_apart(j->x, preparer(j->x, f), preparer(j->x, pair));
    j->tile_rows = j->x->many ? many_tile_rows(e, j) : few_tile_rows(e, j);
    for (int i = 0; i < j->n; i++) n_tiles += count_tiles(j, &p[i]);
    if (!j->x->many) {
        bb_each_tile_repeatable(e, begin_few, j, n_tiles, compute_few, commit_few, j);
    } else {
        prepare_many(e, j, f);
        prepare_many(e, j, pair);
        bb_each_tile(e, n_tiles, run_many, j);
    }
    bb_mark(e, j->op);
}

/* Whether b reads the rows that a has prepared. */
static bool are_alike(const bb_source *x, const bb_product *a, const bb_product *b)
{
    return !a->pair && !b->pair
        && preparer(x, a->linear->w.format) == preparer(x, b->linear->w.format);
}

void bb_multiply(const bb_exec *e, int op, const bb_product *p, int n, bb_source *x,
                 const bb_epilogue *then)
{
    const bb_product_room *room = e->pass->room;
    job                    j = { .op = op, .then = then, .x = x,
                                 .own = bb_product_own_of(room, e->thread) };

    _Static_assert((int)MANY_TILE <= (int)BB_LORA_TILE && BB_LORA_MAPS >= 2, "adapters' tiles");
    assert(x->T <= room->T && x->cols <= room->widest);
    for (; n > 0; n -= j.n, p += j.n) {
        for (j.product = p, j.n = 1; j.n < n && j.n < BB_LORA_MAPS && are_alike(x, p, p + j.n);)
            j.n++;
        run(e, &j);
        for (int i = 0; i < j.n; i++) j.before += p[i].linear->w.rows;
    }
}
