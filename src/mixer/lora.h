/* lora.h - what adapters add to products.
 *
 * Owns:    which rows of a pass have which adapters; A · x of those rows, and B times that.
 * Not:     products without adapters (product.h), where adapters come from (graph/adapter.h).
 *
 * All arithmetic is in float32 by kernels whose bits do not depend on company: a row of a session
 * with adapters has the bits it has without the other rows of the pass.
 */
#ifndef BB_MIXER_LORA_H
#define BB_MIXER_LORA_H

#include "graph/linear.h"
#include "graph/pass.h"

enum { BB_LORA_MAPS = 4 };                /* linear maps of the same rows, handled at once */

typedef struct bb_lora_room bb_lora_room;

/* Room for passes of up to T rows, matrices of up to `widest` columns, and sessions whose adapters
   have up to n_inputs inputs (bb_low_rank) together. most_used: experts of a row, for
   bb_lora_of_pairs. As bb_product_room_take. */
bb_lora_room *bb_lora_room_take(bb_arena *a, const bb_kernels *k, int T, int most_used, int widest,
                                int n_inputs, int n_threads);

/* Linear maps of the same rows, and what some of those rows' adapters make of them. */
typedef struct bb_lora {
    int              n;                   /* maps; 0: no row has an adapter for any of them */
    const bb_linear *map[BB_LORA_MAPS];
    const int       *row;                 /* [T] of the pass; NULL: row t */
    int              T;
    float           *inputs;              /* [T, BB_LORA_MAPS, room for inputs] s · A · x */
} bb_lora;

/* For the rows of a source: n maps. */
bb_lora bb_lora_of(const bb_exec *e, const bb_source *x, const bb_linear *const *map, int n);

/* Whether any row of the pass has an adapter for one of n maps. */
bool bb_lora_is_adapted(const bb_exec *e, const bb_linear *map, int n);

/* What adapters add to an expert's map l and, if not NULL, its partner `pair`, for the n rows of
   the pass whose numbers are row [n]; read it by bb_lora_read, add it by bb_lora_add. before: rows
   of other experts whose inputs are kept in front of these; all rows of all experts are at most
   T · most_used. */
bb_lora bb_lora_of_pairs(const bb_exec *e, const bb_linear *l, const bb_linear *pair,
                         const int *row, int n, int before);

/* Make the inputs of rows first … first + n - 1 from x [n, cols] row stride ld,
   n <= BB_FEW_ROWS. */
void bb_lora_read(const bb_exec *e, const bb_lora *l, int first, int n, const float *x, size_t ld);

/* The inputs of all T rows, T <= BB_FEW_ROWS, are made by all threads in a repeatable stage of
   bb_lora_tiles tiles, which begins with `prepare` of the rows x. A later stage of this kind
   overwrites them: the stage that adds them begins with `take`, which copies them to this thread's
   own l->inputs. */
int  bb_lora_tiles(const bb_exec *e, const bb_lora *l);
void bb_lora_prepare(const bb_exec *e, const bb_lora *l, int first, int n, const float *x,
                     size_t ld);
void bb_lora_compute(const bb_exec *e, const bb_lora *l, int tile, int place);
void bb_lora_commit(const bb_exec *e, const bb_lora *l, int tile, int place);
void bb_lora_take(const bb_exec *e, bb_lora *l);

/* Columns first … first + n - 1 of map `at`, of all rows: y [T, n] += B · inputs. */
void bb_lora_add(const bb_exec *e, const bb_lora *l, const bb_linear *at, int first, int n,
                 float *y, size_t ldy);

/* x [D], the embedding of a token in row t of the pass, += the adapters' low-rank term for that
   token. Before the embedding is scaled. */
void bb_lora_embed(const bb_exec *e, int t, int token, int D, float *x);

/* What stands in place of the embedding in row t of the pass, or of the head. */
const bb_matrix *bb_lora_own_embed(const bb_exec *e, int t, const bb_matrix *embed);
const bb_linear *bb_lora_own_head(const bb_exec *e, int t, const bb_linear *head);

#endif
