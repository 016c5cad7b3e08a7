/* grouped.c - products whose weights each row chooses: experts.
 *
 * Into the experts a tile is some columns of one expert's map, times that expert's rows. Out of
 * them it is some columns of the sink: all experts' maps in turn, so that rows are added up in
 * memory of the thread and go to the sink once. Many rows are prepared by all threads for all, few
 * rows by each thread for itself, which costs less than another stage. If a row has an adapter for
 * these experts, a stage before them makes A · x of each expert's rows, few or many. */
#include "mixer/grouped.h"

#include "mixer/lora.h"
#include "mixer/product_internal.h"

#include <string.h>

/* Weight rows of a tile at most, few rows of x. An expert's matrix is small: each change to another
   one interrupts the stream of weights. */
enum { EXPERT_TILE = 128 };
_Static_assert((int)EXPERT_TILE <= (int)BB_FEW_TILE * (int)BB_PLACES, "a thread's memory");

/* -------------------------------------------------------------- groups ------------------- */

void bb_groups_take(bb_groups *g, int T, int n_used, int n_experts, bb_arena *a)
{
    const size_t pairs = (size_t)T * (size_t)n_used;
    const size_t most = pairs < (size_t)n_experts ? pairs : (size_t)n_experts;

    *g = (bb_groups){ .T = T, .n_used = n_used, .n_experts = n_experts, .most = (int)most };
    g->n = bb_take(a, 1, sizeof(int));
    g->expert = bb_take(a, most, sizeof(int));
    g->start = bb_take(a, most + 1, sizeof(int));
    g->row = bb_take(a, pairs, sizeof(int));
    g->weight = bb_take(a, pairs, sizeof(float));
    g->next = bb_take(a, (size_t)n_experts, sizeof(int));
}

static size_t count_pairs(const bb_groups *g) { return (size_t)g->T * (size_t)g->n_used; }

void bb_groups_fill(const bb_groups *g, const int *expert, const float *weight)
{
    const size_t pairs = count_pairs(g);
    int          n = 0, first = 0;

    memset(g->next, 0, (size_t)g->n_experts * sizeof *g->next);
    for (size_t p = 0; p < pairs; p++) g->next[expert[p]]++;
    for (int i = 0; i < g->n_experts; i++) {
        const int count = g->next[i];
        g->next[i] = first;
        if (count == 0) continue;
        g->expert[n] = i;
        g->start[n++] = first;
        first += count;
    }
    g->start[n] = first;
    *g->n = n;
    for (size_t p = 0; p < pairs; p++) {
        const int to = g->next[expert[p]]++;
        g->row[to] = (int)(p / (size_t)g->n_used);
        g->weight[to] = weight[p];
    }
}

/* -------------------------------------------------------------- room --------------------- */

/* Most bytes that `pairs` rows of one product take, prepared expert by expert. */
static size_t count_prepared(const bb_linear *l, const bb_linear *pair, int n, int pairs, int most,
                             bool many)
{
    size_t bytes = 0, partner = 0;
    const int rows = many ? pairs + most * BB_MOST_GROUP : pairs;

    for (int i = 0; i < n; i++) {
        const bb_format *f = l[i].w.format, *g = pair ? pair[i].w.format : f;
        bytes = bb_larger(bytes, (many ? f->many_bytes : f->few_bytes)(rows, l[i].w.cols));
        if (f != g)
            partner = bb_larger(partner, (many ? g->many_bytes : g->few_bytes)(rows, l[i].w.cols));
    }
    return bb_whole_lines(bytes + partner + 2 * 64 * (size_t)most);
}

/* Where each expert's rows are prepared, and its partner's: before a thread's prepared rows. */
static size_t count_offsets(const bb_groups *g)
{
    return bb_whole_lines(2 * (size_t)g->most * sizeof(size_t));
}

void bb_groups_room_take(bb_groups_room *r, const bb_groups *g, const bb_experts *x, int n_threads,
                         bb_arena *a)
{
    const int    pairs = (int)count_pairs(g);
    const bool   many = bb_is_many(g->T);
    const size_t bytes = bb_larger(count_prepared(x->in, x->pair, x->n, pairs, g->most, many),
                                   count_prepared(x->out, NULL, x->n, pairs, g->most, many));

    *r = (bb_groups_room){ .own_bytes = count_offsets(g) + bytes };
    r->inner = bb_take(a, (size_t)pairs * (size_t)x->in->w.rows, sizeof(float));
    if (many) r->prepared = bb_take(a, bytes, 1);
    else r->own = bb_take(a, (size_t)n_threads, r->own_bytes);
}

/* -------------------------------------------------------------- a product ---------------- */

