/* pass.h - one run of the network over a batch of rows: what all threads share, and one thread's
 * view of it.
 *
 * Owns:    segments, sources and sinks of products, the tiles of a stage.
 * Not:     the order of blocks (forward.h), the arithmetic (mixer/), starting threads
 *          (base/team.h).
 *
 * Every thread runs the same code on its own bb_exec; work is shared out by tiles. Between two
 * stages a thread touches only its own memory and what does not change during the pass, since it
 * may come late, when others are stages ahead.
 */
#ifndef BB_GRAPH_PASS_H
#define BB_GRAPH_PASS_H

#include "base/arena.h"
#include "base/team.h"
#include "graph/adapter.h"
#include "graph/profile.h"
#include "kernels.h"

#include <stdatomic.h>

enum { BB_FEW_ROWS = 32 };                /* rows whose bits do not depend on the others */

/* Mixers that run a segment of more than BB_FEW_ROWS rows in chunks have the chunks' edges at
   multiples of this position: a segment cut there, both parts long, gives the bits of a whole. */
enum { BB_EDGE = 64 };

/* Whether products of a pass of T rows use the kernels for many rows. Asked once a pass, by all
   its rows: an expert that sees three rows of 512 multiplies as the others do. */
static inline bool bb_is_many(int T) { return T > BB_FEW_ROWS; }

/* A cache: what one use of a mixer remembers of positions BB_KV_BLOCK · i … lies `at` bytes behind
   page[i]; of sessions that have let go of pages, i counts those that are left. Sessions may share
   a page; one that they do is not written. */
typedef struct bb_pages {
    void *const *page;                    /* [pages of the session] */
    size_t       at;
} bb_pages;

/* What one use of a mixer remembers of one session. Two places for the state, so that a pass that
   may be undone reads one and writes the other; the cache only grows, by position. */
typedef struct bb_slot {
    void  *state[2];                      /* kind->state_bytes each; NULL if the kind has none */
    bb_pages cache;                       /* kind->page_bytes each; of none if the kind has none */
    float *log;                           /* out, or NULL: what `replay` needs of each row of this
                                             pass, [n_rows, kind->log_floats] */
} bb_slot;

typedef struct bb_segment {               /* consecutive tokens of one session */
    const bb_slot *slot;                  /* [n_slots] */
    int            from, to;              /* which state is read, and which is written: 0 or 1 */
    int            row, n_rows;           /* its rows of the batch */
    int            pos;                   /* tokens the session has absorbed; less a multiple of
                                             2^30 in networks without a cache */
    int            length;                /* positions it is made for: scales rotary angles */
    int            window, sink;          /* attention sees the last `window` positions, a row's own
                                             among them, and the first `sink`; window 0: all */
    int            gone;                  /* positions whose pages the session has let go of, behind
                                             those of the sink: later ones lie in earlier places */
    const bb_adapter_use *adapter;        /* [n_adapters] */
    int            n_adapters;
} bb_segment;

struct bb_product_room;                   /* mixer/product.h */
struct bb_lora_room;                      /* mixer/lora.h */

/* Somebody who looks at what linear maps read. `see` is called for columns
   first … first + n_cols - 1 of n <= BB_FEW_ROWS rows x [n, n_cols] row stride ld, which the map
   number `id` reads; by one thread at a time for the same columns of a map. `same`: map `id` reads
   what map `as` does. */
typedef struct bb_observer {
    void (*see)(struct bb_observer *o, int id, int first, int n_cols, int n, const float *x,
                size_t ld);
    void (*same)(struct bb_observer *o, int id, int as);
} bb_observer;
enum { BB_OBSERVED_COLS = BB_CARRY };     /* n_cols, but of the last columns */

/* What all threads of a pass share; constant while it runs, but for the memory it points to. */
typedef struct bb_pass {
    const bb_kernels       *k;
    bb_team                *team;
    int                     n_threads;
    int                     T;            /* rows */
    bool                    many;         /* bb_is_many(T) */
    const bb_segment       *segment;      /* [n_segments], n_rows summing to T */
    int                     n_segments;
    float                  *x;            /* [T, D] residual stream */
    float                  *embedded;     /* [T, D] embeddings; NULL if no block reads them */
    float                  *side[2];      /* [T, D] side stream, in turns; NULL: none writes it */
    float                  *normed;       /* [T, 2D] normed input of a block of several mixers */
    bb_arena                scratch;      /* every mixer carves it from the start, on a copy */
    struct bb_product_room *room;
    struct bb_lora_room    *lora;         /* NULL: no segment has adapters */
    bb_profile             *profile;      /* [n_threads]; NULL: nobody asks where the time goes */
    bb_observer            *observer;     /* NULL: nobody looks */
    atomic_bool            *overflow;     /* out, or NULL: a finite key or value did not fit the
                                             cache's type; what reads that key gives NaN */
} bb_pass;

