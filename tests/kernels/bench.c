/* bench.c - times of every kernel and level for the sizes of Bamba-9B, one thread, operands as
   warm as they are in a model: weights and states from memory, the rest from cache. */
#include "check.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#if defined(__linux__)
#  include <sys/mman.h>
#endif

enum {
    D = 4096, I = 8192, H = 128, P = 64, N = 128, F = 14336, K = 4, CONV = 8448, Q = 64,
    CHUNKS = 4,
    SCAN_I = 1536, SCAN_N = 16,                   /* channels and state of mamba-130m */
    HEADS = 4, WIDTH = 128,                       /* query heads of a kv head */
    DEPTH = 32768, RANGE = 2048,                  /* positions: most, of a tile */
    N_CACHE = 2 * 8 * DEPTH * WIDTH,              /* of 8 kv heads; more than W_ROWS · D */
    MANY_ROWS = 4096, MANY_TILE = 128,
    W_ROWS = 8192,                                /* of D columns: 64 MiB in two bytes */
    LAYERS = 16,                                  /* states of 4 MiB: more than caches hold */
    REPEATS = 7, HUGE_PAGE = 1 << 21,
    FAR_BYTES = 256 << 20, ROUNDS = 20000
};

typedef struct bench {
    const bb_kernels *k;
    const char       *only;
    float    *a, *b, *out;                /* [512 · I] */
    float    *weights;                    /* [N_CACHE] as floats or halves: [W_ROWS, D], caches */
    float    *state;                      /* [LAYERS, H, P, N] */
    float    *scratch;                    /* [4 · Q · Q + …] */
    float    *prepared, *panel;           /* rows of a product; BB_MANY_SCRATCH(512, MANY_TILE) */
    int       type, T;                    /* of the kernel being timed */
    int       depth, kv_heads;
    const void *pages[DEPTH / BB_KV_BLOCK];           /* of kv_heads blocks each, in weights */
    double    ns_c[128];                   /* of level c, by order of timing */
    bb_kernels best;                      /* what limits are measured with */
    void     *far;                        /* [FAR_BYTES] beyond the caches */
    int       n_timed;
} bench;

typedef void bench_fn(bench *b);

/* Time on the processor: other programs on the machine do not count, save for what they do to
   caches and memory. */
static double now_ns(void)
{
    return 1e9 * (double)clock() / CLOCKS_PER_SEC;
}

static const bb_format *format_of(const bench *b)
{
    return bb_format_of(b->k, (bb_type)b->type);
}

/* What this thread can do at most, now: reading memory, or multiply-adds of the kind that the
   products of the level use. Kernels whose operands stay in caches read faster than memory. */
static double limit_now(const bench *b, const char *name, const char *unit)
{
    const bool  is_product = strncmp(name, "few", 3) == 0 || strncmp(name, "many", 4) == 0;
    bb_peak_fn *peak = b->best.peak[BB_PEAK_F32];
    double      most = 0.0;

    if (is_product ? format_of(b)->activation == BB_TYPE_BF16
                   : strstr(name, "attend_many")
                     && b->k->cache[b->type].attend_many != b->k->cache[b->type].attend)
        peak = b->best.peak[BB_PEAK_BF16];
    if (is_product && format_of(b)->activation == BB_TYPE_I8 && b->best.peak[BB_PEAK_I8])
        peak = b->best.peak[BB_PEAK_I8];

    for (int i = 0; i < 3; i++) {
        volatile uint64_t sum = 0;
        float             sink = 0.0f;
        double            amount = FAR_BYTES;
        const double      start = now_ns();
        if (strcmp(unit, "GB/s") == 0) sum = b->best.read(FAR_BYTES, b->far);
        else amount = peak(ROUNDS, &sink);
        const double speed = amount / (now_ns() - start + 1.0);
        if (speed > most) most = speed;
        (void)sum;
    }
    return most;
}

