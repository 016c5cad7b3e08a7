/* bench.h - measuring speed: what is asked, what is found, who does which part.
 *
 * Owns:    the structs that the bench_*.c share.
 * Not:     what a pass costs (bamba_model_count), what the machine can do (bamba_probe).
 * Errors:  reported where they happen; functions give EXIT_SUCCESS or an exit code.
 */
#ifndef BAMBA_TOOLS_BENCH_H
#define BAMBA_TOOLS_BENCH_H

#include "args.h"
#include "bamba_measure.h"
#include "noise.h"

#include <stdio.h>

/* ------------------------------------------------------------- lists ---------------------- */

enum { BENCH_MOST = 256 };                /* values of a list */

typedef struct bench_list {
    int    value[BENCH_MOST];
    size_t n;
} bench_list;

/* "512", "1,2,4", "0-8192+1024", "1-64*2", each from lo to hi. ARGS_READ or an exit code. */
int bench_read_list(const command *self, const char *name, const char *text, int lo, int hi,
                    bench_list *list);
/* The same of names: each becomes its index in words. */
int bench_read_words(const command *self, const char *name, const char *text,
                     const char *const *words, bench_list *list);

/* ------------------------------------------------------------- what is asked -------------- */

typedef enum bench_format {
    BENCH_MD, BENCH_CSV, BENCH_JSON, BENCH_JSONL, BENCH_SQL
} bench_format;

typedef struct bench_options {
    bench_list prompts, generated, depths, sequences, threads;
    bench_list types, kv_types;           /* bamba_type                                       */
    int        repetitions, n_batch;
    int        format;                    /* bench_format                                     */
    int64_t    seed;
    int        real_fill;                 /* 0 synthetic, 1 tokens are fed                    */
    int        copy;                      /* 0 weights in place, 1 copied                     */
    bool       ops, pin, progress;
    const char *cpu;
} bench_options;

/* A shape or a checkpoint. */
typedef struct bench_source {
    const char *name;                     /* "hybrid-1b", or the directory                    */
    char        config[4096];             /* its config.json                                  */
    bool        is_shape;                 /* random weights                                   */
} bench_source;

/* Finds the file of a shape by name. */
int bench_find_shape(bench_source *s, const char *name);
int bench_find_checkpoint(bench_source *s, const char *dir);

/* ------------------------------------------------------------- a model opened ------------- */

typedef struct bench_model {
    const bench_source *source;
    bamba_model        *model;
    bamba_model_info    info;
    char                type[64];         /* "hybrid-1b BF16"                                 */
} bench_model;

/* From the configuration alone: refuses what cannot be had, and what does not fit into memory
   with the sessions of all tests. */
int  bench_check(const bench_source *s, const bench_options *o, int type, int kv_type);
int  bench_open(bench_model *m, const bench_source *s, const bench_options *o, int type,
                int kv_type, int n_threads);
void bench_close(bench_model *m);

/* GB/s of reading the mapped files of a checkpoint once; 0 if it has none. */
double bench_read_mapped(bamba_probe *probe, const bench_source *s);

/* ------------------------------------------------------------- a test --------------------- */

typedef struct bench_test {
    int n_prompt, n_gen, n_depth, n_seqs;             /* one of the first two is 0            */
} bench_test;

enum { BENCH_OPS = 32 };                  /* more than there are kinds */

/* What is found. Names of the fields: bench_print.c. */
typedef struct bench_row {
    const bench_model *model;
    bench_test         test;
    char               model_type[96], test_name[64], test_time[32];
    int                n_threads, n_batch, n_samples;
    uint64_t          *samples_ns;        /* [n_samples] free() it                            */
    double             avg_ns, stddev_ns, avg_ts, stddev_ts;
    double             avg_gbs, stream_gbs, pct_stream, mapped_gbs;
    double             avg_gflops, peak_gflops, pct_peak;
    uint64_t           ttft_ns, p50_ns, p95_ns, p99_ns;
    uint64_t           state_bytes, kv_bytes, rss_bytes;
    uint64_t           bytes, flops;      /* of a sample                                      */
    char               noise[160];        /* why the samples may differ; empty: they do not   */
    bamba_op           ops[BENCH_OPS];
    size_t             n_ops;             /* 0: not asked                                     */
    double             ops_ns;            /* the same work with the timers off                */
} bench_row;

/* What all tests of a model on a number of threads share. */
typedef struct bench_engine {
    const bench_options *options;
    const bench_model   *model;
    bamba_engine        *engine;
    bamba_probe         *probe;
    double               mapped_gbs;
} bench_engine;

int  bench_start(bench_engine *e, const bench_options *o, const bench_model *m, int n_threads);
void bench_stop(bench_engine *e);
int  bench_measure(bench_engine *e, const bench_test *t, bench_row *row);

/* A session for each sequence, at the depth, with room for n more tokens. */
typedef struct bench_sessions {
    bamba_session   **session;            /* [n] */
    bamba_feed_item  *item;               /* [n] */
    size_t            n;
} bench_sessions;

int    bench_open_sessions(bench_engine *e, bench_sessions *s, int n_seqs, size_t n_context);
void   bench_close_sessions(bench_sessions *s);
/* All to the depth; real: through the engine. */
int    bench_fill(bench_engine *e, bench_sessions *s, size_t depth, bool real);
/* Feed n tokens to each; *ns is the time it took. */
int    bench_feed(bench_engine *e, bench_sessions *s, const int32_t *tokens, size_t n,
                  uint64_t *ns);
/* n ids below n_vocab by a seed; NULL without memory. free() it. */
int32_t *bench_tokens(size_t n, int n_vocab, uint64_t seed);
double   bench_median(double *values, size_t n);      /* sorts them */

/* ------------------------------------------------------------- output --------------------- */

void bench_print_begin(const bench_options *o);
void bench_print_row(const bench_options *o, const bench_row *row);
void bench_print_end(const bench_options *o);
void bench_print_ops(const bench_row *row);           /* a table */
const char *bench_bytes(uint64_t bytes, char *out, size_t size);      /* "1.2 GiB" */

int bench_limits(const bench_options *o, const command *self);

/* Step times of two shapes, integrated over whole texts, as CSV and a picture. */
typedef enum bench_figure_kind {
    BENCH_NO_FIGURE, BENCH_THROUGHPUT, BENCH_LATENCY
} bench_figure_kind;
int bench_figure(const bench_options *o, const bench_source *pair, int kind, const char *path);

#endif
