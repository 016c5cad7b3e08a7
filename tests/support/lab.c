/* lab.c - one mixer on a bench. */
#include "support/lab.h"

#include "mixer/blas.h"
#include "mixer/product.h"
#include "support/tempdir.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void demand(bool held, const char *what)
{
    if (held) return;
    fprintf(stderr, "lab: %s\n", what);
    abort();
}

/* n floats that are NaN. */
static void *make_nans(size_t bytes)
{
    void *p = aligned_alloc(64, (bytes + 64) / 64 * 64);
    demand(p != NULL, "out of memory");
    memset(p, 0xFF, bytes);
    return p;
}

/* -------------------------------------------------------------- numbers ------------------ */

double lab_uniform(uint64_t *seed)        /* xorshift64*; Vigna 2016, arXiv:1402.6246 */
{
    *seed ^= *seed >> 12;
    *seed ^= *seed << 25;
    *seed ^= *seed >> 27;
    return (double)(*seed * UINT64_C(0x2545F4914F6CDD1D) >> 11) * 0x1p-53;
}

double lab_normal(uint64_t *seed)
{
    double sum = -2;
    for (int i = 0; i < 4; i++) sum += lab_uniform(seed);
    return sum * sqrt(3.0);
}

void lab_add(store *s, const char *name, const char *dtype, double mean, double scale,
             uint64_t *seed, const int *dim)
{
    size_t shape[8];
    size_t n = 1;
    int    n_dims = 0;

    for (; dim[n_dims]; n_dims++) n *= shape[n_dims] = (size_t)dim[n_dims];
    float *v = malloc(n * sizeof *v);
    demand(v != NULL, "out of memory");
    for (size_t i = 0; i < n; i++) v[i] = (float)(mean + scale * lab_normal(seed));
    store_add(s, name, dtype, n_dims, shape, v);
    free(v);
}

void lab_multiply(const double *w, const double *b, int rows, int cols, const double *x,
                  double *y)
{
    for (int r = 0; r < rows; r++) {
        y[r] = b ? b[r] : 0;
        for (int i = 0; i < cols; i++) y[r] += w[r * cols + i] * x[i];
    }
}

double lab_bf16(uint16_t bits)
{
    const uint32_t wide = (uint32_t)bits << 16;
    float          x;

    memcpy(&x, &wide, sizeof x);
    return (double)x;
}

double lab_f16(uint16_t bits)
{
    const int    exponent = bits >> 10 & 31;
    const int    mantissa = bits & 1023;
    const double sign = bits & 0x8000 ? -1 : 1;

    if (exponent == 31) return mantissa ? (double)NAN : sign * (double)INFINITY;
    return sign * (exponent ? ldexp(1024 + mantissa, exponent - 25) : ldexp(mantissa, -24));
}

double lab_round(int type, double x)
{
    const float f = (float)x;

    return type == BB_TYPE_F32 ? (double)f
         : type == BB_TYPE_BF16 ? lab_bf16(store_bf16(f)) : lab_f16(store_f16(f));
}

const char *lab_dtype(int type)
{
    return type == BB_TYPE_F32 ? "F32" : type == BB_TYPE_BF16 ? "BF16" : "F16";
}

static double read_value(const store_tensor *t, size_t i)
{
    uint16_t half;
    float    x;

    if (strcmp(t->dtype, "F32") == 0) {
        memcpy(&x, t->data + i * 4, sizeof x);
        return (double)x;
    }
    memcpy(&half, t->data + i * 2, sizeof half);
    return strcmp(t->dtype, "BF16") == 0 ? lab_bf16(half) : lab_f16(half);
}

double *lab_values(const store *s, const char *name)
{
    size_t n = 1;

    for (size_t i = 0; i < s->n; i++) {
        const store_tensor *t = &s->tensor[i];
        if (strcmp(t->name, name) != 0) continue;
        for (int j = 0; j < t->n_dims; j++) n *= t->dim[j];
        double *v = malloc(n * sizeof *v);
        demand(v != NULL, "out of memory");
        for (size_t j = 0; j < n; j++) v[j] = read_value(t, j);
        return v;
    }
    demand(false, name);
    return NULL;
}

