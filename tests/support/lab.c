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

double *lab_doubles(const float *x, size_t n)
{
    double *out = malloc((n + 1) * sizeof *out);

    demand(out != NULL, "out of memory");
    for (size_t i = 0; i < n; i++) out[i] = (double)x[i];
    return out;
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

void lab_round_row(int type, int n, double *x)
{
    double most = 0;

    for (int i = 0; i < n; i++) most = fmax(most, fabs(x[i]));
    const double scale = lab_bf16(store_bf16((float)(most / 127)));
    for (int i = 0; i < n; i++)
        x[i] = type != BB_TYPE_Q8 ? lab_round(type, x[i])
             : scale > 0 ? scale * rint(x[i] / scale) : 0;
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

void lab_begin(lab *l, int d_model, bb_type kv_type)
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

void lab_use(lab *l, bb_mixer *m) { bb_plan_use(&l->plan, m, 1.0); }

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

static void free_slot(lab_session *s);

void lab_close(lab *l)
{
    for (int i = 0; i < l->n_sessions; i++) {
        free(l->session[i].h);
        free(l->session[i].x);
        free_slot(&l->session[i]);
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
    bb_pass        pass;
    void         (*body)(const bb_exec *e, void *context);
    void          *context;
} team_call;

static void run_thread(void *context, int thread)
{
    const team_call *c = context;
    const bb_exec    e = { .pass = &c->pass, .thread = thread };

    c->body(&e, c->context);
}

void lab_team(const bb_pass *shared, int n_threads, int widest,
              void (*body)(const bb_exec *e, void *context), void *context)
{
    fault        memory = { 0 };
    bb_allocator a = fault_allocator(&memory);
    team_call    c = { .pass = *shared, .body = body, .context = context };
    bb_arena     room = BB_MEASURE;

    demand(bb_team_create(&c.pass.team, &a, n_threads, false, NULL) == BAMBA_OK, "no team");
    c.pass.n_threads = n_threads;
    bb_product_room_take(&room, shared->k, shared->T, widest, n_threads);
    room = (bb_arena){ .base = make_nans(room.used), .size = room.used };
    c.pass.room = bb_product_room_take(&room, shared->k, shared->T, widest, n_threads);
    bb_team_run(c.pass.team, run_thread, &c);
    bb_unguard(room.base, room.size);
    free(room.base);
    bb_team_free(c.pass.team);
}

/* -------------------------------------------------------------- what is remembered ------- */

static size_t state_bytes(const bb_mixer *m)
{
    return m->kind->state_bytes ? m->kind->state_bytes(m) : 0;
}

/* The table ends with NULL. */
bb_pages lab_make_pages(const bb_mixer *m, size_t n_positions)
{
    const size_t bytes = m->kind->page_bytes ? m->kind->page_bytes(m) : 0;
    const size_t n = bytes ? bb_graph_n_pages(n_positions) : 0;
    void       **page = calloc(n + 1, sizeof *page);

    if (!page) abort();
    for (size_t i = 0; i < n; i++) page[i] = make_nans(bytes);
    return (bb_pages){ page, 0 };
}

void lab_free_pages(bb_pages *pages)
{
    for (size_t i = 0; pages->page && pages->page[i]; i++) free(pages->page[i]);
    free((void *)(uintptr_t)pages->page);
    *pages = (bb_pages){ NULL, 0 };
}

static void free_slot(lab_session *s)
{
    free(s->slot.state[0]);
    free(s->slot.state[1]);
    lab_free_pages(&s->slot.cache);
    s->slot = (bb_slot){ .cache = { NULL, 0 } };
}

/* Memory for n_rows positions, all NaN. */
static bb_slot make_slot(const bb_mixer *m, const lab_session *s)
{
    return (bb_slot){ { make_nans(state_bytes(m)), make_nans(state_bytes(m)) },
                      lab_make_pages(m, (size_t)s->n_rows), NULL };
}

static void empty_slot(const bb_mixer *m, lab_session *s)
{
    free_slot(s);
    s->slot = make_slot(m, s);
    s->current = 0;
    memset(s->slot.state[0], 0, state_bytes(m));
}

/* To other memory, which is filled by what a save gives, or by the bytes that a session at this
   position needs. */
static void move_slot(const lab *l, const bb_mixer *m, lab_session *s, bool saved)
{
    const bb_slot other = make_slot(m, s);
    const size_t  n = (size_t)s->pos;

    if (saved && m->kind->save) {
        void *bytes = make_nans(m->kind->saved_bytes(m, n));
        float *scratch = make_nans(m->kind->scratch_floats(m) * sizeof *scratch);
        m->kind->save(m, &l->kernels, s->slot.state[s->current], &s->slot.cache, 0, n, bytes,
                      scratch);
        m->kind->load(m, &l->kernels, bytes, 0, n, other.state[s->current], &other.cache, scratch);
        free(bytes);
        free(scratch);
    } else {
        memcpy(other.state[s->current], s->slot.state[s->current], state_bytes(m));
        for (size_t i = 0; m->kind->page_bytes && i < bb_graph_n_pages(n); i++)
            memcpy(other.cache.page[i], s->slot.cache.page[i], m->kind->page_bytes(m));
    }
    free_slot(s);
    s->slot = other;
}

/* -------------------------------------------------------------- running ------------------ */

typedef struct mixer_call {
    const bb_mixer *m;
    const float    *h;                    /* [T, D] */
    bb_sink         out;
    int             d_model, slot;
} mixer_call;

static void run_mixer(const bb_exec *e, void *context)
{
    const mixer_call *c = context;
    const bb_call     call = {
        .in = bb_source_of(e, c->h, (size_t)c->d_model, c->d_model), .out = c->out, .slot = c->slot,
    };
    c->m->kind->forward(c->m, e, &call);
}

typedef struct batch {
    bb_segment segment[LAB_SESSIONS];
    int        session[LAB_SESSIONS];     /* of each segment */
    int        n_segments, T;
} batch;

static size_t log_floats(const lab *l)
{
    const bb_mixer *m = l->graph->block[0].use[0].mixer;
    return m->kind->log_floats ? m->kind->log_floats(m) : 0;
}

/* Line up the rows a line of the script asks for, beginning with session `first`. */
static void gather(lab *l, const int *line, int first, bool in_place, batch *b)
{
    b->n_segments = b->T = 0;
    for (int j = 0; j < l->n_sessions; j++) {
        const int i = (first + j) % l->n_sessions;
        const int n = line[i];
        demand(l->session[i].pos + n <= l->session[i].n_rows, "the script is too long");
        if (n == 0) continue;
        b->session[b->n_segments] = i;
        lab_session *s = &l->session[i];
        s->slot.log = s->log ? s->log + (size_t)s->pos * log_floats(l) : NULL;
        b->segment[b->n_segments] = (bb_segment){
            .slot = &l->session[i].slot, .from = l->session[i].current,
            .to = in_place ? l->session[i].current : !l->session[i].current, .row = b->T,
            .n_rows = n, .pos = l->session[i].pos, .length = l->session[i].n_rows,
            .window = l->window, .sink = l->sink,
        };
        b->n_segments++;
        b->T += n;
    }
}

static void run_batch(lab *l, int n_threads, const batch *b)
{
    const bb_use *u = &l->graph->block[0].use[0];
    const size_t  D = (size_t)l->graph->d_model;
    const size_t  bytes = u->mixer->kind->scratch_bytes(u->mixer, b->T, n_threads);
    bb_pass       p = { .k = &l->kernels, .segment = b->segment, .n_segments = b->n_segments,
                        .T = b->T, .many = bb_is_many(b->T) };

    p.x = make_nans((size_t)b->T * D * sizeof(float));
    float *h = make_nans((size_t)b->T * D * sizeof *h);
    p.scratch = (bb_arena){ .base = make_nans(bytes), .size = bytes };
    for (size_t i = 0; i < (size_t)b->T * D; i++) p.x[i] = LAB_STREAM;
    for (int i = 0; i < b->n_segments; i++) {
        const lab_session *s = &l->session[b->session[i]];
        const bb_segment  *g = &b->segment[i];
        memcpy(h + (size_t)g->row * D, s->h + (size_t)g->pos * D,
               (size_t)g->n_rows * D * sizeof(float));
    }
    mixer_call c = { u->mixer, h, { .y = p.x, .ld = D, .add = true, .alpha = 1.0f }, (int)D, 0 };
    lab_team(&p, n_threads, l->graph->widest, run_mixer, &c);
    for (int i = 0; i < b->n_segments; i++) {
        lab_session      *s = &l->session[b->session[i]];
        const bb_segment *g = &b->segment[i];
        memcpy(s->x + (size_t)g->pos * D, p.x + (size_t)g->row * D,
               (size_t)g->n_rows * D * sizeof(float));
        s->pos += g->n_rows;
        s->current = g->to;
    }
    bb_unguard(p.scratch.base, bytes);
    free(p.scratch.base);
    free(p.x);
    free(h);
}

void lab_run(lab *l, int n_threads, const int *script, int n_calls)
{
    const bb_mixer *m = l->graph->block[0].use[0].mixer;

    for (int i = 0; i < l->n_sessions; i++) {
        lab_session *s = &l->session[i];
        empty_slot(m, s);
        s->pos = 0;
        memset(s->x, 0xFF, (size_t)s->n_rows * (size_t)l->graph->d_model * sizeof *s->x);
    }
    for (int call = 0; call < n_calls; call++) {
        batch b;
        for (int i = 0; i < l->n_sessions; i++)
            move_slot(l, m, &l->session[i], call % 3 == 1);
        gather(l, script + call * l->n_sessions, call, call % 2 == 0, &b);
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

double lab_bound(const lab *l, bb_type type, double strict)
{
    return bb_format_of(&l->kernels, type)->activation == BB_TYPE_F32 ? strict : 0.02;
}

void lab_save(const lab *l, int session, void *out)
{
    const bb_mixer    *m = l->graph->block[0].use[0].mixer;
    const lab_session *s = &l->session[session];

    float *scratch = make_nans(m->kind->scratch_floats(m) * sizeof *scratch);
    m->kind->save(m, &l->kernels, s->slot.state[s->current], &s->slot.cache, 0, (size_t)s->pos, out,
                  scratch);
    free(scratch);
}

unsigned char *lab_bits(const lab *l, size_t *n_bytes)
{
    const bb_mixer *m = l->graph->block[0].use[0].mixer;
    const size_t    row = (size_t)l->graph->d_model * sizeof(float);
    unsigned char  *bits = NULL;
    size_t          n = 0;

    for (int i = 0; i < l->n_sessions; i++) {
        const lab_session *s = &l->session[i];
        const size_t       x_bytes = (size_t)s->pos * row;
        const size_t       saved = m->kind->save ? m->kind->saved_bytes(m, (size_t)s->pos) : 0;
        bits = realloc(bits, n + x_bytes + saved + 1);
        demand(bits != NULL, "out of memory");
        memcpy(bits + n, s->x, x_bytes);
        n += x_bytes;
        if (saved) lab_save(l, i, bits + n);
        n += saved;
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

bool lab_scales(lab *l, const int *script, int n_calls)
{
    size_t n;

    lab_run(l, 1, script, n_calls);
    unsigned char *bits = lab_bits(l, &n);
    const bool     same = lab_repeats(l, 2, script, n_calls, bits, n)
                       && lab_repeats(l, 3, script, n_calls, bits, n);
    free(bits);
    return same;
}

bool lab_agrees(lab *l, const int *first, int n_first, const int *second, int n_second)
{
    size_t n;

    lab_run(l, 1, first, n_first);
    unsigned char *bits = lab_bits(l, &n);
    const bool     same = lab_repeats(l, 2, second, n_second, bits, n);
    free(bits);
    return same;
}