/* Median time of a call, amount per ns (GB/s or GFLOP/s), ratio to level c, share of the limit. */
static void time_kernel(bench *b, const char *name, bench_fn *fn, double amount,
                        const char *unit)
{
    double t[REPEATS];
    int    calls = 1;

    if (b->only && !strstr(name, b->only)) return;
    fn(b);
    for (;; calls *= 2) {
        const double start = now_ns();
        for (int i = 0; i < calls; i++) fn(b);
        if (now_ns() - start > 1e7) break;
    }
    for (int i = 0; i < REPEATS; i++) {
        const double start = now_ns();
        for (int j = 0; j < calls; j++) fn(b);
        double ns = (now_ns() - start) / calls;
        for (int j = 0; j < i; j++)
            if (t[j] > ns) {
                const double larger = t[j];
                t[j] = ns;
                ns   = larger;
            }
        t[i] = ns;
    }
    const double ns = t[REPEATS / 2];
    double      *c  = &b->ns_c[b->n_timed++];
    if (strcmp(b->k->name, "c") == 0) *c = ns;
    printf("%-28s %-10s %12.0f ns %8.2f %-7s ", name, b->k->name, ns, amount / ns, unit);
    if (*c > 0.0) printf("%6.2f x c ", *c / ns);
    else printf("           ");           /* level c has none */
    printf("%6.1f %%\n", 100.0 * amount / ns / limit_now(b, name, unit));
    fflush(stdout);
}

static uint16_t *halves(bench *b) { return (uint16_t *)b->weights; }

static void run_widen(bench *b) { b->k->widen[b->type](I * 64, halves(b), b->out); }
static void run_narrow(bench *b) { b->k->narrow[b->type](I * 64, b->a, (uint16_t *)b->out); }
static void run_few(bench *b)
{
    const bb_format *f = format_of(b);
    f->prepare_few(b->T, D, b->a, D, b->prepared);
    f->few(b->T, W_ROWS, D, b->weights, 0, b->prepared, b->out, W_ROWS);
}
static void run_many(bench *b)            /* in tiles, as all threads of a model would take them */
{
    const bb_format *f = format_of(b);
    f->prepare_many(b->T, D, b->a, D, b->prepared);
    for (int r = 0; r < MANY_ROWS; r += MANY_TILE)
        f->many(b->T, MANY_TILE, D, b->weights, r, b->prepared, b->out + r, MANY_ROWS, b->panel);
}
static void run_rows_decoded(bench *b)    /* as an embedding: rows here and there */
{
    for (int i = 0; i < 64; i++)
        format_of(b)->decode(1, D, b->weights, i * 97 % W_ROWS, b->out + (size_t)i * D, D);
}
/* A row of a decode: all kv heads over all positions, in the order of its tiles. */
static void run_decode(bench *b)
{
    const size_t block = bb_kv_bytes((bb_type)b->type, WIDTH);
    for (int at = 0; at < b->depth; at += RANGE)
        for (int h = 0; h < b->kv_heads; h++)
            b->k->cache[b->type].attend(1, HEADS, WIDTH, 0.088f, b->a, HEADS * WIDTH, b->pages,
                                        (size_t)h * block, b->depth - 1, at, at + RANGE, INT_MAX,
                                        b->out, 0, b->scratch);
}
static void run_prefill(bench *b)
{
    b->k->cache[b->type].attend_many(b->T, HEADS, WIDTH, 0.088f, b->a, HEADS * WIDTH, b->pages, 0,
                                     b->depth - b->T, 0, b->depth, INT_MAX, b->out,
                                     HEADS * BB_ATTEND_PART(WIDTH), b->scratch);
}
static void run_join(bench *b)
{
    b->k->attend_join(16, HEADS, WIDTH, b->a, HEADS * BB_ATTEND_PART(WIDTH), b->out);
}
static void run_axpy(bench *b) { b->k->axpy(D, 0.0f, b->a, b->out); }
static void run_mul(bench *b) { b->k->mul(F, b->a + F, b->out); }
static void run_relu2(bench *b) { b->k->relu2(F, b->a, b->out); }
static void run_gelu_mul(bench *b) { b->k->gelu_mul(F, b->a, b->b, b->out); }
static void run_silu_mul(bench *b) { b->k->silu_mul(F, b->a, b->b, b->out); }
static void run_rmsnorm(bench *b) { b->k->rmsnorm(D, b->a, b->b, 1e-5f, b->out); }
static void run_gated(bench *b)
{
    b->k->gated_rmsnorm(I, 1, b->a, b->b, b->a + I, 1e-5f, b->out);
}
static void run_softplus(bench *b) { b->k->softplus_clamp(H, b->a, b->b, 0, 1e9f, b->out); }
static void run_rope(bench *b) { b->k->rope(32, WIDTH, WIDTH, b->a, b->b, b->out); }
static void run_conv1d(bench *b)
{
    b->k->conv1d(b->T, CONV, K, b->a, CONV, b->b, K, b->b, b->scratch, b->scratch, CONV, b->out,
                 CONV);
}
/* A layer of a model with 1536 channels, state 16: T tokens. */
static void run_selective_scan(bench *b)
{
    b->k->selective_scan(b->T, SCAN_I, SCAN_N, b->a, 2 * SCAN_I, b->b + I, SCAN_I, b->scratch,
                         b->a, b->a, 80, b->b, b->state, b->state, b->out, 2 * SCAN_I);
}
static void run_steps(bench *b)           /* a token through all layers */
{
    for (int i = 0; i < LAYERS; i++) {
        float *S = b->state + (size_t)i * H * P * N;
        b->k->ssd_step(H, P, N, b->a, b->b, b->b + H, b->a + I, b->a + 2 * I, b->b, S, S, b->out);
    }
}
static void run_steps_apart(bench *b)     /* the same, each state to the place of the next one's */
{
    for (int i = 0; i + 1 < LAYERS; i += 2) {
        float *S = b->state + (size_t)i * H * P * N;
        b->k->ssd_step(H, P, N, b->a, b->b, b->b + H, b->a + I, b->a + 2 * I, b->b, S,
                       S + (size_t)H * P * N, b->out);
    }
}
static void run_in_place(bench *b)        /* what memory allows a step */
{
    const volatile float fade = 0.999f;   /* read each time: calls must not be merged */
    const float          f    = fade;
    for (size_t i = 0; i < (size_t)LAYERS * H * P * N; i++) b->state[i] *= f;
}
/* Operands where the model has them: in rows of CONV floats; dt in rows of H, from token 2 on. */
static void run_cb(bench *b)
{
    b->k->ssd_cb(Q, N, b->a + I, b->a + I + N, CONV, b->scratch);
}
static void run_chunks(bench *b)          /* a layer: all heads, CHUNKS · Q tokens */
{
    const float *dt = b->b + 2 * H;
    float *const scratch = b->scratch + CHUNKS * Q * Q;

    for (int i = 0; i < CHUNKS; i++) {
        const float *B = b->a + i * Q * CONV + I;
        b->k->ssd_cb(Q, N, B, B + N, CONV, b->scratch + i * Q * Q);
    }
    for (int h = 0; h < H; h++)
        for (int i = 0; i < CHUNKS; i++) {
            const float *x = b->a + i * Q * CONV, *B = x + I;
            b->k->ssd_chunk(Q, P, N, x + h * P, CONV, dt + i * Q * H + h, H, b->b[H + h], B,
                            B + N, CONV, b->scratch + i * Q * Q, 1.0f, b->state + h * P * N,
                            b->state + h * P * N, b->out + i * Q * CONV + h * P, CONV, scratch);
        }
}

