/* attention_internal.h - the attention mixer, for its own files.
 *
 * Owns:    its layout and verbs; what it remembers of a session (attention_memory.c): the cache of
 *          keys and values, and, behind a convolution, the window of columns before it.
 * Not:     a pass (attention.c, attend_internal.h); dimensions, weights and costs
 *          (attention_plan.c).
 */
#ifndef BB_MIXER_ATTENTION_INTERNAL_H
#define BB_MIXER_ATTENTION_INTERNAL_H

#include "mixer/low_rank.h"

/* Operations, as named in attention_plan.c. */
enum { BB_ATTENTION_QKV, BB_ATTENTION_ROPE, BB_ATTENTION_ATTEND, BB_ATTENTION_OUT_PROJ,
       BB_ATTENTION_CONV };

typedef struct bb_attention {
    bb_mixer          base;
    bb_attention_dims dims;
    bb_rope           rope;               /* its table lies behind low_rank */
    bb_type           kv_type;            /* of the cache */
    bb_linear         q, k, v, o;
    const float      *conv_w, *conv_b;    /* [columns, d_conv], [columns]; NULL: no convolution */
    bb_use_term       low_rank[];         /* [dims.low_rank.n_uses, 3] of q, k, v */
} bb_attention;

/* Columns of q, k and v together. */
static inline int bb_attention_columns(const bb_attention *m)
{
    return (m->dims.n_heads + 2 * m->dims.n_kv_heads) * m->dims.d_head;
}

/* Bytes of keys and values of BB_KV_BLOCK positions: of a kv head, and of all. */
static inline size_t bb_attention_block(const bb_attention *m)
{
    return bb_kv_bytes(m->kv_type, m->dims.d_head);
}

static inline size_t bb_attention_page(const bb_attention *m)
{
    return bb_attention_block(m) * (size_t)m->dims.n_kv_heads;
}

/* The block of a cache that holds position pos of kv head h. */
static inline void *bb_attention_at(const bb_attention *m, const bb_pages *cache, size_t pos, int h)
{
    return (unsigned char *)cache->page[pos / BB_KV_BLOCK] + cache->at
         + (size_t)h * bb_attention_block(m);
}

/* Bytes of the window [d_conv - 1, columns]; 0: no convolution. */
size_t bb_attention_window(const bb_attention *m);

/* Columns first … first + n - 1 of q, k and v of all rows of a pass: convolve those of raw
   [T, columns] into out [T, n] row stride ld, and keep the windows. Bits do not depend on how rows
   are cut into passes, nor columns into calls. */
void bb_attention_convolve(const bb_attention *m, const bb_exec *e, int slot, int first, int n,
                           const float *raw, float *out, size_t ld);

/* Verbs (graph/mixer.h) of attend_scratch.c and attention.c. */
size_t bb_attention_scratch_bytes(const bb_mixer *base, int T, int n_threads);
void   bb_attention_forward(const bb_mixer *base, const bb_exec *e, const bb_call *c);

/* Verbs of attention_memory.c; a saved state is the window, if there is one, then keys, then
   values. */
size_t bb_attention_state_bytes(const bb_mixer *base);
size_t bb_attention_saved_bytes(const bb_mixer *base, size_t n_positions);
int    bb_attention_parts(const bb_mixer *base, size_t n_positions, bb_part part[BB_MIXER_PARTS]);
void   bb_attention_save(const bb_mixer *base, const bb_kernels *k, const void *state,
                         const bb_pages *cache, size_t first, size_t end, void *out,
                         float *scratch);
void   bb_attention_load(const bb_mixer *base, const bb_kernels *k, const void *in, size_t first,
                         size_t end, void *state, const bb_pages *cache, float *scratch);
bool   bb_attention_minds_length(const bb_mixer *base);
size_t bb_attention_log_floats(const bb_mixer *base);
void   bb_attention_replay(const bb_mixer *base, const bb_kernels *k, const float *log,
                           int pos, int n, bool is_part_of_long, const void *from, void *to,
                           float *scratch);
void   bb_attention_fill(const bb_mixer *base, const bb_kernels *k, uint64_t seed,
                         size_t n_positions, void *state, const bb_pages *cache, float *scratch);
size_t bb_attention_scratch_floats(const bb_mixer *base);

#endif
