/* grouped.h - products whose weights each row chooses: experts.
 *
 * Owns:    rows sorted by expert; the products into and out of what lies between an expert's maps.
 * Not:     who chooses (moe.c), the arithmetic of a tile (product.c).
 *
 * Which experts have rows, and how many, shows only while the pass runs, and a thread that comes
 * late finds the next block's lists where these were. So they are read inside tiles alone, and the
 * number of tiles follows from T. A row's bits do not depend on the rows that share its experts:
 * its products are those of product.h, and what its experts make is added by ascending number. What
 * adapters add to an expert's products is made of that expert's rows, and reads no other expert's
 * matrices (lora.h).
 */
#ifndef BB_MIXER_GROUPED_H
#define BB_MIXER_GROUPED_H

#include "graph/linear.h"
#include "graph/pass.h"

/* T rows, each with n_used different ones of n_experts. Memory that all threads share, but for the
   counts: written in one stage by bb_groups_fill, read inside the tiles of later ones. A row with
   one of its experts is a pair; there are T·n_used, ordered by expert and then by row. */
typedef struct bb_groups {
    int    T, n_used, n_experts;
    int    most;                          /* experts that can have rows: n_experts or T·n_used */
    int   *n;                             /* [1] experts that have rows */
    int   *expert;                        /* [most] their numbers, ascending */
    int   *start;                         /* [most + 1] the first pair of each */
    int   *row;                           /* [T·n_used] */
    float *weight;                        /* [T·n_used] */
    int   *next;                          /* [n_experts] while sorting */
} bb_groups;

void bb_groups_take(bb_groups *g, int T, int n_used, int n_experts, bb_arena *a);

/* Sort the pairs. expert, weight [T, n_used]. By one thread. */
void bb_groups_fill(const bb_groups *g, const int *expert, const float *weight);

/* What rows meet between two linear maps, [n_experts] each, of the same shapes. */
typedef struct bb_experts {
    const bb_linear *in, *pair;           /* [F, cols]; pair NULL: the activation has no partner */
    const bb_linear *out;                 /* [columns of the sink, F] */
    void           (*activate)(const bb_kernels *k, int n, const float *y, const float *partner,
                               float *out);
    int              n;
} bb_experts;

/* Memory of the two products of one block for T rows. */
typedef struct bb_groups_room {
    float         *inner;                 /* [T·n_used, F] by pair */
    unsigned char *prepared;              /* many rows: by pair, for either product */
    unsigned char *own;                   /* [n_threads, own_bytes] few rows, prepared */
    size_t         own_bytes;
} bb_groups_room;

void bb_groups_room_take(bb_groups_room *r, const bb_groups *g, const bb_experts *x, int n_threads,
                         bb_arena *a);

/* to[t] (+)= alpha · Σ weight · out · activate(in · x[t]), over the experts of row t.
   x [T, cols] row stride ldx. Called by all threads; `op`: whose time it is. */
void bb_multiply_grouped(const bb_exec *e, int op, const bb_experts *experts, const bb_groups *g,
                         const bb_groups_room *room, const float *x, size_t ldx, const bb_sink *to);

#endif