typedef struct job {
    int               op;
    const bb_groups  *g;
    const bb_linear  *linear, *pair;      /* [n_experts] */
    void            (*activate)(const bb_kernels *k, int n, const float *y, const float *partner,
                                float *out);
    const float      *x;                  /* [.., cols] row stride ldx */
    size_t            ldx;
    bool              by_row;             /* a pair reads its row of x; or the x of its number */
    bool              many;
    int               rows, cols;         /* of a matrix */
    int               tile_rows, n_tiles;
    bb_sink           to;
    bb_product_own    own;
    unsigned char    *prepared;           /* of all pairs, by expert */
    size_t            own_bytes;          /* few rows: of a thread, before begin_few */
    size_t           *offset[2];          /* few rows: [n] of each expert, and of its partner */
    bool              has_lora;           /* some row of the pass has an adapter for some expert */
} job;

static int count_rows(const job *j, int group)
{
    return j->g->start[group + 1] - j->g->start[group];
}

static const bb_format *format_of(const job *j, int group, bool partner)
{
    return (partner ? j->pair : j->linear)[j->g->expert[group]].w.format;
}

static bb_prepare_fn *preparer(const job *j, int group, bool partner)
{
    return bb_preparer(format_of(j, group, partner), j->many);
}

/* Whether the partner's rows are prepared apart. */
static bool has_apart(const job *j, int group)
{
    return j->pair && preparer(j, group, false) != preparer(j, group, true);
}

static size_t prepared_bytes(const job *j, int group, bool partner)
{
    const bb_format *f = format_of(j, group, partner);
    return bb_whole_lines((j->many ? f->many_bytes : f->few_bytes)(count_rows(j, group), j->cols));
}

/* Where the prepared rows of an expert begin, many rows. */
static size_t offset_of(const job *j, int group, bool partner)
{
    size_t at = 0;

    for (int i = 0; i < group; i++) {
        at += prepared_bytes(j, i, false);
        if (has_apart(j, i)) at += prepared_bytes(j, i, true);
    }
    return partner && has_apart(j, group) ? at + prepared_bytes(j, group, false) : at;
}

/* The rows of n <= BB_FEW_ROWS pairs from number `first` on, row stride *ld: where they lie, or
   gathered. */
static const float *gather(const job *j, int first, int n, size_t *ld)
{
    const size_t cols = (size_t)j->cols;

    *ld = j->ldx;
    if (!j->by_row) return j->x + (size_t)first * j->ldx;
    if (n == 1) return j->x + (size_t)j->g->row[first] * j->ldx;
    *ld = cols;
    for (int i = 0; i < n; i++)
        memcpy(j->own.rows + (size_t)i * cols, j->x + (size_t)j->g->row[first + i] * j->ldx,
               cols * sizeof *j->x);
    return j->own.rows;
}

/* Prepare the rows of an expert, some at a time. */
static void prepare_group(const job *j, int group, const bb_format *f, unsigned char *to)
{
    const int n = count_rows(j, group), start = j->g->start[group];
    const int step = j->many ? f->group : BB_FEW_ROWS;

    for (int i = 0; i < n; i += step) {
        const int    m = bb_smaller(step, n - i);
        size_t       ld;
        const float *x = gather(j, start + i, m, &ld);
        if (j->many) f->prepare_many(m, j->cols, x, ld, to + f->many_bytes(i, j->cols));
        else f->prepare_few(m, j->cols, x, ld, to);
    }
}

/* One tile an expert. */
static void run_prepare(const bb_exec *e, const void *context, int group)
{
    const job *j = context;

    (void)e;
    if (group >= *j->g->n) return;
    prepare_group(j, group, format_of(j, group, false), j->prepared + offset_of(j, group, false));
    if (has_apart(j, group))
        prepare_group(j, group, format_of(j, group, true), j->prepared + offset_of(j, group, true));
}

/* The columns of a tile, first … first + n - 1: into the experts, of one group's map; out of them,
   of the sink, for all groups, and `group` is 0. */
typedef struct range { int group, first, n; } range;

static range range_of(const job *j, int tile)
{
    const int across = bb_divide_up(j->rows, j->tile_rows);
    range     r = { .group = tile / across, .first = tile % across * j->tile_rows };

    r.n = bb_smaller(j->tile_rows, j->rows - r.first);
    return r;
}

/* Prefetch the first weights of a range, for few rows; nothing behind the last group. */
static void prefetch(const job *j, const bb_linear *linear, range r)
{
    if (!j->many && r.group < *j->g->n)
        bb_product_prefetch(&linear[j->g->expert[r.group]], r.first);
}

/* ---- few rows, by each thread for itself ---- */

