/* bench.h - measuring speed: what is asked, what is found, who does which part.
 *
 * Owns:    the structs that the bench_*.c share.
 * Not:     what a pass costs (bamba_model_count), what the machine can do (bamba_probe).
 * Errors:  reported where they happen; functions give EXIT_SUCCESS or an exit code.
 */
#ifndef BAMBA_TOOLS_BENCH_H
#define BAMBA_TOOLS_BENCH_H

#include "adapters.h"
#include "args.h"
#include "bamba_measure.h"
#include "json.h"
#include "type_rules.h"

#include <stdio.h>

/* ------------------------------------------------------------- what is asked -------------- */

enum { BENCH_MOST = 256, BENCH_REPETITIONS = 1000 };          /* values of a list, samples */

typedef struct bench_list {
    int    value[BENCH_MOST], largest;    /* [n] */
    size_t n;
} bench_list;

/* Options with lists of values. The settings come first, in the order of their loops; what costs
   most to change is the outermost: the model, then the engine. */
enum {
    BENCH_LOAD, BENCH_TYPE, BENCH_KV, BENCH_STATE,
    BENCH_BATCH, BENCH_UBATCH, BENCH_THREADS, BENCH_PIN,
    BENCH_DEPTH, BENCH_SEQS, BENCH_SETTINGS,
    BENCH_PROMPT = BENCH_SETTINGS, BENCH_GEN, BENCH_GUESS, BENCH_ACCEPT, BENCH_LISTS
};
enum { BENCH_USUAL_BATCH = 2048, BENCH_USUAL_UBATCH = 512 };  /* as llama-bench */
enum { BENCH_OF_MODEL = BENCH_BATCH, BENCH_OF_ENGINE = BENCH_DEPTH }; /* how many concern it */

enum { BENCH_NONE, BENCH_MD, BENCH_JSON, BENCH_JSONL, BENCH_CSV, BENCH_SQL };     /* formats */

typedef struct bench_options {
    bench_list list[BENCH_LISTS];
    bench_list both[2];                   /* prompts, generations that follow them            */
    int        repetitions, delay_s;
    int        format, format_err;        /* of stdout and of stderr                          */
    int64_t    seed;
    int        real_fill;                 /* 0: depths get random values; 1: tokens are fed   */
    bool       ops, wide, progress, no_warmup;
    bool       guesses, adapt;            /* measure guesses; make as many as pay             */
    const char *cpu;
    arg_list   adapter;                   /* for adapters_open                                */
    int        adapter_rank;              /* of an adapter of random numbers; 0: none         */
    arg_list   type_of;                   /* as given, and as the library reads it            */
    type_rules rules;
} bench_options;

/* Choices of BENCH_LOAD: weights of a directory are used in the mapped files, or copied. */
extern const char *const bench_loads[];
enum { BENCH_MAPPED = 1, BENCH_COPIED };

/* Adds the values of "512", "1,2,4", "0-8192+1024" or "1-64*2", each from lo to hi; or of names,
   which become their indices in `words` unless that is NULL. Returns ARGS_READ or an exit code. */
int bench_read_list(const command *self, const char *name, const char *text, int lo, int hi,
                    const char *const *words, bench_list *list);

typedef struct bench_source {
    char name[4096];                      /* of a shape or its file, or as given to -m        */
    char dir[4096];                       /* what that name stands for                        */
    char config[4096];                    /* path of its config.json                          */
    bool is_shape;                        /* gets random weights; a directory has its own     */
} bench_source;

/* Finds a shape, or a directory as the other commands do, by its name [n_bytes]; NULL: the
   embedded model. */
int bench_find(bench_source *s, const char *name, size_t n_bytes, bool is_shape);

/* ------------------------------------------------------------- a model opened ------------- */

typedef struct bench_model {
    const bench_options *options;
    const bench_source  *source;
    int                  setting[BENCH_SETTINGS];
    bamba_model         *model;
    bamba_model_info     info;
    char                 type[64];        /* "hybrid-1b BF16"                                 */
    adapters             adapter;         /* of the sessions                                  */
    bamba_adapter       *random;          /* one of them; NULL                                */
    bamba_engine        *engine;
    bamba_probe         *probe;           /* on as many threads                               */
} bench_model;

