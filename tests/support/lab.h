/* lab.h - one mixer on a bench: random weights, threads, exactly its scratch, its own states.
 *
 * Owns:    a graph of one block bound to a checkpoint written for it; sessions with random
 *          input rows; running scripts of calls; a generator; stored weights as doubles.
 * Not:     what a mixer should answer (the tests).
 * Errors:  abort(), as in tempdir.h; a leak counts as one.
 *
 * Scratch, panels and the parts of a state that should not matter are filled with NaNs. Between
 * calls what is remembered moves elsewhere: by the bytes that its position is said to need, or
 * saved and loaded, in turn.
 */
#ifndef SUPPORT_LAB_H
#define SUPPORT_LAB_H

#include "graph/bind.h"

#include "support/fault.h"
#include "support/store.h"

enum { LAB_SESSIONS = 8 };

#define LAB_STREAM 0.5f                   /* every element of e->x before a call */

typedef struct lab_session {
    int    n_rows;
    float *h;                             /* [n_rows, D] input                   */
    float *x;                             /* [n_rows, D] LAB_STREAM + output     */
    bb_slot slot;                         /* what the mixer remembers */
    int    current;                       /* which of its states stands */
    float *log;                           /* [n_rows, kind->log_floats] or NULL: the test's */
    int    pos;                           /* rows absorbed by the running script */
} lab_session;

typedef struct lab {
    bb_kernels     kernels;
    fault          memory;
    bb_allocator   alloc;
    bb_plan        plan;                  /* until lab_bind open for one mixer */
    bb_graph      *graph;
    bb_checkpoint *checkpoint;
    char          *dir;
    void          *weights;
    bb_bind_stats  stats;
    int            n_sessions;
    int            window, sink;          /* of all sessions, as in bb_segment */
    lab_session    session[LAB_SESSIONS];
} lab;

/* Of the level BAMBA_CPU, else the best. Without that level the test is skipped: exit(77). */
bb_kernels lab_kernels(void);

/* Start a graph of d_model columns; the test then plans its mixer in &l->plan and gives it to
   lab_use. */
void lab_begin(lab *l, int d_model, bb_type kv_type);
void lab_use(lab *l, bb_mixer *m);
/* Write *s with the few tensors the rest of the graph wants, and bind to it. */
void lab_bind(lab *l, store *s);
void lab_close(lab *l);

/* A session with n_rows random rows of input. */
void lab_add_session(lab *l, int n_rows, uint64_t *seed);

/* Calls take turns to run in place and from one of a slot's states to the other.
   From empty states, one forward call a line of script [n_calls, n_sessions]: how many rows of
   each session it brings, none if 0. Their order in the batch changes with each call. */
void lab_run(lab *l, int n_threads, const int *script, int n_calls);

/* Pages for n_positions of a mixer, all NaN, each in memory of its own; freed by lab_free_pages. */
bb_pages lab_make_pages(const bb_mixer *m, size_t n_positions);
void lab_free_pages(bb_pages *pages);

/* Largest |output - expected| of the rows a session has absorbed, as a share of the largest
   |expected|; expected [n_rows, D]. Infinite if anything is NaN. */
double lab_error(const lab *l, int session, const double *expected);

/* What lab_error may be where it is `strict` with float32 operands: more at levels that round
   the rows before they meet weights of this type. */
double lab_bound(const lab *l, bb_type type, double strict);

/* What a session remembers, in canonical order: kind->saved_bytes of its position. */
void lab_save(const lab *l, int session, void *out);
/* Outputs and what is remembered of all sessions as bytes, freed by the caller. */
unsigned char *lab_bits(const lab *l, size_t *n_bytes);
/* Whether another run ends with just these. */
bool lab_repeats(lab *l, int n_threads, const int *script, int n_calls,
                 const unsigned char *bits, size_t n_bytes);

/* Whether runs of a script with 1, 2 and 3 threads end with the same bits. */
bool lab_scales(lab *l, const int *script, int n_calls);
/* Whether a run of `second` with 2 threads ends with the bits of a run of `first` with one. */
bool lab_agrees(lab *l, const int *first, int n_first, const int *second, int n_second);

/* body(e, context) on each thread of a team, with room for products of up to widest columns. k, T,
   many, x, scratch and segments of the pass are the caller's. */
void lab_team(const bb_pass *shared, int n_threads, int widest,
              void (*body)(const bb_exec *e, void *context), void *context);

/* -------------------------------------------------------------- numbers ------------------ */

double lab_uniform(uint64_t *seed);       /* [0, 1) */
double lab_normal(uint64_t *seed);        /* mean 0, variance 1, bounded by 3.5 */

/* Append a tensor of mean + scale · normal. dim ends with 0. */
void lab_add(store *s, const char *name, const char *dtype, double mean, double scale,
             uint64_t *seed, const int *dim);

/* The stored numbers of a tensor, exactly; freed by the caller. */
double *lab_values(const store *s, const char *name);

/* y [rows] = w [rows, cols] · x + b; b may be NULL. */
void lab_multiply(const double *w, const double *b, int rows, int cols, const double *x,
                  double *y);

/* x [n] in double; freed by the caller. */
double *lab_doubles(const float *x, size_t n);

double lab_bf16(uint16_t bits);
double lab_f16(uint16_t bits);

/* Nearest value of a type BB_TYPE_…, through the tests' own rounding. */
double lab_round(int type, double x);
/* The same of a key or value x [n]: BB_TYPE_Q8 has one scale for all. */
void lab_round_row(int type, int n, double *x);

/* Name of a type as safetensors has it. */
const char *lab_dtype(int type);

#endif