/* -------------------------------------------------------------- set-up ------------------- */

bb_kernels lab_kernels(void)
{
    const char *name = getenv("BAMBA_CPU");
    const int   level = name && name[0] ? bb_cpu_level(name) : (int)bb_cpu_best();
    bb_kernels  k;

    if (level < 0 || ((unsigned)level & ~bb_cpu_detect())) {
        printf("skipped: no kernels for '%s' here\n", name);
        exit(77);
    }
    bb_kernels_init(&k, (unsigned)level);
    return k;
}

void lab_begin(lab *l, int d_model, int kv_type)
{
    memset(l, 0, sizeof *l);
    l->kernels = lab_kernels();
    l->alloc = fault_allocator(&l->memory);
    l->graph = bb_graph_create(&l->alloc);
    demand(l->graph != NULL, "out of memory");
    l->plan = (bb_plan){ .g = l->graph, .kv_type = kv_type };
    bb_plan_begin(&l->plan, d_model, 2, 1e-5);
    bb_plan_embed(&l->plan, "embed");
    bb_plan_head(&l->plan, "last", NULL);
    bb_plan_block(&l->plan, "norm");
}

void lab_bind(lab *l, store *s)
{
    const bb_bind_options o = { .k = &l->kernels, .n_threads = 1 };
    const int             D = l->graph->d_model;
    bamba_error           err = { BAMBA_OK, "" };
    uint64_t              seed = 1;

    demand(bb_plan_status(&l->plan, &err) == BAMBA_OK, err.message);
    lab_add(s, "embed", "F32", 0, 1, &seed, (const int[]){ 2, D, 0 });
    lab_add(s, "norm", "F32", 1, 0, &seed, (const int[]){ D, 0 });
    lab_add(s, "last", "F32", 1, 0, &seed, (const int[]){ D, 0 });
    l->dir = tempdir_make();
    store_write(s, 0, s->n, l->dir, "model.safetensors");
    demand(bb_checkpoint_open(&l->checkpoint, &l->alloc, l->dir, &err) == BAMBA_OK,
           err.message);
    demand(bb_bind(l->graph, l->checkpoint, &o, &l->weights, &l->stats, &err) == BAMBA_OK,
           err.message);
    bb_blas_prepare();
}

void lab_close(lab *l)
{
    for (int i = 0; i < l->n_sessions; i++) {
        free(l->session[i].h);
        free(l->session[i].x);
        free(l->session[i].state);
    }
    if (l->weights) bb_unguard(l->weights, l->stats.resident_bytes);
    bb_release(&l->alloc, l->weights);
    bb_graph_free(l->graph);
    bb_checkpoint_close(l->checkpoint);
    tempdir_remove(l->dir);
    demand(l->memory.n_live == 0, "memory was not released");
}

void lab_add_session(lab *l, int n_rows, uint64_t *seed)
{
    const size_t n = (size_t)n_rows * (size_t)l->graph->d_model;
    lab_session *s = &l->session[l->n_sessions++];

    demand(l->n_sessions <= LAB_SESSIONS, "too many sessions");
    s->n_rows = n_rows;
    s->h = make_nans(n * sizeof *s->h);
    s->x = make_nans(n * sizeof *s->x);
    for (size_t i = 0; i < n; i++) s->h[i] = (float)lab_normal(seed);
}

/* -------------------------------------------------------------- running ------------------ */

typedef struct team_call {
    bb_exec        shared;
    unsigned char *panels;                /* [n_threads] of panel_bytes */
    size_t         panel_bytes;
    float         *own_rows;              /* [n_threads] of BB_FEW_ROWS rows */
    float         *arranged;
    size_t         own_size;
    float         *own_tiles;
    void         (*body)(const bb_exec *e, void *context);
    void          *context;
} team_call;