static void fill(float *p, size_t n, float low, float high)
{
    uint32_t r = 12345;
    for (size_t i = 0; i < n; i++) {
        r    = r * 1664525u + 1013904223u;
        p[i] = low + (high - low) * (float)(r >> 8) * 0x1p-24f;
    }
}

/* Every block of a cache holds the same keys and values. */
static void fill_cache(bench *b)
{
    const size_t bytes = bb_kv_bytes((bb_type)b->type, WIDTH);
    char        *block = (char *)b->weights;

    for (int at = 0; at < BB_KV_BLOCK; at++)
        b->k->cache[b->type].put(WIDTH, b->a + at * WIDTH, b->a + (at + 64) * WIDTH, at, block);
    for (size_t i = 1; i < (size_t)8 * DEPTH / BB_KV_BLOCK; i++)
        memcpy(block + i * bytes, block, bytes);
}

static void set_pages(bench *b, int kv_heads)
{
    const size_t bytes = (size_t)kv_heads * bb_kv_bytes((bb_type)b->type, WIDTH);

    b->kv_heads = kv_heads;
    for (size_t i = 0; i < DEPTH / BB_KV_BLOCK; i++)
        b->pages[i] = (const char *)b->weights + i * bytes;
}

static void bench_caches(bench *b)
{
    char name[64];

    for (b->type = BB_TYPE_F32; b->type < BB_N_CACHES; b->type++) {
        const char  *type = type_name(b->type);
        const double size = (double)bb_kv_bytes((bb_type)b->type, WIDTH) / BB_KV_ELEMENTS(WIDTH);

        fill_cache(b);
        for (int heads = 4; heads <= 8; heads *= 2)
            for (set_pages(b, heads), b->depth = 8192; b->depth <= DEPTH; b->depth *= 4) {
                snprintf(name, sizeof name, "attend %s %dx4x128 @%d", type, b->kv_heads,
                         b->depth);
                time_kernel(b, name, run_decode, size * 2 * b->kv_heads * b->depth * WIDTH,
                            "GB/s");
            }
        set_pages(b, 1);
        b->T = 16;
        b->depth = 8192;
        snprintf(name, sizeof name, "attend_many %s 16 @8192", type);
        time_kernel(b, name, run_prefill, 4.0 * b->T * HEADS * b->depth * WIDTH, "GFLOP/s");
    }
    time_kernel(b, "attend_join 16x4x128", run_join, 2.0 * 16 * HEADS * WIDTH, "GFLOP/s");
}

