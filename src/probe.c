/* probe.c - what the machine itself can do, measured now: the yardstick of every speed. */
#include "bamba_measure.h"

#include "base/options.h"
#include "base/system.h"
#include "base/team.h"
#include "base/threads.h"
#include "kernels.h"

#include <string.h>

enum { TILE = 4 << 20 };                  /* bytes a thread reads at a time */
enum { LEAST_NS = 20000000 };             /* a peak loop runs this long */
enum { TRIAL_ROUNDS = 4096 };
enum { MOST_THREADS = 1024 };

struct bamba_probe {
    bb_allocator alloc;
    bb_kernels   kernels;                 /* of the best level, whatever a model uses */
    bb_team     *team;
    void        *buffer;
    size_t       n_bytes;
    long         rounds[BB_N_PEAKS];      /* that take LEAST_NS */
};

static const size_t DEFAULT_BYTES = (size_t)1 << 30;

bamba_status bamba_probe_create(bamba_probe **out, const bamba_probe_options *options,
                                bamba_error *err)
{
    bamba_probe_options o = BAMBA_PROBE_OPTIONS;
    bb_status           status = BAMBA_OK;
    bamba_probe        *p = NULL;
    bb_allocator        a;

    if (!out) return bb_fail(err, BAMBA_ERR_ARGUMENT, "probe: out is NULL");
    *out = NULL;
    BB_TRY(bb_read_options(&o, sizeof o, sizeof o, options, "probe options", err));
    BB_TRY(bb_allocator_resolve(&a, &o.allocator, err));
    if (o.n_threads == 0) o.n_threads = bb_threads_default();
    if (o.n_threads < 1 || o.n_threads > MOST_THREADS) {
        status = bb_fail(err, BAMBA_ERR_ARGUMENT,
                         "probe: expected n_threads from 0 to %d, found %d", MOST_THREADS,
                         o.n_threads);
        goto done;
    }
    if (o.read_bytes == 0) {
        const uint64_t quarter = bb_system_memory() / 4;
        o.read_bytes = quarter < DEFAULT_BYTES ? (size_t)quarter : DEFAULT_BYTES;
    }
    o.read_bytes = o.read_bytes / 64 * 64;
    BB_TRY(bb_system_check_memory("probe", o.read_bytes, err));

    p = bb_new(&a, 1, sizeof *p);
    if (!p) {
        status = bb_fail(err, BAMBA_ERR_MEMORY, "probe: out of memory");
        goto done;
    }
    p->alloc = a;
    p->n_bytes = o.read_bytes;
    bb_kernels_init(&p->kernels, bb_cpu_detect());
    p->buffer = bb_allocate(&a, p->n_bytes, 1);
    if (!p->buffer) {
        status = bb_fail(err, BAMBA_ERR_MEMORY, "probe: out of memory");
        goto done;
    }
    BB_TRY(bb_team_create(&p->team, &a, o.n_threads, o.pin != 0, err));
    bb_advise_huge(&a, p->buffer, p->n_bytes);
    memset(p->buffer, 1, p->n_bytes);     /* pages that nobody wrote are one page of zeros */
    *out = p;
    p = NULL;
done:
    bamba_probe_free(p);
    return status;
}

void bamba_probe_free(bamba_probe *p)
{
    if (!p) return;
    const bb_allocator a = p->alloc;
    bb_team_free(p->team);
    bb_release(&a, p->buffer);
    bb_release(&a, p);
}

int bamba_probe_threads(const bamba_probe *p) { return p ? bb_team_size(p->team) : 0; }

uint64_t bamba_probe_bytes(const bamba_probe *p) { return p ? p->n_bytes : 0; }

const char *bamba_probe_cpu(const bamba_probe *p) { return p ? p->kernels.name : ""; }

/* -------------------------------------------------------------- reading ------------------ */

typedef struct reading {
    const bamba_probe   *p;
    const unsigned char *data;
    size_t               n_bytes;
} reading;

static void read_tiles(void *context, int thread, int tile, int end)
{
    const reading    *r = context;
    volatile uint64_t sum = 0;

    (void)thread;
    for (; tile < end; tile++) {
        const size_t first = (size_t)tile * TILE;
        const size_t n = r->n_bytes - first < TILE ? r->n_bytes - first : TILE;
        sum = sum + r->p->kernels.read(n, r->data + first);
    }
}

static void read_all(void *context, int thread)
{
    const reading *r = context;
    bb_team_stage(r->p->team, thread, (int)((r->n_bytes + TILE - 1) / TILE), read_tiles, context);
}

double bamba_probe_read(bamba_probe *p, const void *data, size_t n_bytes)
{
    if (!p || !data || n_bytes < 64) return 0.0;

    reading        r = { p, data, n_bytes / 64 * 64 };
    const uint64_t start = bb_system_now_ns();
    bb_team_run(p->team, read_all, &r);
    return (double)r.n_bytes / (double)(bb_system_now_ns() - start);
}

/* -------------------------------------------------------------- arithmetic --------------- */

typedef struct computing {
    bb_team    *team;
    bb_peak_fn *run;
    long        rounds;
    double      operations[MOST_THREADS]; /* by tile; there are as many as threads */
} computing;

static void compute_tiles(void *context, int thread, int tile, int end)
{
    computing *c = context;

    (void)thread;
    for (; tile < end; tile++) {
        float          sum = 0.0f;
        volatile float sink;
        c->operations[tile] = c->run(c->rounds, &sum);
        sink = sum;
        (void)sink;
    }
}

static void compute(void *context, int thread)
{
    computing *c = context;
    bb_team_stage(c->team, thread, bb_team_size(c->team), compute_tiles, c);
}

/* Rounds that fill LEAST_NS on a thread left alone: by the fastest of several short runs, since
   in any of them the processor may be taken away. */
static long find_rounds(bb_peak_fn *run)
{
    uint64_t best = UINT64_MAX;
    float    sum = 0.0f;

    for (int i = 0; i < 8; i++) {
        const uint64_t start = bb_system_now_ns();
        run(TRIAL_ROUNDS, &sum);
        const uint64_t ns = bb_system_now_ns() - start;
        if (ns < best) best = ns;
    }
    return TRIAL_ROUNDS * (long)(LEAST_NS / (best ? best : 1) + 1);
}

/* Operations a nanosecond. */
static double run_peak(bamba_probe *p, int peak)
{
    computing c = { .team = p->team, .run = p->kernels.peak[peak] };
    double    all = 0.0;

    if (!c.run) return 0.0;
    if (p->rounds[peak] == 0) p->rounds[peak] = find_rounds(c.run);
    c.rounds = p->rounds[peak];

    const uint64_t start = bb_system_now_ns();
    bb_team_run(p->team, compute, &c);
    const uint64_t ns = bb_system_now_ns() - start;
    for (int i = 0; i < bb_team_size(p->team); i++) all += c.operations[i];
    return ns ? all / (double)ns : 0.0;
}

double bamba_probe_run(bamba_probe *p, bamba_limit what)
{
    if (!p) return 0.0;
    switch (what) {
    case BAMBA_LIMIT_READ: return bamba_probe_read(p, p->buffer, p->n_bytes);
    case BAMBA_LIMIT_F32:  return run_peak(p, BB_PEAK_F32);
    case BAMBA_LIMIT_BF16: return run_peak(p, BB_PEAK_BF16);
    case BAMBA_LIMIT_I8:   return run_peak(p, BB_PEAK_I8);
    }
    return 0.0;
}