/* One thread's view of a pass. */
typedef struct bb_exec {
    const bb_pass *pass;
    int            thread;
    int            shift;                 /* added to the id of a mixer's linear map it gives the
                                             number in bb_adapter.map for the use that runs; 0 in a
                                             mixer's first use, and in its only one */
} bb_exec;

/* ------------------------------------------------------------- sources and sinks --------- */

/* Rows that products read: in memory, or made one by one when a thread needs them. A thread's own
   copy remembers what it has prepared; products that share a source share the preparing. One
   source is in use at a time. */
typedef struct bb_source {
    const float   *x;                     /* [rows, cols] row stride ld; NULL: `make` them */
    size_t         ld;
    void         (*make)(const bb_exec *e, const void *job, int t, float *row);
    const void    *job;
    const int     *index;                 /* [T]: row t is row index[t] of x; NULL: row t */
    const int     *row;                   /* [T] of the pass that each row belongs to; NULL: as
                                             `index`, which then counts the pass's rows */
    int            T, cols;
    bool           many;                  /* bb_is_many of the pass */
    int            op;                    /* operation that the time of making rows belongs to */
    bool           is_made;               /* this thread has made its rows (few) */
    bb_prepare_fn *prepared[2];           /* by which function each prepared copy was made */
} bb_source;

/* Rows of a matrix in memory. */
static inline bb_source bb_source_of(const bb_exec *e, const float *x, size_t ld, int cols)
{
    return (bb_source){ .x = x, .ld = ld, .T = e->pass->T, .cols = cols, .many = e->pass->many };
}

/* Where the columns of a product go:  y[index[t], c] (+)= alpha · weight[t] · product[t, c]. */
typedef struct bb_sink {
    float       *y;                       /* [rows, columns] row stride ld */
    size_t       ld;
    bool         add;                     /* to what is there, as the residual stream wants it */
    float        alpha;
    const int   *index;                   /* [T] or NULL: row t. Rows of one call differ */
    const float *weight;                  /* [T] or NULL: 1 */
} bb_sink;

static inline bb_sink bb_sink_store(float *y, size_t ld)
{
    return (bb_sink){ .y = y, .ld = ld, .alpha = 1.0f };
}

/* ------------------------------------------------------------- stages -------------------- */

/* The threads share out tiles 0 … n-1 of a stage, which is over when all are done. Which thread
   runs a tile must not change what the tile computes. `begin`, if not NULL, fills memory of the
   thread's own: it runs before the thread's first tile, and not at all on a thread that gets none,
   since by then what it would read may have changed. */
typedef void bb_tile_fn(const bb_exec *e, const void *job, int tile);
typedef void bb_begin_fn(const bb_exec *e, void *own);
void bb_each_tile(const bb_exec *e, int n, bb_tile_fn *run, const void *job);
void bb_each_tile_after(const bb_exec *e, bb_begin_fn *begin, void *own, int n, bb_tile_fn *run,
                        const void *job);

/* A stage whose tiles can be computed twice (base/team.h): `compute` makes tiles first … end - 1,
   one behind the other, in places 0 … of the thread's own BB_PLACES places, and reads nothing but
   those, what `begin` made and what never changes; `commit` puts them where all threads see
   them. */
typedef void bb_places_fn(const bb_exec *e, const void *job, int first, int end);
enum { BB_PLACES = 8 };
void bb_each_tile_repeatable(const bb_exec *e, bb_begin_fn *begin, void *own, int n,
                             bb_places_fn *compute, bb_places_fn *commit, const void *job);

/* Count this thread's time since its last mark as time of operation `op`. */
static inline void bb_mark(const bb_exec *e, int op)
{
    if (e->pass->profile) bb_profile_add(&e->pass->profile[e->thread], op);
}

#endif
