/* attention_memory.c - what attention remembers: keys and values, and a convolution's window. */
#include "graph/random.h"
#include "mixer/attention_internal.h"

#include <string.h>

/* -------------------------------------------------------------- the window --------------- */

size_t bb_attention_window(const bb_attention *m)
{
    if (m->dims.d_conv == 0) return 0;
    return (size_t)(m->dims.d_conv - 1) * (size_t)bb_attention_columns(m) * sizeof(float);
}

size_t bb_attention_state_bytes(const bb_mixer *base)
{
    return bb_attention_window((const bb_attention *)base);
}

size_t bb_attention_log_floats(const bb_mixer *base)      /* a row's columns before convolution */
{
    return (size_t)bb_attention_columns((const bb_attention *)base);
}

/* Row t of the columns from `first` on, in rows raw, or behind the first of them in the window. */
static const float *raw_at(const bb_attention *m, const float *raw, const float *window, int t,
                           int first)
{
    const size_t C = (size_t)bb_attention_columns(m);

    return t >= 0 ? raw + (size_t)t * C + first
                  : window + (size_t)(t + m->dims.d_conv - 1) * C + first;
}

/* Columns first … first + n - 1 of the window behind n_rows rows more; to may be from. */
static void move_window(const bb_attention *m, int n_rows, int first, int n, const float *raw,
                        const float *from, float *to)
{
    const size_t C = (size_t)bb_attention_columns(m);
    const int    kept = m->dims.d_conv - 1;

    for (int i = 0; i < kept; i++) {      /* towards the start: no written row is read */
        const float *row = raw_at(m, raw, from, n_rows - kept + i, first);
        memcpy(to + (size_t)i * C + first, row, (size_t)n * sizeof *to);
    }
}

/* One row: out[c] = b[c] + Σ over taps of w[c, tap] · x, the last tap meeting the row itself. */
static void convolve_row(const bb_attention *m, int t, int first, int n, const float *raw,
                         const float *window, float *out)
{
    const int K = m->dims.d_conv;

    for (int c = 0; c < n; c++) out[c] = m->conv_b[first + c];
    for (int j = 0; j < K; j++) {
        const float *x = raw_at(m, raw, window, t - (K - 1) + j, first);
        const float *w = m->conv_w + (size_t)first * (size_t)K + (size_t)j;
        for (int c = 0; c < n; c++) out[c] += w[(size_t)c * (size_t)K] * x[c];
    }
}

static void log_rows(const bb_attention *m, const bb_segment *seg, int first, int n,
                     const float *raw, float *log)
{
    const size_t C = (size_t)bb_attention_columns(m);

    for (int r = 0; log && r < seg->n_rows; r++)
        memcpy(log + (size_t)r * C + first, raw + (size_t)r * C + first, (size_t)n * sizeof *log);
}

void bb_attention_convolve(const bb_attention *m, const bb_exec *e, int slot, int first, int n,
                           const float *raw, float *out, size_t ld)
{
    const size_t C = (size_t)bb_attention_columns(m);

    for (int i = 0; i < e->pass->n_segments; i++) {
        const bb_segment *seg = &e->pass->segment[i];
        const bb_slot    *s = &seg->slot[slot];
        const float      *rows = raw + (size_t)seg->row * C, *window = s->state[seg->from];
        log_rows(m, seg, first, n, rows, s->log);
        for (int r = 0; r < seg->n_rows; r++)
            convolve_row(m, r, first, n, rows, window, out + (size_t)(seg->row + r) * ld);
        move_window(m, seg->n_rows, first, n, rows, window, s->state[seg->to]);
    }
}

void bb_attention_replay(const bb_mixer *base, const bb_kernels *k, const float *log,
                         int pos, int n, bool is_part_of_long, const void *from, void *to,
                         float *scratch)
{
    const bb_attention *m = (const bb_attention *)base;

    (void)k, (void)pos, (void)is_part_of_long, (void)scratch;
    move_window(m, n, 0, bb_attention_columns(m), log, from, to);
}

/* -------------------------------------------------------------- the cache, saved --------- */

/* Saved keys, and values behind them, are each [position, kv head] rows of d elements of the
   cache's type, with their scale if it has one (bb_rows). */
static size_t row_bytes(const bb_attention *m) { return bb_row_bytes(m->kv_type, m->dims.d_head); }

size_t bb_attention_saved_bytes(const bb_mixer *base, size_t n_positions)
{
    const bb_attention *m = (const bb_attention *)base;
    return bb_attention_window(m) + 2 * n_positions * (size_t)m->dims.n_kv_heads * row_bytes(m);
}

/* Keys are rotated by angles that some kinds of scaling choose by the length. */
bool bb_attention_minds_length(const bb_mixer *base)
{
    const bb_rope_kind kind_of_rope = ((const bb_attention *)base)->dims.rope.kind;
    return kind_of_rope == BB_ROPE_DYNAMIC || kind_of_rope == BB_ROPE_LONG;
}

