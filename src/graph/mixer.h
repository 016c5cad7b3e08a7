/* mixer.h - what blocks are made of: mixers, and their uses.
 *
 * Owns:    the verbs that every kind of mixer has; blocks, which use mixers.
 * Not:     how a kind computes (mixer/), which blocks a model has (plan.h), running (pass.h).
 */
#ifndef BB_GRAPH_MIXER_H
#define BB_GRAPH_MIXER_H

#include "base/printer.h"
#include "graph/pass.h"

enum { BB_MAX_NAME = 160 };               /* bytes of a tensor's name in a plan, with its NUL */
enum { BB_MIXER_OPS = 8 };                /* most kinds of operation of one kind of mixer */
enum { BB_MIXER_PARTS = 3 };              /* most arrays of what one use remembers */

/* An array of a saved state or cache. */
typedef struct bb_part {
    const char *name;                     /* "window" */
    bb_type     type;
    size_t      dim[3];                   /* ends with 0 if there are fewer; all 0: empty */
} bb_part;

struct bb_mixer;
struct bb_binder;
struct bb_work;

/* What a mixer is run on: rows in, rows out, and which slot of each segment is this use's. */
typedef struct bb_call {
    bb_source in;
    bb_sink   out;
    int       slot;                       /* -1: the kind remembers nothing */
    int       nth;                        /* of the mixer's uses, from 0: each may have weights */
} bb_call;

/* Verbs may be NULL where the comment says what that means. */
typedef struct bb_mixer_kind {
    const char *name;                                               /* "mamba2" */
    const char *op_name[BB_MIXER_OPS + 1];                          /* "in_proj", …, NULL */
    void   (*bind)(struct bb_mixer *m, struct bb_binder *b);        /* name the weights */
    void   (*print)(const struct bb_mixer *m, bb_printer *p);
    /* Scratch for T rows on n_threads threads; SIZE_MAX if that cannot be counted. */
    size_t (*scratch_bytes)(const struct bb_mixer *m, int T, int n_threads);
    /* Run by all threads together: c->out takes what the mixer makes of c->in. */
    void   (*forward)(const struct bb_mixer *m, const bb_exec *e, const bb_call *c);
    /* Whether some of the output may be written before all threads have read the input: then the
       input must not be made from what is written. */
    bool   writes_early;
    /* count [of all operations of the graph, by m->op] grows by what a pass costs here. */
    void   (*count)(const struct bb_mixer *m, const struct bb_work *w, bb_count *count);

    /* Memory of one use in one session. state: constant in size, zero in an empty session. page: of
       BB_KV_BLOCK positions, in the model's kv type. NULL: none. */
    size_t (*state_bytes)(const struct bb_mixer *m);
    size_t (*page_bytes)(const struct bb_mixer *m);
    /* A state, and the cache's positions first … end - 1, in canonical order, whatever their layout
       in memory: for files, and for tests. out and in: saved_bytes of so many positions, at least
       4-byte aligned. load with state NULL passes the state over. */
    size_t (*saved_bytes)(const struct bb_mixer *m, size_t n_positions);
    /* The arrays it consists of, one behind the other; returns how many. */
    int    (*parts)(const struct bb_mixer *m, size_t n_positions, bb_part part[BB_MIXER_PARTS]);
    void   (*save)(const struct bb_mixer *m, const bb_kernels *k, const void *state,
                   const bb_pages *cache, size_t first, size_t end, void *out, float *scratch);
    void   (*load)(const struct bb_mixer *m, const bb_kernels *k, const void *in,
                   size_t first, size_t end, void *state, const bb_pages *cache, float *scratch);
    /* Rebuild the state that n rows from position pos on leave behind from the state before them
       and their log, without a product: the bits that the pass made. is_part_of_long: of a segment
       of more than BB_FEW_ROWS rows; then pos is the segment's first or a multiple of BB_EDGE. from
       and to may be the same. NULL: the kind has no state that cannot be cut back. */
    size_t (*log_floats)(const struct bb_mixer *m);                 /* of one row */
    void   (*replay)(const struct bb_mixer *m, const bb_kernels *k, const float *log,
                     int pos, int n, bool is_part_of_long, const void *from, void *to,
                     float *scratch);
    /* Whether what it remembers depends on the length that a session was made for. NULL: no. */
    bool   (*minds_length)(const struct bb_mixer *m);
    /* Random numbers as state and cache of n_positions, for measuring. */
    void   (*fill)(const struct bb_mixer *m, const bb_kernels *k, uint64_t seed, size_t n_positions,
                   void *state, const bb_pages *cache, float *scratch);
    size_t (*scratch_floats)(const struct bb_mixer *m);   /* of save, load, replay and fill */
} bb_mixer_kind;

typedef struct bb_mixer {
    const bb_mixer_kind *kind;
    char                 prefix[BB_MAX_NAME];         /* "model.layers.3.mamba." */
    int                  op[BB_MIXER_OPS];            /* numbers of its operations in the graph */
    int                  bound_in;                    /* bind.c: the last pass that bound it; 0 */
    int                  n_uses;                      /* so far, while planning; then all */
    size_t               n_layer;                     /* bytes of the prefix that are the layer's */
    int                  linear, n_linears;           /* ids of its linear maps: n_linears from
                                                         `linear` on for its first use, as many
                                                         behind them for each later one */
} bb_mixer;

typedef struct bb_use {                   /* a mixer in its place in a block */
    bb_mixer *mixer;                      /* the graph's: several uses may share one */
    int       slot;                       /* what this use remembers; -1: nothing */
    int       nth;                        /* of the mixer's uses */
    float     alpha;                      /* factor of its output */
} bb_use;

enum { BB_MAX_USES = 2 };

/* Beside the residual stream there is a side stream, which the blocks of one layer pass on. */
typedef enum bb_input {
    BB_INPUT_STREAM,                      /* [T, D] */
    BB_INPUT_BESIDE_EMBEDDING,            /* [T, 2D]: the stream, then the token's embedding */
    BB_INPUT_SIDE,                        /* [T, D]: the side stream */
    BB_INPUT_JOINED                       /* [T, D]: the sum of the two streams */
} bb_input;

typedef struct bb_block {                 /* x += Σ alpha · mixer(norm(input)) */
    char         prefix[BB_MAX_NAME];     /* of its layer; "" */
    char         norm_name[BB_MAX_NAME];  /* "": there is no norm */
    const float *norm;                    /* [D or 2D]; NULL: none */
    bb_input     input;
    bool         to_side;                 /* the sum becomes the side stream, and x stays */
    int          layer;                   /* that it belongs to */
    int          n_uses;
    bb_use       use[BB_MAX_USES];
} bb_block;

#endif