static void run_put_rows(bench *b)
{
    b->k->rows[b->type].put(LAYERS * H * P, N, b->state, 1, b->weights);
}
static void run_get_rows(bench *b)
{
    b->k->rows[b->type].get(LAYERS * H * P, N, b->weights, b->state);
}

/* Rows of the state space. */
static void bench_rows(bench *b)
{
    static const int types[] = { BB_TYPE_BF16, BB_TYPE_Q8 };
    char name[64];

    for (int i = 0; i < 2; i++) {
        const double bytes = (4.0 * N + (double)bb_row_bytes((bb_type)types[i], N))
            * LAYERS * H * P;
        b->type = types[i];
        fill(b->state, (size_t)LAYERS * H * P * N, -1, 1);
        snprintf(name, sizeof name, "rows put %s", type_name(b->type));
        time_kernel(b, name, run_put_rows, bytes, "GB/s");
        snprintf(name, sizeof name, "rows get %s", type_name(b->type));
        time_kernel(b, name, run_get_rows, bytes, "GB/s");
    }
    memset(b->state, 0, sizeof(float) * LAYERS * H * P * N);
}

/* Products of a format: b->weights is a matrix of it. */
static void bench_products(bench *b)
{
    static const int T[] = { 1, 2, 4, 8, 16, 32 };
    const bb_format *f = format_of(b);
    char             name[64];

    for (size_t i = 0; i < sizeof T / sizeof *T; i++) {
        b->T = T[i];
        snprintf(name, sizeof name, "few %s T=%d 8192x4096", f->name, b->T);
        if (b->T == 1) time_kernel(b, name, run_few, (double)f->bytes(W_ROWS, D), "GB/s");
        else time_kernel(b, name, run_few, 2.0 * b->T * W_ROWS * D, "GFLOP/s");
    }
    snprintf(name, sizeof name, "decode %s 64x4096", f->name);
    time_kernel(b, name, run_rows_decoded, (double)f->bytes(64, D) + 4.0 * 64 * D, "GB/s");
    for (b->T = 64; b->T <= 512; b->T *= 8) {
        snprintf(name, sizeof name, "many %s %dx4096x4096", f->name, b->T);
        if (f->many) time_kernel(b, name, run_many, 2.0 * b->T * MANY_ROWS * D, "GFLOP/s");
        else b->ns_c[b->n_timed++] = 0.0;
    }
}

static void bench_types(bench *b)
{
    char name[64];

    for (b->type = BB_TYPE_F32; b->type < BB_N_FLOATS; b->type++) {
        fill(b->weights, N_CACHE, -1, 1);
        if (b->type != BB_TYPE_F32) {
            b->k->narrow[b->type](N_CACHE, b->weights, halves(b));        /* in order */
            snprintf(name, sizeof name, "widen %s", type_name(b->type));
            time_kernel(b, name, run_widen, 6.0 * I * 64, "GB/s");
            snprintf(name, sizeof name, "narrow %s", type_name(b->type));
            time_kernel(b, name, run_narrow, 6.0 * I * 64, "GB/s");
        }
        bench_products(b);
    }
    memset(b->weights, 0x11, N_CACHE * sizeof *b->weights);          /* scales of 0.0006 */
    for (b->type = BB_TYPE_Q8; b->type <= BB_TYPE_F8_E4M3; b->type++) bench_products(b);
}