/* Reads the configuration alone: refuses what cannot be had, and what does not fit into memory
   with the sessions of all tests. */
int  bench_check(const bench_source *s, const bench_options *o, const int *setting);
/* Opens a model, an engine and a probe; keeps of what *m holds what the setting does not change.
   In any case end with bench_close. */
int  bench_open(bench_model *m, const bench_source *s, const bench_options *o, const int *setting);
void bench_close(bench_model *m);

/* ------------------------------------------------------------- a test --------------------- */

typedef struct bench_test {
    int n_prompt, n_gen, n_depth, n_seqs; /* one of the first two may be 0                    */
} bench_test;

enum { BENCH_OPS = 32 };                  /* more than there are kinds of operations */

/* A test and what it found. */
typedef struct bench_run {
    bench_model     *m;
    bench_test       test;
    char             model_type[96], test_name[96], test_time[32];
    bamba_session  **session;             /* [n_seqs + 1], the last really fed, or NULL       */
    bamba_feed_item *item;                /* [n_seqs]                                         */
    int32_t         *tokens;              /* of the prompts, then step by step                */
    size_t           n, steps;            /* samples; the prompt is a step, then each token   */
    double          *sample_ns, *sample_ts;           /* [n] time; tokens a second            */
    double          *first_ns;            /* [n] until the first logits                       */
    double          *step_ns;             /* [n + 1, steps], the last are of no sample        */
    double          *read, *peak;         /* [n], [2 n] limits: clocks move within a sample   */
    bamba_op        *ops;                 /* [n, BENCH_OPS] of each sample, with the timers on */
    size_t           n_ops;               /* 0 without --ops                                  */
    double          *ops_ns;              /* [n] their sums                                   */
    double           bytes, flops;        /* of a sample, counted                             */
    double           rss_bytes;           /* peak of the process                              */
    char             noise[128];          /* what disturbed the samples; empty: nothing known */
} bench_run;

/* Runs a test. In any case free its results with bench_forget(). */
int  bench_measure(bench_run *r, bench_model *m, const bench_test *t);
void bench_forget(bench_run *r);
double bench_median(double *values, size_t n);        /* sorts them; 0 if there are none      */

/* ------------------------------------------------------------- what disturbs a test ------- */

typedef struct bench_noise {
    double             wall_s;
    unsigned long long busy, stolen, own; /* ticks, of all processors but those of this process */
    unsigned long long throttled;         /* times a quota stopped its control groups         */
    int                cores;             /* that this process may use                        */
} bench_noise;

bench_noise bench_noise_now(void);
/* Writes what has disturbed n_threads threads since `since` as one phrase, or an empty text. */
void bench_noise_explain(const bench_noise *since, int n_threads, char *out, size_t size);

/* Reads the first line of a file that fits a scanf format; returns how many values it gave. */
int bench_scan(const char *path, const char *format, ...) __attribute__((format(scanf, 2, 3)));

/* ------------------------------------------------------------- output --------------------- */

/* Prints a row, behind a head if it is the first; says on stderr why its samples may differ. Sorts
   the numbers of the run. */
int  bench_print_row(bench_run *r, bool first);
void bench_print_end(const bench_options *o);         /* if there was a row                   */
/* The adapters of the models, "DIR=SCALE,rank 64": as given to --adapter, then --adapter-rank.
   Freed by the caller; NULL without memory. */
char *bench_name_adapters(const bench_options *o);
static inline bool bench_has_adapters(const bench_options *o)
{
    return o->adapter.n > 0 || o->adapter_rank > 0;
}
/* Adds it as "adapters". */
void bench_add_adapters(json *row, const bench_options *o);
/* Prints an object to stdout, behind a head if it is the first, not as Markdown; frees it. */
int  bench_print_object(const bench_options *o, json *row, bool first);
void bench_cpu_name(char out[96]);
/* Writes "1.20 GiB" to out and returns it. */
const char *bench_bytes(double bytes, char *out, size_t size);

/* Measures decoding with guesses beside decoding without, and prints a row for each number of
   tokens, number of guesses and share of them that is right. *n_rows: of the table,
   before and after. */
int bench_guesses(bench_model *m, size_t *n_rows);

/* Prints what the machine can do. */
int bench_limits(const bench_options *o);

#endif
