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

enum { BENCH_MOST = 256, BENCH_REPETITIONS = 1000 };          /* values of a list, samples */

typedef struct bench_list {
    int    value[BENCH_MOST], largest;    /* [n] */
    size_t n;
} bench_list;

/* Reads "512", "1,2,4", "0-8192+1024" or "1-64*2", each value from lo to hi; or names, which become
   their indices in `words` unless that is NULL. Returns ARGS_READ or an exit code. */
int bench_read_list(const command *self, const char *name, const char *text, int lo, int hi,
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
    int        real_fill;                 /* 0: depths get random values; 1: tokens are fed   */
    int        copy;                      /* 0: weights used in the mapped files; 1: copied   */
    bool       ops, pin, progress;
    const char *cpu;
} bench_options;

typedef struct bench_source {
    char name[4096];                      /* of a shape or its file; or a directory           */
    char config[4096];                    /* path of its config.json                          */
    bool is_shape;                        /* gets random weights; a directory has its own     */
} bench_source;

/* Finds the configuration of a shape or directory by its name [n_bytes]. */
int bench_find(bench_source *s, const char *name, size_t n_bytes, bool is_shape);

/* ------------------------------------------------------------- a model opened ------------- */

typedef struct bench_model {
    const bench_options *options;
    const bench_source  *source;
    bamba_model         *model;
    bamba_model_info     info;
    char                 type[64];        /* "hybrid-1b BF16"                                 */
    bamba_engine        *engine;
    bamba_probe         *probe;           /* on as many threads                               */
    double               mapped_gbs;      /* of reading the mapped files once; 0 for a shape  */
} bench_model;

/* Reads the configuration alone: refuses what cannot be had, and what does not fit into memory
   with the sessions of all tests, or alone if `with_sessions` is false. *weights, unless NULL, is
   the size of the weights in bytes, mapped or not. */
int  bench_check(const bench_source *s, const bench_options *o, int type, int kv_type,
                 bool with_sessions, uint64_t *weights);
/* Opens a model; a test also needs bench_start, again for each number of threads. In any case end
   with bench_close. */
int  bench_open(bench_model *m, const bench_source *s, const bench_options *o, int type,
                int kv_type);
int  bench_start(bench_model *m, int n_threads);
void bench_close(bench_model *m);

/* ------------------------------------------------------------- a test --------------------- */

typedef struct bench_test {
    int n_prompt, n_gen, n_depth, n_seqs;             /* one of the first two is 0            */
} bench_test;

typedef struct bench_cost {
    double ns, bytes, flops;
} bench_cost;

enum { BENCH_OPS = 32 };                  /* more than there are kinds of operations */

/* A test and what it found. */
typedef struct bench_run {
    bench_model     *m;
    bench_test       test;
    char             model_type[96], test_name[64], test_time[32];
    bamba_session  **session;             /* [n_seqs + 1], the last really fed, or NULL       */
    bamba_feed_item *item;                /* [n_seqs]                                         */
    int32_t         *tokens;              /* [steps, n_seqs, per_step]                        */
    size_t           n, steps, per_step;  /* n samples                                        */
    double          *sample_ns, *sample_ts;           /* [n] time; tokens a second            */
    double          *first_ns;            /* [n] until the first logits                       */
    double          *step_ns;             /* [n + 1, steps], the last are of no sample        */
    double          *read, *peak;         /* [n], [2 n] limits: clocks move within a sample   */
    bamba_op        *ops;                 /* [n, BENCH_OPS] of each sample, with the timers on */
    size_t           n_ops;               /* 0 without --ops                                  */
    double          *ops_ns;              /* [n] their sums                                   */
    bench_cost       cost;                /* of a sample; ns is not set                       */
    double           rss_bytes;
    char             noise[128];          /* what disturbed the samples; empty: nothing known */
} bench_run;

/* Runs a test. In any case free its results with bench_forget(). */
int  bench_measure(bench_run *r, bench_model *m, const bench_test *t);
void bench_forget(bench_run *r);
/* Adds to *c what a pass over n_tokens of each of n_seqs sequences at `depth` costs. */
void bench_count(const bamba_model *m, size_t n_seqs, size_t n_tokens, size_t depth,
                 size_t n_logits, bench_cost *c);
double bench_median(double *values, size_t n);        /* sorts them; 0 if there are none      */

/* ------------------------------------------------------------- output --------------------- */

/* Prints a row, behind a head if it is the first; says on stderr why its samples may differ. Sorts
   the numbers of the run. */
void bench_print_row(bench_run *r, bool first);
void bench_print_end(const bench_options *o);         /* if there was a row                   */
/* Writes text between two quotes of a kind, which are doubled inside. */
void bench_put_quoted(FILE *to, const char *text, char quote);
/* Writes "1.20 GiB" to out and returns it. */
const char *bench_bytes(double bytes, char *out, size_t size);

/* Prints what the machine can do. */
int bench_limits(const bench_options *o, const command *self);

/* Compares two models over whole texts, as CSV and a picture. */
typedef enum bench_figure_kind {
    BENCH_NO_FIGURE, BENCH_THROUGHPUT, BENCH_LATENCY
} bench_figure_kind;
int bench_figure(const bench_options *o, const bench_source *pair, int kind, const char *path);

#endif