static void bench_level(bench *b)
{
    fill(b->a, 512u * I, -1, 1);
    fill(b->b, 512u * I, 0.01f, 0.1f);
    fill(b->b + H, H, -8, -1);            /* A */
    memset(b->state, 0, sizeof(float) * LAYERS * H * P * N);
    b->n_timed = 0;

    bench_types(b);
    bench_caches(b);
    bench_rows(b);
    time_kernel(b, "axpy 4096", run_axpy, 12.0 * D, "GB/s");
    time_kernel(b, "mul 14336", run_mul, 12.0 * F, "GB/s");
    time_kernel(b, "relu2 14336", run_relu2, 8.0 * F, "GB/s");
    time_kernel(b, "gelu_mul 14336", run_gelu_mul, 12.0 * F, "GB/s");
    time_kernel(b, "silu_mul 14336", run_silu_mul, 12.0 * F, "GB/s");
    time_kernel(b, "rmsnorm 4096", run_rmsnorm, 12.0 * D, "GB/s");
    time_kernel(b, "gated_rmsnorm 8192", run_gated, 16.0 * I, "GB/s");
    time_kernel(b, "softplus_clamp 128", run_softplus, 12.0 * H, "GB/s");
    time_kernel(b, "rope 32x128", run_rope, 8.0 * 32 * WIDTH, "GB/s");
    memset(b->scratch, 0, sizeof(float) * CONV * K);
    b->T = 1;
    time_kernel(b, "conv1d T=1 8448", run_conv1d, 2.0 * K * CONV, "GFLOP/s");
    b->T = 64;
    time_kernel(b, "conv1d T=64 8448", run_conv1d, 2.0 * K * 64 * CONV, "GFLOP/s");
    fill(b->scratch, SCAN_I * SCAN_N, -16, -1);                   /* A */
    b->T = 1;
    time_kernel(b, "selective_scan T=1 1536x16", run_selective_scan, 1.0 * SCAN_I * SCAN_N,
                "Gexp/s");
    b->T = 512;
    time_kernel(b, "selective_scan T=512 1536x16", run_selective_scan, 512.0 * SCAN_I * SCAN_N,
                "Gexp/s");
    memset(b->state, 0, sizeof(float) * SCAN_I * SCAN_N);
    time_kernel(b, "ssd_step 16x128x64x128", run_steps, 8.0 * LAYERS * H * P * N, "GB/s");
    time_kernel(b, "ssd_step apart 8x128x64x128", run_steps_apart,
                8.0 * LAYERS / 2 * H * P * N, "GB/s");
    time_kernel(b, "the same states in place", run_in_place, 8.0 * LAYERS * H * P * N, "GB/s");
    time_kernel(b, "ssd_cb 64x128", run_cb, 1.0 * Q * (Q + 1) * N, "GFLOP/s");
    time_kernel(b, "ssd_chunk layer, 256 tokens", run_chunks,     /* counted as whole squares */
                2.0 * CHUNKS * Q * (Q * N + H * (Q * P + 2.0 * N * P + 1.0 * N * P / Q)),
                "GFLOP/s");
}

/* In huge pages, as a model has its weights and caches: with small ones memory is slower. */
static void *allocate_huge(size_t bytes)
{
    void *p = aligned_alloc(HUGE_PAGE, (bytes + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE);
#ifdef MADV_HUGEPAGE
    if (p) madvise(p, bytes, MADV_HUGEPAGE);
#endif
    if (p) memset(p, 0, bytes);
    return p;
}

int run_bench(const char *only)
{
    const unsigned           machine = bb_cpu_detect();
    const size_t             n_scratch = (size_t)BB_ATTEND_SCRATCH(HEADS, WIDTH)
                                       + 4 * (size_t)CONV + 4 * (size_t)Q * Q * Q;
    bench                    b = { .only = only };

    b.a       = calloc(512u * I, sizeof *b.a);
    b.b       = calloc(512u * I, sizeof *b.b);
    b.out     = calloc(512u * I, sizeof *b.out);
    b.weights = allocate_huge(N_CACHE * sizeof *b.weights);
    b.state   = calloc((size_t)LAYERS * H * P * N, sizeof *b.state);
    b.scratch = calloc(n_scratch, sizeof *b.scratch);
    b.prepared = calloc((512 + BB_MOST_GROUP) * (size_t)D, sizeof *b.prepared);
    b.panel   = allocate_huge(BB_MANY_SCRATCH(512, MANY_TILE));
    b.far     = allocate_huge(FAR_BYTES);
    if (b.far) memset(b.far, 1, FAR_BYTES);
    bb_kernels_init(&b.best, machine);
    for (int i = 0; i < CHECK_LEVELS && b.a && b.b && b.out && b.weights && b.state && b.scratch
                    && b.prepared && b.panel && b.far; i++) {
        const int  mask = bb_cpu_level(check_levels[i]);
        bb_kernels table;
        if (mask < 0 || ((unsigned)mask & ~machine)) continue;
        bb_kernels_init(&table, (unsigned)mask);
        b.k = &table;
        bench_level(&b);
    }
    free(b.a);
    free(b.b);
    free(b.out);
    free(b.weights);
    free(b.state);
    free(b.scratch);
    free(b.prepared);
    free(b.panel);
    free(b.far);
    return 0;
}
