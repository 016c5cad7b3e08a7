/* mixer.h - what a block is made of, and everything a mixer may touch while running.
 *
 * Owns:    the verbs every kind of mixer has; the shared state of one forward pass.
 * Not:     how a kind computes (mixer/), which blocks a model has (plan.h).
 */
#ifndef BB_GRAPH_MIXER_H
#define BB_GRAPH_MIXER_H

#include "base/arena.h"
#include "base/printer.h"
#include "base/team.h"
#include "graph/profile.h"
#include "kernels.h"

typedef struct bb_segment {               /* consecutive tokens of one session                   */
    void **state;                         /* [n_slots] what each stateful mixer remembers        */
    int    row, n_rows;                   /* its rows of the batch                               */
    int    pos;                           /* tokens the session has absorbed                     */
    int    length;                        /* positions it is made for: scales rotary angles      */
} bb_segment;

struct bb_exec;

/* Rows that products read: in memory, or made one by one when a thread needs them. */
typedef struct bb_rows {
    const float *x;                       /* [T, cols] row stride ld; NULL: make them */
    size_t       ld;
    void       (*make)(const struct bb_exec *e, const void *job, int t, float *row);
    const void  *job;
    bb_op        op;                      /* whose time making them is */
} bb_rows;

/* One thread's view of a forward pass. Everything is the same for all but what is this thread's. */
typedef struct bb_exec {
    const bb_kernels *k;
    bb_team          *team;
    int               thread, n_threads;
    bb_arena          scratch;            /* by value: every mixer starts from the same mark     */
    float            *x;                  /* [T, D] residual stream */
    float            *normed;             /* [T, D] norm(x) for blocks of several mixers */
    bb_rows           h;                  /* [T, D] norm(x) of this block: what its mixers read */
    void             *panel;              /* this thread's: weights and sums of many rows (product.c) */
    float            *own_rows;           /* [few rows, widest] this thread's, when rows are made */
    float            *arranged;           /* [few rows, bb_own_width(widest)] as kernels want them */
    float            *own_tiles;          /* this thread's: tiles of a product before all see them */
    float            *packed;             /* all threads': many rows as kernels want them */
    uint16_t         *packed_rounded;     /* and rounded; NULL where no kernel wants that */
    const bb_segment *segment;            /* [n_segments], n_rows summing to T                   */
    int               n_segments, T;
    bb_profile       *profile;            /* this thread's; NULL: nobody asks where the time goes */
} bb_exec;

struct bb_mixer;
struct bb_binder;
struct bb_work;

typedef struct bb_mixer_kind {
    const char *name;                                               /* "mamba2" */
    void   (*bind)(struct bb_mixer *m, struct bb_binder *b);        /* name the weights */
    /* Memory for S positions. The first state_bytes(m, p) bytes are all that a session at
       position p <= S needs; state_bytes(m, 0) bytes are zero in an empty one. The first
       state_bytes(m, 0) bytes hold float32, the others elements of the model's kv type. */
    size_t (*state_bytes)(const struct bb_mixer *m, size_t S);
    /* Scratch for T rows on n_threads threads. */
    size_t (*scratch_bytes)(const struct bb_mixer *m, int T, int n_threads);
    /* e->x += mixer(e->h), by all threads together; the last projection accumulates. */
    void   (*forward)(const struct bb_mixer *m, const bb_exec *e);
    void   (*print)(const struct bb_mixer *m, bb_printer *p);
    /* c [BB_N_OPS] grows by what a pass of that shape costs here; by mixer/count.h. */
    void   (*count)(const struct bb_mixer *m, const struct bb_work *w, bb_count *c);
} bb_mixer_kind;

typedef struct bb_mixer {
    const bb_mixer_kind *kind;
    char                 prefix[48];      /* "model.layers.3.mamba." */
    int                  slot;            /* index into bb_segment.state; -1 = remembers nothing */
} bb_mixer;

enum { BB_MAX_MIXERS = 2 };

typedef struct bb_block {                 /* x += Σ mixer(norm(x)) */
    char         norm_name[80];
    const float *norm;                    /* [D] */
    int          n_mixers;
    bb_mixer    *mixer[BB_MAX_MIXERS];
} bb_block;

/* The threads of e share out tiles 0 … n-1 of a stage, which is over when all are done. Which thread runs
   a tile must not change what it computes. prepare, if not NULL, is for what a thread keeps to
   itself: it runs before the thread's first tile, and not at all on one that gets none, since by
   then what it reads may have changed. */
typedef void bb_tile_fn(const bb_exec *e, const void *job, int tile);
typedef void bb_begin_fn(const bb_exec *e, void *own);
void bb_each_tile(const bb_exec *e, int n, bb_tile_fn *run, const void *job);
void bb_each_tile_after(const bb_exec *e, bb_begin_fn *prepare, void *own, int n, bb_tile_fn *run,
                        const void *job);

/* The same for tiles that can be computed twice (base/team.h): compute makes one in place `slot` of what
   the thread keeps to itself, of BB_SLOTS places, and reads nothing but that, what prepare made and
   what never changes; commit puts it where all see it. */
typedef void bb_slot_fn(const bb_exec *e, const void *job, int tile, int slot);
enum { BB_SLOTS = 8 };
void bb_each_tile_repeatable(const bb_exec *e, bb_begin_fn *prepare, void *own, int n,
                             bb_slot_fn *compute, bb_slot_fn *commit, const void *job);

/* The time of this thread since its last mark was this kind's. */
static inline void bb_mark(const bb_exec *e, bb_op op)
{
    if (e->profile) bb_profile_add(e->profile, op);
}

#endif