/* Whether an expert's rows are those of the one before, prepared alike: as when T is 1. */
static bool is_again(const job *j, int group)
{
    return j->by_row && j->g->T == 1 && group > 0 && !has_apart(j, group)
        && format_of(j, group, false) == format_of(j, group - 1, false);
}

static void begin_few(const bb_exec *e, void *context)
{
    job           *j = context;
    unsigned char *own = j->prepared + (size_t)e->thread * j->own_bytes;
    size_t         at = 0;

    prefetch(j, j->linear, range_of(j, bb_team_part(e->pass->team, e->thread, j->n_tiles)));
    for (int i = 0; i < 2; i++)
        j->offset[i] = (size_t *)(void *)own + (size_t)i * (size_t)j->g->most;
    j->prepared = own + count_offsets(j->g);
    for (int i = 0; i < *j->g->n; i++)
        for (int partner = 0; partner <= (j->pair != NULL); partner++) {
            const bool is_new = partner ? has_apart(j, i) : !is_again(j, i);
            j->offset[partner][i] = is_new ? at : partner ? j->offset[0][i] : j->offset[0][i - 1];
            if (!is_new) continue;
            prepare_group(j, i, format_of(j, i, partner), j->prepared + at);
            at += prepared_bytes(j, i, partner);
        }
}

/* -------------------------------------------------------------- adapters ----------------- */

/* What adapters add to an expert's products. */
static bb_lora lora_of(const bb_exec *e, const job *j, int group)
{
    const int expert = j->g->expert[group], start = j->g->start[group];

    if (!j->has_lora) return (bb_lora){ 0 };
    return bb_lora_of_pairs(e, &j->linear[expert], j->pair ? &j->pair[expert] : NULL,
                            j->g->row + start, count_rows(j, group), start);
}

/* A · x of an expert's rows. One tile an expert, in a stage of its own. */
static void run_read(const bb_exec *e, const void *context, int group)
{
    const job *j = context;

    if (group >= *j->g->n) return;
    const bb_lora lora = lora_of(e, j, group);
    for (int i = 0; lora.n > 0 && i < lora.T; i += BB_FEW_ROWS) {
        const int    n = bb_smaller(BB_FEW_ROWS, lora.T - i);
        size_t       ld;
        const float *x = gather(j, j->g->start[group] + i, n, &ld);
        bb_lora_read(e, &lora, i, n, x, ld);
    }
}

/* -------------------------------------------------------------- tiles -------------------- */

/* Memory of the thread, of all its places: [2, T, stride] columns of a tile. */
static float *tile_memory(const job *j, size_t *stride)
{
    *stride = j->many ? BB_MANY_TILE : EXPERT_TILE;
    return j->many ? j->own.many : j->own.few;
}

/* Columns first … first + n - 1 of what an expert and its rows' adapters make of these rows. */
static void multiply(const bb_exec *e, const job *j, int group, bool partner, int first, int n,
                     float *y, size_t stride)
{
    const bb_linear  *l = &(partner ? j->pair : j->linear)[j->g->expert[group]];
    const size_t      at = j->many ? offset_of(j, group, partner) : j->offset[partner][group];
    const bb_prepared x = { .x = j->prepared + at, .T = count_rows(j, group), .many = j->many };
    const bb_lora     lora = lora_of(e, j, group);

    bb_product_tile(e->pass->k, &j->own, l, &x, first, n, y, stride);
    if (lora.n > 0) bb_lora_add(e, &lora, l, first, n, y, stride);
}

static void run_in(const bb_exec *e, const void *context, int tile)
{
    const job  *j = context;
    const range r = range_of(j, tile);
    size_t      stride;
    float      *y = tile_memory(j, &stride), *partner = NULL;

    if (r.group >= *j->g->n) return;
    if (j->pair) {
        partner = y + (size_t)j->g->T * stride;
        prefetch(j, j->pair, r);
        multiply(e, j, r.group, false, r.first, r.n, y, stride);
    }
    prefetch(j, j->linear, range_of(j, tile + 1));
    multiply(e, j, r.group, partner != NULL, r.first, r.n, partner ? partner : y, stride);
    float *to = j->to.y + (size_t)j->g->start[r.group] * j->to.ld + r.first;
    for (int i = 0; i < count_rows(j, r.group); i++, y += stride, to += j->to.ld) {
        j->activate(e->pass->k, r.n, y, partner, to);
        if (partner) partner += stride;
    }
}

