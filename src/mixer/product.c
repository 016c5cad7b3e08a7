/* product.c - rows times weight matrices, by all threads.
 *
 * A tile is some weight rows times all rows of x. Many rows are prepared by all threads for all,
 * then tiles of up to 128 weight rows run. Few rows are made and prepared by each thread for
 * itself, which costs less than meeting; tiles are small and are made in memory of the thread, so
 * that another thread can repeat them (base/team.h). */
#include "mixer/product_internal.h"

#include "mixer/lora.h"

#include <assert.h>

enum { FEW_TILE = BB_FEW_TILE, MANY_TILE = BB_MANY_TILE };

/* -------------------------------------------------------------- a call ------------------- */

/* Products of a call that read the same prepared rows. */
typedef struct job {
    bb_reader          in;
    const bb_product  *product;           /* [n] */
    int                n;
    const bb_epilogue *then;
    int                tile_rows, n_tiles;
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
    const int share = bb_divide_up(rows, e->pass->n_threads);
    return bb_divide_up(bb_divide_up(share, bb_divide_up(share, FEW_TILE)), together) * together;
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
    const int share = bb_divide_up(rows, e->pass->n_threads);
    return bb_smaller(bb_divide_up(share, BB_TILE_ROWS) * BB_TILE_ROWS, MANY_TILE);
}

static int count_tiles(const job *j, const bb_product *p)
{
    return bb_divide_up(p->linear->w.rows, j->tile_rows);
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
    at.n = bb_smaller(j->tile_rows, at.p->linear->w.rows - at.first);
    return at;
}

/* -------------------------------------------------------------- tiles -------------------- */

static void multiply(const bb_exec *e, const job *j, const bb_linear *l, const place *at, float *y,
                     size_t ldy)
{
    const bb_source  *source = j->in.x;
    const bb_prepared x = { .x = bb_reader_prepare(e, &j->in, l->w.format), .T = source->T,
                            .many = source->many };

    bb_product_tile(e->pass->k, &j->in.own, l, &x, at->first, at->n, y, ldy);
}

/* Whether columns can be made in the sink's own memory. */
static bool is_plain(const bb_sink *to)
{
    return !to->add && to->alpha == 1.0f && !to->index && !to->weight;
}

/* Finish a tile whose columns stand in y [T, n] and, of a pair, in partner [T, n]. With few rows
   this waits until all tiles that the thread has taken are multiplied: nothing then comes between
   the weights of one tile and those of the next. */
static void complete(const bb_exec *e, const job *j, const place *at, float *y, size_t ldy,
                     float *partner, size_t ld_partner)
{
    const bb_kernels  *k = e->pass->k;
    const bb_sink     *to = &at->p->to;
    const bb_epilogue *then = j->then;

    if (j->lora.n > 0) {
        bb_lora_add(e, &j->lora, at->p->linear, at->first, at->n, y, ldy);
        if (partner) bb_lora_add(e, &j->lora, at->p->pair, at->first, at->n, partner, ld_partner);
    }
    for (int t = 0; t < j->in.x->T; t++) {
        float *row = y + (size_t)t * ldy;
        if (then && then->activate) {
            float *out = is_plain(to) ? to->y + (size_t)t * to->ld + at->first : row;
            then->activate(k, at->n, row, partner ? partner + (size_t)t * ld_partner : NULL, out);
            row = out;
        }
        bb_sink_put(k, to, t, at->first, at->n, row);
    }
    if (!then || !then->after) return;
    bb_mark(e, j->in.op);
    then->after(e, then->job, at->before + at->first, at->n);
}

static void run_many(const bb_exec *e, const void *context, int tile)
{
    const job  *j = context;
    const place at = place_of(j, tile);
    const bool  plain = is_plain(&at.p->to);
    float      *y = plain ? at.p->to.y + at.first : j->in.own.many;
    float      *partner = at.p->pair ? j->in.own.many + (size_t)j->in.x->T * MANY_TILE : NULL;
    const size_t ldy = plain ? at.p->to.ld : (size_t)at.n;

    multiply(e, j, at.p->linear, &at, y, ldy);
    if (partner) multiply(e, j, at.p->pair, &at, partner, (size_t)at.n);
    complete(e, j, &at, y, ldy, partner, (size_t)at.n);
}

/* Place number i of a thread's own tiles of few rows: [2, T, FEW_TILE]. */
static float *few_at(const job *j, int i)
{
    return j->in.own.few + (size_t)i * 2 * (size_t)j->in.x->T * FEW_TILE;
}

/* Prefetch the first weights of a tile; nothing behind the last tile. */
static void prefetch(const job *j, int tile)
{
    if (tile >= j->n_tiles) return;
    const place at = place_of(j, tile);
    bb_product_prefetch(at.p->linear, at.first);
}

static void begin_few(const bb_exec *e, void *context)
{
    job      *j = context;
    const int tile = bb_team_part(e->pass->team, e->thread, j->n_tiles);

    prefetch(j, tile);
    bb_reader_prepare(e, &j->in, j->product->linear->w.format);
    if (j->product->pair) bb_reader_prepare(e, &j->in, j->product->pair->w.format);
    if (j->lora.n > 0) bb_lora_take(e, &j->lora);
}

static float *partner_at(const job *j, int i)
{
    return few_at(j, i) + (size_t)j->in.x->T * FEW_TILE;
}

/* Weights of neighbouring tiles lie side by side and are read without a jump: all tiles of a map,
   then those of its partner. */