static void run_thread(void *context, int thread)
{
    const team_call *c = context;
    bb_exec          e = c->shared;

    e.thread = thread;
    e.panel = c->panels + (size_t)thread * c->panel_bytes;
    e.own_rows = c->own_rows + (size_t)thread * c->own_size;
    e.arranged = c->arranged + (size_t)thread * c->own_size;
    e.own_tiles = c->own_tiles + (size_t)thread * bb_own_tile_elements();
    c->body(&e, c->context);
}

void lab_team(const bb_exec *shared, int n_threads, int widest,
              void (*body)(const bb_exec *e, void *context), void *context)
{
    fault        memory = { 0 };
    bb_allocator a = fault_allocator(&memory);
    team_call    c = { .shared = *shared, .body = body, .context = context };

    const size_t packed = bb_packed_elements(shared->T, widest);

    demand(bb_team_create(&c.shared.team, &a, n_threads, false, NULL) == BAMBA_OK, "no team");
    c.panel_bytes = (bb_panel_bytes(shared->k, shared->T, widest) + 63) / 64 * 64;
    c.own_size = (size_t)BB_FEW_ROWS * bb_own_width(widest);
    c.panels = make_nans((size_t)n_threads * c.panel_bytes);
    c.own_rows = make_nans((size_t)n_threads * c.own_size * sizeof *c.own_rows);
    c.arranged = make_nans((size_t)n_threads * c.own_size * sizeof *c.arranged);
    c.own_tiles = make_nans((size_t)n_threads * bb_own_tile_elements() * sizeof *c.own_tiles);
    c.shared.packed = make_nans(packed * sizeof *c.shared.packed);
    c.shared.packed_rounded = make_nans(packed * sizeof *c.shared.packed_rounded);
    c.shared.n_threads = n_threads;
    bb_team_run(c.shared.team, run_thread, &c);
    free(c.panels);
    free(c.own_rows);
    free(c.arranged);
    free(c.own_tiles);
    free(c.shared.packed);
    free(c.shared.packed_rounded);
    bb_team_free(c.shared.team);
}

static void run_mixer(const bb_exec *e, void *context)
{
    const bb_mixer *m = context;
    m->kind->forward(m, e);
}

/* n_positions: for how many positions the block has room. */
static void *empty_state(const bb_mixer *m, int n_positions)
{
    void *state = make_nans(m->kind->state_bytes(m, (size_t)n_positions));

    memset(state, 0, m->kind->state_bytes(m, 0));
    return state;
}

static void move_state(const bb_mixer *m, lab_session *s)
{
    void *other = make_nans(m->kind->state_bytes(m, (size_t)s->n_rows));

    memcpy(other, s->state, m->kind->state_bytes(m, (size_t)s->pos));
    free(s->state);
    s->state = other;
}

typedef struct batch {
    bb_segment segment[LAB_SESSIONS];
    void      *state[LAB_SESSIONS];       /* one slot each */
    int        session[LAB_SESSIONS];     /* of each segment */
    int        n_segments, T;
} batch;

/* Line up the rows a line of the script asks for, beginning with session `first`. */
static void gather(lab *l, const int *line, int first, batch *b)
{
    b->n_segments = b->T = 0;
    for (int j = 0; j < l->n_sessions; j++) {
        const int i = (first + j) % l->n_sessions;
        const int n = line[i];
        demand(l->session[i].pos + n <= l->session[i].n_rows, "the script is too long");
        if (n == 0) continue;
        b->state[b->n_segments] = l->session[i].state;
        b->session[b->n_segments] = i;
        b->segment[b->n_segments] = (bb_segment){
            .state = &b->state[b->n_segments], .row = b->T, .n_rows = n,
            .pos = l->session[i].pos, .length = l->session[i].n_rows,
        };
        b->n_segments++;
        b->T += n;
    }
}