static void run_out(const bb_exec *e, const void *context, int tile)
{
    const job        *j = context;
    const bb_kernels *k = e->pass->k;
    const range       r = range_of(j, tile);
    const size_t      T = (size_t)j->g->T;
    size_t            stride;
    float            *sum = tile_memory(j, &stride), *y = sum + T * stride;

    memset(sum, 0, T * stride * sizeof *sum);
    for (int group = 0; group < *j->g->n; group++) {
        prefetch(j, j->linear, (range){ .group = group + 1, .first = r.first });
        multiply(e, j, group, false, r.first, r.n, y, stride);
        for (int i = 0, p = j->g->start[group]; i < count_rows(j, group); i++, p++)
            k->axpy(r.n, j->g->weight[p], y + (size_t)i * stride,
                    sum + (size_t)j->g->row[p] * stride);
    }
    for (size_t t = 0; t < T; t++)
        bb_sink_put(k, &j->to, (int)t, r.first, r.n, sum + t * stride);
}

/* -------------------------------------------------------------- observer ----------------- */

static void run_observe(const bb_exec *e, const void *context, int tile)
{
    const job   *j = context;
    bb_observer *o = e->pass->observer;
    const int    first = tile * BB_OBSERVED_COLS;
    const int    n = bb_smaller(BB_OBSERVED_COLS, j->cols - first);

    for (int group = 0; group < *j->g->n; group++) {
        const int expert = j->g->expert[group], id = j->linear[expert].id;
        for (int p = j->g->start[group]; p < j->g->start[group + 1]; p++) {
            const size_t row = (size_t)(j->by_row ? j->g->row[p] : p);
            o->see(o, id, first, n, 1, j->x + row * j->ldx + first, j->ldx);
        }
        if (tile == 0 && j->pair && j->pair[expert].id != id) o->same(o, j->pair[expert].id, id);
    }
}

/* -------------------------------------------------------------- the two products --------- */

/* Nearly equal tiles of at most `most` rows: several for each thread where there are enough. */
static int count_tile_rows(const bb_exec *e, int rows, int groups, int together, int most)
{
    const int wanted = 4 * e->pass->n_threads;
    const int least = bb_divide_up(rows, most), across = bb_divide_up(wanted, groups);
    const int n = least > across ? least : across;
    return bb_divide_up(bb_divide_up(rows, n), together) * together;
}

/* Whether a thread may cut tiles as it likes: not for BLAS. */
static bool is_free(const bb_exec *e, const job *j)
{
    for (int i = 0; i < j->g->n_experts && j->many; i++) {
        if (!bb_product_has_many(e->pass->k, j->linear[i].w.format)) return false;
        if (j->pair && !bb_product_has_many(e->pass->k, j->pair[i].w.format)) return false;
    }
    return true;
}

static void run(const bb_exec *e, job *j, bool is_in)
{
    enum { TOGETHER = 16, MANY_TOGETHER = BB_MANY_MOST_NR };
    const int groups = is_in ? j->g->most : 1;

    j->many = bb_is_many(e->pass->T);
    j->rows = j->linear->w.rows;
    j->cols = j->linear->w.cols;
    j->own = bb_product_own_of(e->pass->room, e->thread);
    j->tile_rows = count_tile_rows(e, j->rows, groups, j->many ? MANY_TOGETHER : TOGETHER,
                                   j->many ? BB_MANY_TILE : EXPERT_TILE);
    if (!is_free(e, j)) j->tile_rows = BB_MANY_TILE;
    j->n_tiles = groups * bb_divide_up(j->rows, j->tile_rows);

    if (e->pass->observer)
        bb_each_tile(e, bb_divide_up(j->cols, BB_OBSERVED_COLS), run_observe, j);
    j->has_lora = bb_lora_is_adapted(e, j->linear, j->g->n_experts)
               || (j->pair && bb_lora_is_adapted(e, j->pair, j->g->n_experts));
    if (j->has_lora) bb_each_tile(e, j->g->most, run_read, j);
    if (j->many) {
        bb_each_tile(e, j->g->most, run_prepare, j);
        bb_each_tile(e, j->n_tiles, is_in ? run_in : run_out, j);
    } else {
        bb_each_tile_after(e, begin_few, j, j->n_tiles, is_in ? run_in : run_out, j);
    }
    bb_mark(e, j->op);
}

void bb_multiply_grouped(const bb_exec *e, int op, const bb_experts *experts, const bb_groups *g,
                         const bb_groups_room *room, const float *x, size_t ldx, const bb_sink *to)
{
    const size_t F = (size_t)experts->in->w.rows;
    job in = { .op = op, .g = g, .linear = experts->in, .pair = experts->pair,
               .activate = experts->activate, .x = x, .ldx = ldx, .by_row = true,
               .to = bb_sink_store(room->inner, F),
               .prepared = room->prepared ? room->prepared : room->own,
               .own_bytes = room->own_bytes };
    job out = { .op = op, .g = g, .linear = experts->out, .x = room->inner, .ldx = F, .to = *to,
                .prepared = in.prepared, .own_bytes = room->own_bytes };

    run(e, &in, true);
    run(e, &out, false);
}
