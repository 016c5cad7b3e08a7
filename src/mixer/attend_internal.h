/* attend_internal.h - one pass through an attention mixer, for its own files.
 *
 * Owns:    which rows attend together (attend_groups.c), what they work in (attend_scratch.c), the
 *          tiles of the stages (attend_tiles.c).
 * Not:     products and the order of stages (attention.c), what a session remembers
 *          (attention_memory.c).
 */
#ifndef BB_MIXER_ATTEND_INTERNAL_H
#define BB_MIXER_ATTEND_INTERNAL_H

#include "mixer/attention_internal.h"

/* ------------------------------------------------------------- attend_groups.c ----------- */

enum { BB_ATTEND_RANGES = 16 };           /* that what a row sees is cut into, at most */
enum { BB_ATTEND_PARTS = 1 + BB_ATTEND_RANGES };      /* of a row's softmax: of the sink, then of
                                                         each range */

/* How the positions that a row sees are cut: the last `window` of them (INT_MAX: all) into ranges
   of `range` positions, the first of which is range number `first` of the text; and beside them,
   if the window hides anything, the sink. */
typedef struct bb_attend_cut {
    int  range, first, window;
    bool has_sink;
} bb_attend_cut;

/* Neighbouring rows of a segment that are cut alike, which a tile takes together. */
typedef struct bb_attend_group {
    const bb_segment *seg;
    int               first, n_rows;      /* rows of the segment, n_rows <= BB_ATTEND_ROWS */
    bb_attend_cut     cut;
    int               n_ranges;           /* of the last row */
} bb_attend_group;

bb_attend_group bb_attend_first_group(const bb_exec *e);

/* Step to the next group of the pass; false if g is the last. */
bool bb_attend_next_group(const bb_exec *e, bb_attend_group *g);

/* ------------------------------------------------------------- attend_scratch.c ---------- */

/* The query heads of a kv head. */
static inline int bb_attend_share(const bb_attention *m)
{
    return m->dims.n_heads / m->dims.n_kv_heads;
}

/* Floats of the parts that one range makes of one row and kv head. */
static inline size_t bb_attend_part_size(const bb_attention *m)
{
    return (size_t)bb_attend_share(m) * BB_ATTEND_PART(m->dims.d_head);
}

/* Memory that all threads share. PART is BB_ATTEND_PART(d), PARTS BB_ATTEND_PARTS. */
typedef struct bb_attend_scratch {
    float *q;                             /* [T, heads · d], replaced by the attended values */
    float *k, *v;                         /* [T, kv_heads · d] */
    float *raw;                           /* [T, (heads + 2 kv_heads) · d] before a convolution */
    float *low;                           /* [3, T, rank] on the way to low-rank terms */
    float *part;                          /* [min(T, 32), kv_heads, PARTS, share, PART] */
    unsigned char *own;                   /* [n_threads, own_bytes] */
} bb_attend_scratch;

/* Memory that a thread does not share. */
typedef struct bb_attend_own {
    float *part;                          /* [BB_ATTEND_ROWS, 2, share, PART] of a group with one
                                             range: of the sink, then of the range */
    float *q;                             /* [BB_ATTEND_ROWS, share, d] queries after RoPE */
    float *cosine, *sine;                 /* [BB_FEW_ROWS, d/2] of few rows */
    float *attend;                        /* [BB_ATTEND_SCRATCH] */
} bb_attend_own;

/* The stages' job. */
typedef struct bb_attend_job {
    const bb_attention *m;
    int                 slot;
    bb_attend_scratch   s;
} bb_attend_job;

/* Carve the scratch for T rows. */
bb_attend_scratch bb_attend_scratch_take(const bb_attention *m, int T, int n_threads, bb_arena *a);

bb_attend_own bb_attend_own_of(const bb_exec *e, const bb_attend_job *j);

/* ------------------------------------------------------------- attend_tiles.c ------------ */

/* One tile for each group: RoPE on its queries and keys, keys and values into the cache. Queries
   that attend to a sink are turned later: once for the sink, once for the rest. */
void bb_attend_store(const bb_exec *e, const void *job, int tile);

/* One tile for each kv head, group and range of the group: attend. Queries and cache are
   ready. */
void bb_attend_run(const bb_exec *e, const void *job, int tile);

/* bb_attend_store and bb_attend_run in one stage: RoPE on a copy of the tile's queries, which tiles
   of other ranges read too, and on the keys of its own range, which go into the cache. For passes
   in which no tile needs a key that another stores; bb_attend_angles runs before a thread's first
   tile and makes the angles of every row. */
void bb_attend_store_and_run(const bb_exec *e, const void *job, int tile);
void bb_attend_angles(const bb_exec *e, void *job);

/* One tile for each group and kv head: join the parts of the softmax over all ranges. */
void bb_attend_join(const bb_exec *e, const void *job, int tile);

#endif
