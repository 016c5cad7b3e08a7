/* bench_limits.c - the machine alone: reading, multiply-adds, caches. */
#include "bench.h"

#include "console.h"

#include <stdlib.h>
#include <unistd.h>

/* The columns; a probe gives 0 if the processor has no such instruction. */
static const bamba_limit kinds[] = {
    BAMBA_LIMIT_READ, BAMBA_LIMIT_F32, BAMBA_LIMIT_BF16, BAMBA_LIMIT_I8
};

enum { N_KINDS = sizeof kinds / sizeof *kinds };

static const char head[] =
    "| threads |            read GB/s |          f32 GFLOP/s |     bf16 dot GFLOP/s |"
    "       int8 dot GOP/s |\n"
    "| ------: | -------------------: | -------------------: | -------------------: |"
    " -------------------: |\n";

static void print_caches(void)
{
    static const char *const names[] = { "L1d", "L2", "L3" };
    static const int keys[] = {
        _SC_LEVEL1_DCACHE_SIZE, _SC_LEVEL2_CACHE_SIZE, _SC_LEVEL3_CACHE_SIZE
    };
    char text[32];

    printf("caches          ");
    for (int i = 0; i < 3; i++) {
        const double size = (double)sysconf(keys[i]);
        if (size > 0.0) printf("%s %s  ", names[i], bench_bytes(size, text, sizeof text));
    }
    putchar('\n');
}

static void print_threads(void)
{
    const double quota = bamba_cpu_quota();

    printf("threads         %d by default", bamba_default_threads());
    if (quota > 0.0) printf(", by a processor quota of %g", quota);
    putchar('\n');
}

/* Prints a row, behind the head if it is the first: median and best of the repetitions, which
   measure all kinds in turn. */
static int measure(const bench_options *o, int n_threads, bool first)
{
    bamba_probe_options po = BAMBA_PROBE_OPTIONS;
    bamba_error err = { BAMBA_OK, "" };
    bamba_probe *probe = NULL;
    double value[N_KINDS][BENCH_REPETITIONS] = { { 0.0 } };
    const size_t n = (size_t)o->repetitions;

    po.n_threads = n_threads;
    po.pin = o->pin;
    const bamba_status status = bamba_probe_create(&probe, &po, &err);
    if (status != BAMBA_OK) return console_fail_library(status, &err);
    if (first)
        printf("kernels         %s\nread over       %.0f MiB, in huge pages if there are any\n\n"
               "%s", bamba_probe_cpu(probe), (double)bamba_probe_bytes(probe) / 0x1p20, head);
    for (size_t i = 0; i < n && !console_interrupted(); i++)
        for (size_t k = 0; k < N_KINDS; k++) value[k][i] = bamba_probe_run(probe, kinds[k]);
    printf("| %7d |", bamba_probe_threads(probe));
    for (size_t k = 0; k < N_KINDS; k++) {
        const double median = bench_median(value[k], n);
        char text[48] = "-";
        if (median > 0.0)
            snprintf(text, sizeof text, "%.1f (best %.1f)", median, value[k][n - 1]);
        printf(" %20s |", text);
    }
    putchar('\n');
    fflush(stdout);
    bamba_probe_free(probe);
    return EXIT_SUCCESS;
}

/* One row for each number of threads; for "-t 0" those of one, two, four … all, or of as many as
   the quota allows. */
int bench_limits(const bench_options *o, const command *self)
{
    const int all = bamba_cpu_quota() > 0.0 ? bamba_default_threads() : noise_now().cores;
    int code = EXIT_SUCCESS;

    if (o->format != BENCH_MD) return args_wrong(self, "--limits prints a table: -o md");
    print_caches();
    print_threads();
    for (size_t i = 0; i < o->threads.n && o->threads.largest && code == EXIT_SUCCESS; i++)
        code = measure(o, o->threads.value[i], i == 0);
    if (o->threads.largest) return console_finish(code);
    for (int n = 1; n < all && code == EXIT_SUCCESS; n *= 2) code = measure(o, n, n == 1);
    if (code == EXIT_SUCCESS) code = measure(o, all, all == 1);
    return console_finish(code);
}
