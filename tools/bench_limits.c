/* bench_limits.c - the machine alone: reading, multiply-adds, caches. */
#include "bench.h"

#include "console.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_THREADS = 1024 };

static const struct { const char *name; bamba_limit what; } kinds[] = {
    { "read GB/s", BAMBA_LIMIT_READ },
    { "f32 GFLOP/s", BAMBA_LIMIT_F32 },
    { "bf16 dot GFLOP/s", BAMBA_LIMIT_BF16 },
    { "int8 dot GOP/s", BAMBA_LIMIT_I8 },
};

enum { N_KINDS = sizeof kinds / sizeof *kinds };

static void print_caches(void)
{
    const struct { const char *name; int key; } caches[] = {
        { "L1d", _SC_LEVEL1_DCACHE_SIZE }, { "L2", _SC_LEVEL2_CACHE_SIZE },
        { "L3", _SC_LEVEL3_CACHE_SIZE },
    };
    char text[32];

    printf("caches          ");
    for (size_t i = 0; i < sizeof caches / sizeof *caches; i++) {
        const long size = sysconf(caches[i].key);
        if (size > 0) printf("%s %s  ", caches[i].name, bench_bytes((uint64_t)size, text,
                                                                    sizeof text));
    }
    putchar('\n');
}

/* A row: median and best of the repetitions, kinds in turn. */
static int measure(const bench_options *o, int n_threads, bool first)
{
    bamba_probe_options po = BAMBA_PROBE_OPTIONS;
    bamba_error err = { BAMBA_OK, "" };
    bamba_probe *probe = NULL;
    const size_t n = (size_t)o->repetitions;
    double *value = calloc(n * N_KINDS, sizeof *value);

    if (!value) return console_fail("out of memory");
    po.n_threads = n_threads;
    po.pin = o->pin;
    const bamba_status status = bamba_probe_create(&probe, &po, &err);
    for (size_t i = 0; status == BAMBA_OK && i < n && !console_interrupted(); i++)
        for (size_t k = 0; k < N_KINDS; k++)
            value[k * n + i] = bamba_probe_run(probe, kinds[k].what);
    if (status == BAMBA_OK && first) {
        printf("kernels         %s\nread over       %.0f MiB, in huge pages if there are "
               "any\n\n", bamba_probe_cpu(probe), (double)bamba_probe_bytes(probe) / 0x1p20);
        printf("| threads |");
        for (size_t k = 0; k < N_KINDS; k++) printf(" %20s |", kinds[k].name);
        printf("\n| ------: |");
        for (size_t k = 0; k < N_KINDS; k++) printf(" -------------------: |");
        putchar('\n');
    }
    if (status == BAMBA_OK) {
        printf("| %7d |", bamba_probe_threads(probe));
        for (size_t k = 0; k < N_KINDS; k++) {
            const double median = bench_median(value + k * n, n);
            char text[48] = "-";
            if (median > 0.0)
                snprintf(text, sizeof text, "%.1f (best %.1f)", median, value[k * n + n - 1]);
            printf(" %20s |", text);
        }
        putchar('\n');
        fflush(stdout);
    }
    bamba_probe_free(probe);
    free(value);
    return status == BAMBA_OK ? EXIT_SUCCESS : console_fail_library(status, &err);
}

/* "-t 0" is one thread, two, four … all. */
static int measure_all(const bench_options *o)
{
    const int all = noise_now().cores;
    int code = EXIT_SUCCESS;

    for (int n = 1; n < all && code == EXIT_SUCCESS; n *= 2) code = measure(o, n, n == 1);
    return code == EXIT_SUCCESS ? measure(o, all, all == 1) : code;
}

int bench_limits(const bench_options *o, const command *self)
{
    int code = EXIT_SUCCESS;

    if (o->format != BENCH_MD) return args_wrong(self, "--limits prints a table: -o md");
    print_caches();
    if (o->threads.n == 1 && o->threads.value[0] == 0) code = measure_all(o);
    for (size_t i = 0; i < o->threads.n && o->threads.value[0] && code == EXIT_SUCCESS; i++)
        code = measure(o, o->threads.value[i], i == 0);
    return console_finish(code);
}