int bb_attention_parts(const bb_mixer *base, size_t n_positions, bb_part part[BB_MIXER_PARTS])
{
    const bb_attention *m = (const bb_attention *)base;
    const bool          is_q8 = m->kv_type == BB_TYPE_Q8;
    const size_t        width = is_q8 ? row_bytes(m) : (size_t)m->dims.d_head;
    int                 n = 0;

    if (m->dims.d_conv > 0)
        part[n++] = (bb_part){ "window", BB_TYPE_F32, { (size_t)(m->dims.d_conv - 1),
                                                        (size_t)bb_attention_columns(m) } };
    part[n] = (bb_part){ "keys", is_q8 ? BB_TYPE_I8 : m->kv_type,
                         { n_positions, (size_t)m->dims.n_kv_heads, width } };
    part[n + 1] = part[n];
    part[n + 1].name = "values";
    return n + 2;
}

size_t bb_attention_scratch_floats(const bb_mixer *base)  /* a key and a value */
{
    return 2 * (size_t)((const bb_attention *)base)->dims.d_head;
}

/* Where the key of a kv head of position number `pos` that is saved stands behind the first; its
   value is `half` further on, the bytes of all keys. */
static size_t saved_at(const bb_attention *m, size_t pos, int h)
{
    return (pos * (size_t)m->dims.n_kv_heads + (size_t)h) * row_bytes(m);
}

static void save_row(const bb_attention *m, const bb_kernels *k, const float *row, void *to)
{
    const size_t d = (size_t)m->dims.d_head;

    if (m->kv_type == BB_TYPE_F32) memcpy(to, row, d * sizeof *row);
    else if (m->kv_type == BB_TYPE_Q8) k->rows[BB_TYPE_Q8].put(1, (int)d, row, 0, to);
    else k->narrow[m->kv_type](d, row, to);
}

static void load_row(const bb_attention *m, const bb_kernels *k, const void *from, float *row)
{
    const size_t d = (size_t)m->dims.d_head;

    if (m->kv_type == BB_TYPE_F32) memcpy(row, from, d * sizeof *row);
    else if (m->kv_type == BB_TYPE_Q8) k->rows[BB_TYPE_Q8].get(1, (int)d, from, row);
    else k->widen[m->kv_type](d, from, row);
}

void bb_attention_save(const bb_mixer *base, const bb_kernels *k, const void *state,
                       const bb_pages *cache, size_t first, size_t end, void *out, float *scratch)
{
    const bb_attention *m = (const bb_attention *)base;
    const size_t        d = (size_t)m->dims.d_head, half = saved_at(m, end - first, 0);
    float *const        kv[2] = { scratch, scratch + d };

    if (bb_attention_window(m) > 0) memcpy(out, state, bb_attention_window(m));
    for (size_t pos = first; pos < end; pos++)
        for (int h = 0; h < m->dims.n_kv_heads; h++) {
            unsigned char *to = (unsigned char *)out + bb_attention_window(m)
                + saved_at(m, pos - first, h);
            k->cache[m->kv_type].get((int)d, bb_attention_at(m, cache, pos, h),
                                     (int)(pos % BB_KV_BLOCK), kv[0], kv[1]);
            for (int i = 0; i < 2; i++, to += half) save_row(m, k, kv[i], to);
        }
}

void bb_attention_load(const bb_mixer *base, const bb_kernels *k, const void *in, size_t first,
                       size_t end, void *state, const bb_pages *cache, float *scratch)
{
    const bb_attention *m = (const bb_attention *)base;
    const size_t        d = (size_t)m->dims.d_head, half = saved_at(m, end - first, 0);
    float *const        kv[2] = { scratch, scratch + d };

    if (bb_attention_window(m) > 0 && state) memcpy(state, in, bb_attention_window(m));
    for (size_t pos = first; pos < end; pos++)
        for (int h = 0; h < m->dims.n_kv_heads; h++) {
            const unsigned char *from = (const unsigned char *)in + bb_attention_window(m)
                                      + saved_at(m, pos - first, h);
            for (int i = 0; i < 2; i++, from += half) load_row(m, k, from, kv[i]);
            k->cache[m->kv_type].put((int)d, kv[0], kv[1], (int)(pos % BB_KV_BLOCK),
                                     bb_attention_at(m, cache, pos, h));
        }
}

/* 64 positions at random, over and over. */
void bb_attention_fill(const bb_mixer *base, const bb_kernels *k, uint64_t seed, size_t n_positions,
                       void *state, const bb_pages *cache, float *scratch)
{
    const bb_attention *m = (const bb_attention *)base;
    const size_t        d = (size_t)m->dims.d_head;

    if (bb_attention_window(m) > 0)
        bb_random_fill(0.5f, seed, 0, bb_attention_window(m) / sizeof(float), state);
    for (int pos = 0; n_positions > 0 && pos < BB_KV_BLOCK; pos++)
        for (int h = 0; h < m->dims.n_kv_heads; h++) {
            bb_random_fill(0.5f, seed, 2 * d * (size_t)(pos * m->dims.n_kv_heads + h), 2 * d,
                           scratch);
            k->cache[m->kv_type].put((int)d, scratch, scratch + d, pos,
                                     bb_attention_at(m, cache, (size_t)pos, h));
        }
    for (size_t pos = BB_KV_BLOCK; pos < n_positions; pos += BB_KV_BLOCK)
        memcpy(bb_attention_at(m, cache, pos, 0), bb_attention_at(m, cache, 0, 0),
               bb_attention_page(m));
}
