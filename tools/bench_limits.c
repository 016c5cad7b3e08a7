/* bench_limits.c - the machine alone: reading, multiply-adds, caches, the processor quota. */
#include "bench.h"

#include "console.h"

#include <stdlib.h>
#include <unistd.h>

/* The columns; a probe gives 0 if the processor has no such instruction. */
static const struct { bamba_limit limit; const char *name, *title; } kinds[] = {
    { BAMBA_LIMIT_READ, "read_gbs", "read GB/s" },
    { BAMBA_LIMIT_F32, "f32_gflops", "f32 GFLOP/s" },
    { BAMBA_LIMIT_BF16, "bf16_gflops", "bf16 dot GFLOP/s" },
    { BAMBA_LIMIT_I8, "i8_gops", "int8 dot GOP/s" },
};
static const struct { const char *name, *title; int key; } caches[] = {
    { "l1d_bytes", "L1d", _SC_LEVEL1_DCACHE_SIZE }, { "l2_bytes", "L2", _SC_LEVEL2_CACHE_SIZE },
    { "l3_bytes", "L3", _SC_LEVEL3_CACHE_SIZE },
};

enum { N_KINDS = sizeof kinds / sizeof *kinds, N_CACHES = sizeof caches / sizeof *caches };

static double cache_bytes(int i)          /* 0: not known */
{
    const long size = sysconf(caches[i].key);
    return size > 0 ? (double)size : 0.0;
}

static void print_head(const bamba_probe *probe)
{
    const double quota = bamba_cpu_quota();
    char text[96];

    bench_cpu_name(text);
    printf("processor       %s, %d for this process\n", text, bench_noise_now().cores);
    printf(quota > 0.0 ? "cpu quota       %.2f processors\n" : "cpu quota       none\n", quota);
    printf("caches          ");
    for (int i = 0; i < N_CACHES; i++)
        if (cache_bytes(i) > 0.0)
            printf("%s %s  ", caches[i].title, bench_bytes(cache_bytes(i), text, sizeof text));
    printf("\nkernels         %s\nread over       %.0f MiB, in huge pages if there are any\n\n"
           "| threads |", bamba_probe_cpu(probe), (double)bamba_probe_bytes(probe) / 0x1p20);
    for (int k = 0; k < N_KINDS; k++) printf(" %20s |", kinds[k].title);
    printf("\n| ------: |");
    for (int k = 0; k < N_KINDS; k++) printf(" -------------------: |");
    putchar('\n');
}

static int print_object(const bench_options *o, const bamba_probe *probe, const double median[],
                         const double best[], bool first)
{
    json row = JSON_OBJECT;
    char name[96];

    bench_cpu_name(name);
    json_add_string(&row, "cpu_info", name);
    json_add_int(&row, "n_processors", bench_noise_now().cores);
    json_add_fixed(&row, "cpu_quota", bamba_cpu_quota(), 2);
    for (int i = 0; i < N_CACHES; i++)
        json_add_int(&row, caches[i].name, (int64_t)cache_bytes(i));
    json_add_string(&row, "isa", bamba_probe_cpu(probe));
    json_add_uint(&row, "read_bytes", bamba_probe_bytes(probe));
    json_add_int(&row, "n_threads", bamba_probe_threads(probe));
    for (int k = 0; k < N_KINDS; k++) {
        json_add_fixed(&row, kinds[k].name, median[k], 3);
        snprintf(name, sizeof name, "%s_best", kinds[k].name);
        json_add_fixed(&row, name, best[k], 3);
    }
    return bench_print_object(o, &row, first);
}

/* Prints a row, behind the head if it is the first: median and best of the repetitions, which
   measure all kinds in turn. */
static int measure(const bench_options *o, int n_threads, bool first)
{
    bamba_probe_options po = BAMBA_PROBE_OPTIONS;
    bamba_error err = { BAMBA_OK, "" };
    bamba_probe *probe = NULL;
    double value[N_KINDS][BENCH_REPETITIONS] = { { 0.0 } }, median[N_KINDS], best[N_KINDS];
    const size_t n = (size_t)o->repetitions;

    po.n_threads = n_threads;
    po.pin = o->list[BENCH_PIN].value[0];
    const bamba_status status = bamba_probe_create(&probe, &po, &err);
    if (status != BAMBA_OK) return console_fail_library(status, &err);
    if (first && o->format == BENCH_MD) print_head(probe);
    for (size_t i = 0; i < n && !console_interrupted(); i++)
        for (int k = 0; k < N_KINDS; k++) value[k][i] = bamba_probe_run(probe, kinds[k].limit);
    if (o->format == BENCH_MD) printf("| %7d |", bamba_probe_threads(probe));
    for (int k = 0; k < N_KINDS; k++) {
        char text[48] = "-";
        median[k] = bench_median(value[k], n);
        best[k] = value[k][n - 1];
        if (median[k] > 0.0)
            snprintf(text, sizeof text, "%.1f (best %.1f)", median[k], best[k]);
        if (o->format == BENCH_MD) printf(" %20s |%s", text, k == N_KINDS - 1 ? "\n" : "");
    }
    const int code = o->format == BENCH_MD ? EXIT_SUCCESS
                                           : print_object(o, probe, median, best, first);
    fflush(stdout);
    bamba_probe_free(probe);
    return code;
}

/* One row for each number of threads; for "-t 0" those of one, two, four … all. */
int bench_limits(const bench_options *o)
{
    const bench_list *threads = &o->list[BENCH_THREADS];
    const int all = bamba_cpu_quota() > 0.0 ? bamba_default_threads() : bench_noise_now().cores;
    int code = EXIT_SUCCESS;

    for (size_t i = 0; i < threads->n && threads->largest && code == EXIT_SUCCESS; i++)
        code = measure(o, threads->value[i], i == 0);
    if (!threads->largest) {
        for (int n = 1; n < all && code == EXIT_SUCCESS; n *= 2) code = measure(o, n, n == 1);
        if (code == EXIT_SUCCESS) code = measure(o, all, all == 1);
    }
    bench_print_end(o);
    return console_finish(code);
}