static void compute_few(const bb_exec *e, const void *context, int first, int end)
{
    const job *j = context;
    bool       has_pair = false;

    for (int tile = first; tile < end; tile++) {
        const place at = place_of(j, tile);
        if (at.first + at.n == at.p->linear->w.rows) prefetch(j, tile + 1);
        multiply(e, j, at.p->linear, &at, few_at(j, tile - first), FEW_TILE);
        has_pair = at.p->pair != NULL;
    }
    for (int tile = first; tile < end && has_pair; tile++) {
        const place at = place_of(j, tile);
        multiply(e, j, at.p->pair, &at, partner_at(j, tile - first), FEW_TILE);
    }
}

static void commit_few(const bb_exec *e, const void *context, int first, int end)
{
    const job *j = context;

    for (int tile = first; tile < end; tile++) {
        const place at = place_of(j, tile);
        float      *partner = at.p->pair ? partner_at(j, tile - first) : NULL;
        complete(e, j, &at, few_at(j, tile - first), FEW_TILE, partner, FEW_TILE);
    }
}

/* -------------------------------------------------------------- observer ----------------- */

static void run_observe(const bb_exec *e, const void *context, int tile)
{
    const job   *j = context;
    bb_observer *o = e->pass->observer;
    const int    first = tile * BB_OBSERVED_COLS;
    const int    n_cols = bb_smaller(BB_OBSERVED_COLS, j->in.x->cols - first);
    size_t       ld;

    for (int t = 0; t < j->in.x->T; t += BB_FEW_ROWS) {
        const int    n = bb_smaller(BB_FEW_ROWS, j->in.x->T - t);
        const float *rows = bb_reader_rows(e, &j->in, t, n, &ld);
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
    bb_each_tile(e, bb_divide_up(j->in.x->cols, BB_OBSERVED_COLS), run_observe, j);
    bb_mark(e, j->in.op);
}

/* -------------------------------------------------------------- adapters ----------------- */

/* One tile BB_FEW_ROWS rows of many. */
static void run_read(const bb_exec *e, const void *context, int tile)
{
    const job   *j = context;
    const int    first = tile * BB_FEW_ROWS;
    const int    n = bb_smaller(BB_FEW_ROWS, j->in.x->T - first);
    size_t       ld;
    const float *rows = bb_reader_rows(e, &j->in, first, n, &ld);

    bb_lora_read(e, &j->lora, first, n, rows, ld);
}

static void begin_read(const bb_exec *e, void *context)
{
    const job   *j = context;
    size_t       ld;

    const float *rows = bb_reader_few_rows(e, &j->in, &ld);
    bb_lora_prepare(e, &j->lora, 0, j->in.x->T, rows, ld);
}

static void compute_read(const bb_exec *e, const void *context, int first, int end)
{
    const job *j = context;

    for (int tile = first; tile < end; tile++)
        bb_lora_compute(e, &j->lora, tile, tile - first);
}

static void commit_read(const bb_exec *e, const void *context, int first, int end)
{
    const job *j = context;

    for (int tile = first; tile < end; tile++) bb_lora_commit(e, &j->lora, tile, tile - first);
}

/* A · x for all adapters of the rows, in a stage of its own. */
static void read_adapters(const bb_exec *e, job *j)
{
    const bb_linear *map[BB_LORA_MAPS];
    int              n = 0;

    for (int i = 0; i < j->n; i++) {
        map[n++] = j->product[i].linear;
        if (j->product[i].pair) map[n++] = j->product[i].pair;
    }
    j->lora = bb_lora_of(e, j->in.x, map, n);
    if (j->lora.n == 0) return;
    if (j->in.x->many) bb_each_tile(e, bb_divide_up(j->in.x->T, BB_FEW_ROWS), run_read, j);
    else bb_each_tile_repeatable(e, begin_read, j, bb_lora_tiles(e, &j->lora), compute_read,
                                 commit_read, j);
}

/* -------------------------------------------------------------- products ----------------- */

static void run(const bb_exec *e, job *j)
{
    const bb_product *p = j->product;
    const bb_format  *f = p->linear->w.format, *pair = p->pair ? p->pair->w.format : f;

    if (e->pass->observer) observe(e, j);
    if (e->pass->lora) read_adapters(e, j);
    bb_source_keep_apart(j->in.x, f, pair);
    j->tile_rows = j->in.x->many ? many_tile_rows(e, j) : few_tile_rows(e, j);
    j->n_tiles = 0;
    for (int i = 0; i < j->n; i++) j->n_tiles += count_tiles(j, &p[i]);
    if (!j->in.x->many) {
        bb_each_tile_repeatable(e, begin_few, j, j->n_tiles, compute_few, commit_few, j);
    } else {
        bb_reader_prepare(e, &j->in, f);
        bb_reader_prepare(e, &j->in, pair);
        bb_each_tile(e, j->n_tiles, run_many, j);
    }
    bb_mark(e, j->in.op);
}

/* Whether b reads the rows that a has prepared. */
static bool are_alike(const bb_source *x, const bb_product *a, const bb_product *b)
{
    return !a->pair && !b->pair
        && bb_preparer(a->linear->w.format, x->many) == bb_preparer(b->linear->w.format, x->many);
}

void bb_multiply(const bb_exec *e, int op, const bb_product *p, int n, bb_source *x,
                 const bb_epilogue *then)
{
    const bb_product_room *room = e->pass->room;
    job j = { .in = { op, x, bb_product_own_of(room, e->thread) }, .then = then };

    _Static_assert(BB_LORA_MAPS >= 2, "a pair");
    assert(x->T <= room->T && x->cols <= room->widest);
    for (; n > 0; n -= j.n, p += j.n) {
        for (j.product = p, j.n = 1; j.n < n && j.n < BB_LORA_MAPS && are_alike(x, p, p + j.n);)
            j.n++;
        run(e, &j);
        for (int i = 0; i < j.n; i++) j.before += p[i].linear->w.rows;
    }
}