static void run_batch(lab *l, int n_threads, const batch *b)
{
    bb_mixer    *m = l->graph->block[0].mixer[0];
    const size_t D = (size_t)l->graph->d_model;
    const size_t bytes = m->kind->scratch_bytes(m, b->T, n_threads);
    bb_exec      e = { .k = &l->kernels, .segment = b->segment, .n_segments = b->n_segments,
                       .T = b->T };

    e.x = make_nans((size_t)b->T * D * sizeof(float));
    float *h = make_nans((size_t)b->T * D * sizeof *h);
    e.h = bb_rows_at(h, D);
    e.scratch = (bb_arena){ .base = make_nans(bytes), .size = bytes };
    for (size_t i = 0; i < (size_t)b->T * D; i++) e.x[i] = LAB_STREAM;
    for (int i = 0; i < b->n_segments; i++) {
        const lab_session *s = &l->session[b->session[i]];
        const bb_segment  *g = &b->segment[i];
        memcpy(h + (size_t)g->row * D, s->h + (size_t)g->pos * D,
               (size_t)g->n_rows * D * sizeof(float));
    }
    lab_team(&e, n_threads, l->graph->widest, run_mixer, m);
    for (int i = 0; i < b->n_segments; i++) {
        lab_session      *s = &l->session[b->session[i]];
        const bb_segment *g = &b->segment[i];
        memcpy(s->x + (size_t)g->pos * D, e.x + (size_t)g->row * D,
               (size_t)g->n_rows * D * sizeof(float));
        s->pos += g->n_rows;
    }
    bb_unguard(e.scratch.base, bytes);
    free(e.scratch.base);
    free(e.x);
    free(h);
}

void lab_run(lab *l, int n_threads, const int *script, int n_calls)
{
    const bb_mixer *m = l->graph->block[0].mixer[0];

    for (int i = 0; i < l->n_sessions; i++) {
        lab_session *s = &l->session[i];
        free(s->state);
        s->state = empty_state(m, s->n_rows);
        s->pos = 0;
        memset(s->x, 0xFF, (size_t)s->n_rows * (size_t)l->graph->d_model * sizeof *s->x);
    }
    for (int call = 0; call < n_calls; call++) {
        batch b;
        for (int i = 0; i < l->n_sessions; i++) move_state(m, &l->session[i]);
        gather(l, script + call * l->n_sessions, call, &b);
        run_batch(l, n_threads, &b);
    }
}

/* -------------------------------------------------------------- looking ------------------ */

double lab_error(const lab *l, int session, const double *expected)
{
    const lab_session *s = &l->session[session];
    const size_t       n = (size_t)s->pos * (size_t)l->graph->d_model;
    double             most = 0;
    double             error = 0;

    for (size_t i = 0; i < n; i++) {
        const double difference = fabs((double)s->x[i] - (double)LAB_STREAM - expected[i]);
        if (!(difference <= (double)INFINITY) || expected[i] != expected[i]) return INFINITY;
        if (difference > error) error = difference;
        if (fabs(expected[i]) > most) most = fabs(expected[i]);
    }
    return n ? error / most : 0;
}

double lab_bound(const lab *l, int type, double strict)
{
    return bb_format_of(&l->kernels, (bb_type)type)->activation == BB_TYPE_F32 ? strict : 0.02;
}

unsigned char *lab_bits(const lab *l, size_t *n_bytes)
{
    const bb_mixer *m = l->graph->block[0].mixer[0];
    const size_t    row = (size_t)l->graph->d_model * sizeof(float);
    unsigned char  *bits = NULL;
    size_t          n = 0;

    for (int i = 0; i < l->n_sessions; i++) {
        const lab_session *s = &l->session[i];
        const size_t       x_bytes = (size_t)s->pos * row;
        const size_t       state_bytes = m->kind->state_bytes(m, (size_t)s->pos);
        bits = realloc(bits, n + x_bytes + state_bytes + 1);
        demand(bits != NULL, "out of memory");
        memcpy(bits + n, s->x, x_bytes);
        memcpy(bits + n + x_bytes, s->state, state_bytes);
        n += x_bytes + state_bytes;
    }
    *n_bytes = n;
    return bits;
}

bool lab_repeats(lab *l, int n_threads, const int *script, int n_calls,
                 const unsigned char *bits, size_t n_bytes)
{
    size_t n;

    lab_run(l, n_threads, script, n_calls);
    unsigned char *other = lab_bits(l, &n);
    const bool     same = n == n_bytes && memcmp(bits, other, n) == 0;
    free(other);
    return same;
}
