/* bench.c - times of every kernel and level for the sizes of Bamba-9B, one thread, operands as
   warm as they are in a model: weights and states from memory, the rest from cache. */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    D = 4096, I = 8192, H = 128, P = 64, N = 128, F = 14336, K = 4, CONV = 8448, Q = 64,
    HEADS = 4, WIDTH = 128, DEPTH = 8192,         /* query heads of one kv head, of 32 and 8 */
    W_ROWS = 8192,                                /* of D columns: 64 MiB in two bytes */
    REPEATS = 7
};

typedef struct bench {
    const bb_kernels *k;
    const char       *only;
    float    *a, *b, *out;                /* [512 · I] */
    float    *weights;                    /* [W_ROWS, D], as floats or halves */
    float    *state;                      /* [H, P, N] */
    float    *scratch;                    /* [4 · Q · Q + …] */
    int       type, T;                    /* of the kernel being timed */
    double    ns_c[64];                   /* of level c, by order of timing */
    int       n_timed;
} bench;

typedef void bench_fn(bench *b);

/* Time on the processor: other programs on the machine do not count, save for what they do to
   caches and memory. */
static double now_ns(void)
{
    return 1e9 * (double)clock() / CLOCKS_PER_SEC;
}

/* Median time of a call, and amount per ns: GB/s or GFLOP/s. */
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
    printf("%-28s %-10s %12.0f ns %8.2f %-7s %6.2f x c\n", name, b->k->name, ns, amount / ns,
           unit, *c / ns);
    fflush(stdout);
}

static uint16_t *halves(bench *b) { return (uint16_t *)b->weights; }

static void run_widen(bench *b) { b->k->widen[b->type](I * 64, halves(b), b->out); }
static void run_narrow(bench *b) { b->k->narrow[b->type](I * 64, b->a, (uint16_t *)b->out); }
static void run_rows(bench *b)
{
    b->k->format[b->type].rows(b->T, W_ROWS, D, b->weights, D, b->a, D, b->out, W_ROWS);
}
static void run_attend(bench *b)
{
    b->k->attend[b->type](b->T, HEADS, WIDTH, 0.088f, b->a, HEADS * WIDTH, b->weights,
                          2 * 64 * WIDTH, 64 * WIDTH, DEPTH - b->T, b->out, HEADS * WIDTH,
                          b->scratch);
}
static void run_axpy(bench *b) { b->k->axpy(D, 0.0f, b->a, b->out); }
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
    b->k->conv1d(b->T, CONV, K, b->a, CONV, b->b, K, b->b, b->scratch, CONV, b->out, CONV);
}
static void run_step(bench *b)
{
    b->k->ssd_step(H, P, N, b->a, b->b, b->b + H, b->a + I, b->a + 2 * I, b->b, b->state,
                   b->out);
}
static void run_cb(bench *b) { b->k->ssd_cb(Q, N, b->a, b->a + Q * N, N, b->scratch); }
static void run_chunks(bench *b)          /* a layer: all heads, Q tokens */
{
    const float *B = b->a, *C = b->a + Q * N;
    b->k->ssd_cb(Q, N, B, C, N, b->scratch);
    for (int h = 0; h < H; h++)
        b->k->ssd_chunk(Q, P, N, b->b + h * P, I, b->b + h, H, b->b[H + h], B, C, N, b->scratch,
                        1.0f, b->state + h * P * N, b->out + h * P, I, b->scratch + Q * Q);
}

static void fill(float *p, size_t n, float low, float high)
{
    uint32_t r = 12345;
    for (size_t i = 0; i < n; i++) {
        r    = r * 1664525u + 1013904223u;
        p[i] = low + (high - low) * (float)(r >> 8) * 0x1p-24f;
    }
}

static void bench_types(bench *b)
{
    static const int T[] = { 1, 2, 4, 8, 16, 32 };
    char             name[64];

    for (b->type = 0; b->type < BB_N_TYPES; b->type++) {
        const char  *type = type_name(b->type);
        const double size = b->type == BB_TYPE_F32 ? 4 : 2;

        fill(b->weights, (size_t)W_ROWS * D, -1, 1);
        if (b->type != BB_TYPE_F32) {
            b->k->narrow[b->type]((size_t)W_ROWS * D, b->weights, halves(b));  /* in order */
            snprintf(name, sizeof name, "widen %s", type);
            time_kernel(b, name, run_widen, 6.0 * I * 64, "GB/s");
            snprintf(name, sizeof name, "narrow %s", type);
            time_kernel(b, name, run_narrow, 6.0 * I * 64, "GB/s");
        }
        for (size_t i = 0; i < sizeof T / sizeof *T; i++) {
            b->T = T[i];
            snprintf(name, sizeof name, "rows %s T=%d 8192x4096", type, b->T);
            if (b->T == 1) time_kernel(b, name, run_rows, size * W_ROWS * D, "GB/s");
            else time_kernel(b, name, run_rows, 2.0 * b->T * W_ROWS * D, "GFLOP/s");
        }
        b->T = 1;
        snprintf(name, sizeof name, "attend %s 4 heads @8192", type);
        time_kernel(b, name, run_attend, size * 2 * DEPTH * WIDTH, "GB/s");
        b->T = 16;
        snprintf(name, sizeof name, "attend %s 16 rows @8192", type);
        time_kernel(b, name, run_attend, 4.0 * b->T * HEADS * DEPTH * WIDTH, "GFLOP/s");
    }
}

static void bench_level(bench *b)
{
    fill(b->a, 512u * I, -1, 1);
    fill(b->b, 512u * I, 0.01f, 0.1f);
    fill(b->b + H, H, -8, -1);            /* A */
    memset(b->state, 0, sizeof(float) * H * P * N);
    b->n_timed = 0;

    bench_types(b);
    time_kernel(b, "axpy 4096", run_axpy, 12.0 * D, "GB/s");
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
    time_kernel(b, "ssd_step 128x64x128", run_step, 8.0 * H * P * N, "GB/s");
    time_kernel(b, "ssd_cb 64x128", run_cb, 1.0 * Q * (Q + 1) * N, "GFLOP/s");
    time_kernel(b, "ssd_chunk layer, 64 tokens", run_chunks,
                1.0 * Q * (Q + 1) * (H * P + N) + 4.0 * H * Q * P * N, "GFLOP/s");
}

int run_bench(const char *only)
{
    static const char *const level[] = { "c", "avx2", "avx512", "avx512bf16" };
    const unsigned           machine = bb_cpu_detect();
    const size_t             n_scratch = (size_t)BB_ATTEND_SCRATCH(HEADS, WIDTH)
                                       + 4 * (size_t)CONV + 4 * (size_t)Q * Q * Q;
    bench                    b = { .only = only };

    b.a       = calloc(512u * I, sizeof *b.a);
    b.b       = calloc(512u * I, sizeof *b.b);
    b.out     = calloc(512u * I, sizeof *b.out);
    b.weights = calloc((size_t)W_ROWS * D, sizeof *b.weights);
    b.state   = calloc((size_t)H * P * N, sizeof *b.state);
    b.scratch = calloc(n_scratch, sizeof *b.scratch);
    for (int i = 0; i < 4 && b.a && b.b && b.out && b.weights && b.state && b.scratch; i++) {
        const int  mask = bb_cpu_level(level[i]);
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
    return 0;
}
