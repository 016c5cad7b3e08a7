/* kernels.h - every arithmetic kernel: contract, type, and the table that selects variants.
 *
 * Owns:    formulas, shapes, layouts, aliasing and error bounds of the kernels; those that read and
 *          write stored numbers stand in formats.h, which this file includes.
 * Not:     memory, threads, files: a kernel is a pure function of its arguments. What a processor
 *          can do (cpu.h).
 *
 * Glossary, used in every shape comment of the code base:
 *     T tokens (rows) in this call    D model width          I inner width = H·P
 *     H heads                         P head width           N state width
 *     G groups that share B and C     K conv width           C conv channels = I + 2·G·N
 *     Q chunk length                  F mlp width            V vocabulary
 *     S positions kept
 * A shape is written [T, H, P]: row-major, the last index contiguous.
 *
 * House rules, for all variants of a kernel: no allocation, threads, I/O or globals; no
 * alignment beyond the element, and no overlap of arrays, unless the contract says so; any length
 * including 0; nothing is read or written outside the arrays; one thread: the caller cuts the
 * work. Every output element is made in one fixed order of operations that depends on the
 * kernel's lengths only, never on how many rows share the call. Round-to-nearest is expected.
 * Conversions are exact whatever else the floating-point unit is set to; other kernels may take
 * denormals for zero, so their bounds hold for normal operands and up to FLT_MIN. The C
 * library's exp may set errno: callers who care keep it.
 *
 * eps below is FLT_EPSILON; "exact" is the same formula on the given operands in double.
 * Cumulated sums of log-decay are double: differences of large sums are exponentiated.
 */
#ifndef BB_KERNELS_H
#define BB_KERNELS_H

#include "cpu.h"
#include "formats.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ------------------------------------------------------------- low-rank terms ----------- */

/*
 * What the second factor of a low-rank term adds to columns of a product:
 *     y[t, r] += Σi B[first + r, i] · u[t, i]        0 <= t < T, 0 <= r < rows, 0 <= i < n
 *
 *     u [T, n] row stride ldu    y [T, rows] row stride ldy
 *     B float32 or IEEE half, BB_EXPAND_ROWS rows a tile, tiles one behind the other:
 *     [n][rows of the tile]. The last tile is whole, whatever stands for rows that there are not
 *
 * Each y[t, r] has the same bits for any T, first and rows.
 * |y - exact| <= (n + 2) · eps · (|y| + Σ|B·u|).
 */
typedef void bb_expand_fn(int T, int rows, int n, const void *B, int first, const float *u,
                          size_t ldu, float *y, size_t ldy);
enum { BB_EXPAND_ROWS = 16 };

/* ------------------------------------------------------------- elementwise -------------- */

/* y[i] += alpha · x[i].   x, y [n]. |y - exact| <= eps · (|y| + 2·|alpha·x|). */
typedef void bb_axpy_fn(int n, float alpha, const float *x, float *y);

/* y[i] *= x[i].   x, y [n]. Rounded once. */
typedef void bb_mul_fn(int n, const float *x, float *y);

/* y[i] = max(x[i], 0)².   x, y [n]; y may be x. Rounded once; NaN stays NaN. */
typedef void bb_relu2_fn(int n, const float *x, float *y);

/* y[i] = silu(gate[i]) · up[i], silu(v) = v / (1 + exp(-v)).   [n]; y may be gate or up.
   silu is 0 below -89, and at -infinity NaN, as the formula says.
   |y - exact| <= 6 · eps · |exact| + 1e-36 · |up|. */
typedef void bb_silu_mul_fn(int n, const float *gate, const float *up, float *y);

/* y[i] = gelu(gate[i]) · up[i], gelu(v) = v · (1 + erf(v / √2)) / 2.   [n]; y may be gate or up.
   gelu is NaN at -infinity, as the formula says. |y - exact| <= 3 · eps · |gate · up|. */
typedef void bb_gelu_mul_fn(int n, const float *gate, const float *up, float *y);

/* y[i] = x[i] · w[i] / sqrt(mean(x²) + epsilon).   x, w, y [n]; y may be x. Mean in double.
   |y - exact| <= 3 · eps · |exact|. */
typedef void bb_rmsnorm_fn(int n, const float *x, const float *w, float epsilon, float *y);

/*
 * Gate, then norm by groups (Mamba-2, norm_before_gate = false):
 *     u = y · silu(z);   out[g, i] = w[g, i] · u[g, i] / sqrt(mean over i of u[g]² + epsilon)
 * y, z, w, out [G, n / G]; out may be y. n is a multiple of G >= 1. Mean in double.
 * |out - exact| <= 12 · eps · |exact|, where silu does not vanish.
 * Source: state-spaces/mamba ops/triton/layernorm_gated.py; models with G > 1 were trained so.
 */
typedef void bb_gated_rmsnorm_fn(int n, int G, const float *y, const float *z, const float *w,
                                 float epsilon, float *out);

/* dt[h] = clamp(softplus(raw[h] + bias[h]), lo, hi), softplus(v) = v > 20 ? v : log1p(exp(v)).
   raw, bias, dt [H]; dt may be raw. 0 <= lo <= hi, hi may be infinity; NaN stays NaN.
   |dt - exact| <= 4 · eps · (1 + |raw| + |bias|) · softplus. */
typedef void bb_softplus_clamp_fn(int H, const float *raw, const float *bias, float lo,
                                  float hi, float *dt);

/*
 * Rotate the first d of each head by position, halves paired (i, i + d/2):
 *     x[i]       ←  x[i] · cos[i] - x[i + d/2] · sin[i]             0 <= i < d/2
 *     x[i + d/2] ←  x[i + d/2] · cos[i] + x[i] · sin[i]             (old values on the right)
 * x [heads, width] updated, width >= d, d even   cos, sin [d/2] of this position.
 * |x - exact| <= 2 · eps · (|x[i]·cos| + |x[i + d/2]·sin|) in the first half, with cos and sin
 * exchanged in the second.
 */
typedef void bb_rope_fn(int heads, int width, int d, const float *cos, const float *sin,
                        float *x);

/* ------------------------------------------------------------- convolution -------------- */

/*
 * Causal depthwise convolution with SiLU over T tokens, window carried:
 *     out[t, c] = silu(b[c] + Σj w[c, j] · in[t - (K-1) + j, c])    0 <= j < K
 * where in[-1], in[-2] … are the columns of window_in, the newest last.
 *
 *     x [T, ...] row stride ldx, channels c = 0 … C-1 of it; out [T, ...] row stride ldo
 *     w [C, K] row stride ldw    b [C] or NULL
 *     window_in, window_out [K-1, C] row stride ld_window, raw (pre-conv) columns, oldest first;
 *     window_out becomes the last K-1 columns of window_in ‖ x, also when T < K-1. It either is
 *     window_in or does not overlap it, which then stays as it was
 *
 * The caller cuts by channels: pass pointers to the first channel of the cut. K >= 1.
 * Any split of the tokens into calls gives the same bits.
 * |out - exact| <= (K + 4) · eps · 1.1 · (|b| + Σ|w·in|)   (1.1: the largest slope of SiLU).
 * Source: state-spaces/mamba modules/mamba2.py (conv1d with conv_state).
 */
typedef void bb_conv1d_fn(int T, int C, int K, const float *x, size_t ldx, const float *w,
                          size_t ldw, const float *b, const float *window_in, float *window_out,
                          size_t ld_window, float *out, size_t ldo);

/* ------------------------------------------------------------- state space -------------- */

/*
 * These kernels read the state before, S_in, and write the state after, S_out. S_out either is S_in
 * or does not overlap it, which then stays as it was; y and S_out have the same bits either way.
 */

/*
 * One token of the Mamba-2 recurrence, for H heads that share B and C (one group, or a part):
 *
 *     a             = exp(dt[h] · A[h])                    in (0, 1]
 *     S_out[h,p,n]  = a · S_in[h,p,n] + dt[h] · x[h,p] · B[n]
 *     y[h,p]        = Σn C[n] · S_out[h,p,n] + D[h] · x[h,p]
 *
 *     x, y [H, P]   dt, A, D [H]   B, C [N]   S_in, S_out [H, P, N]       float32, contiguous
 *
 * dt is already positive (softplus and clamp done). y may be x. Infinite states may become NaN.
 * |y - exact| <= (N + 6) · eps · (Σn |C| · (|a·S_in| + |dt·x·B|) + |D·x|)
 * |S - exact| <= eps · (|exact| / 1.99 + 2 · |dt·x·B| + 2 · min(a, 1 - a) · |S_in|)
 * The last term stands for a decay that is not rounded to one float near 1 (fading.h): where a
 * token repeats, each step would repeat the same error of a, and a state that remembers a thousand
 * tokens would have the sum of a thousand such errors.
 * Source: Dao & Gu 2024, arXiv:2405.21060, recurrent form; state-spaces/mamba ssd_minimal.py.
 */
typedef void bb_ssd_step_fn(int H, int P, int N, const float *x, const float *dt,
                            const float *A, const float *B, const float *C, const float *D,
                            const float *S_in, float *S_out, float *y);

/*
 * The Mamba-2 recurrence (bb_ssd_step_fn) over a chunk of Q tokens in its dual form, one head h:
 *
 *     c[t]   = Σ_{s<=t} dt[s] · A                            double, <= 0
 *     y[t]   = Σ_{s<=t} (C[t]·B[s]) · exp(c[t]-c[s]) · dt[s] · x[s]          inside the chunk
 *            + exp(c[t]) · (S_in · C[t]) + D · x[t]                          inherited, skip
 *     S_out  = exp(c[Q-1]) · S_in + Σs exp(c[Q-1]-c[s]) · dt[s] · x[s]ᵀ B[s]
 *
 *     x [Q, P] row stride ldx   dt [Q] stride ld_dt   B, C [Q, N] row strides ldb
 *     CB [Q, Q]: CB[t, s] = C[t]·B[s] for s <= t, the rest unspecified (bb_ssd_cb_fn; shared by
 *     the heads of a group)     A, D scalars of the head     S_in, S_out [P, N] contiguous
 *     y [Q, P] row stride ldy   scratch: BB_SSD_SCRATCH(Q, P, N) floats
 *
 * y may be x with the same stride. 0 <= Q <= 4096; for Q = 0, S_out has the values of S_in.
 * |y - exact| <= (Q + N + 16) · eps · Y and |S - exact| <= (Q + 8) · eps · Z, where exact is
 * the recurrence above, Y and Z are its y and S with every operand but A replaced by its
 * magnitude, and CB is within its own bound.
 * Source: Dao & Gu 2024, arXiv:2405.21060, section 6 (block decomposition).
 */
typedef void bb_ssd_chunk_fn(int Q, int P, int N, const float *x, size_t ldx, const float *dt,
                             size_t ld_dt, float A, const float *B, const float *C, size_t ldb,
                             const float *CB, float D, const float *S_in, float *S_out, float *y,
                             size_t ldy, float *scratch);
#define BB_SSD_SCRATCH(Q, P, N) \
    (((size_t)(Q) + 16) * ((size_t)(Q) + (size_t)(P) + 72) + (size_t)(N) * 32)

/*
 * The recurrence of Mamba-1 over T tokens, for I channels: each has a decay of its own for each
 * element of its state, so that there is no dual form.
 *
 *     a             = exp(dt[t,i] · A[i,n])
 *     S[i,n]       ←  a · S[i,n] + dt[t,i] · x[t,i] · B[t,n]
 *     y[t,i]        = D[i] · x[t,i] + Σn C[t,n] · S[i,n]
 *
 *     x, dt, y [T, I] row strides ldx, ld_dt, ldy   B, C [T, N] row stride ldb   A [I, N], D [I]
 *     S is S_in [I, N] before the first token and S_out [I, N] after the last
 *
 * dt >= 0 (softplus done), A <= 0. Nothing else may overlap. Any split of the tokens or of
 * the channels into calls gives the same bits.
 * With X = maxn Σt |dt[t,i] · A[i,n]| and Y, Z as y and S with every operand but A replaced by its
 * magnitude:   |S - exact| <= (6·T + X) · eps · Z   |y - exact| <= (6·T + N + 6 + X) · eps · Y
 * Source: Gu & Dao 2023, arXiv:2312.00752, section 3; state-spaces/mamba selective_scan_ref.
 */
typedef void bb_selective_scan_fn(int T, int I, int N, const float *x, size_t ldx, const float *dt,
                                  size_t ld_dt, const float *A, const float *B, const float *C,
                                  size_t ldb, const float *D, const float *S_in, float *S_out,
                                  float *y, size_t ldy);

/* CB[t, s] = Σn C[t, n] · B[s, n] for s <= t; s > t is left alone.
   B, C [Q, N] row stride ldb   CB [Q, Q] contiguous.
   |CB - exact| <= (N/16 + 6) · eps · Σ|C·B|. */
typedef void bb_ssd_cb_fn(int Q, int N, const float *B, const float *C, size_t ldb, float *CB);

/* ------------------------------------------------------------- attention ---------------- */

/*
 * What attention remembers is kept in blocks of BB_KV_BLOCK positions, one kv head each, of
 * bb_kv_bytes(type, d) bytes: keys and values, BB_KV_ELEMENTS(d) elements of the cache's type, and
 * for BB_TYPE_Q8 a bfloat16 scale for each key and each value. Their order inside a block is
 * private to a level's attend, put and get; what no put wrote may hold anything.
 */
enum { BB_KV_BLOCK = 64 };
#define BB_KV_WIDTH(d)    (((size_t)(d) + 15) / 16 * 16)          /* elements a key takes */
#define BB_KV_ELEMENTS(d) (2 * (size_t)BB_KV_BLOCK * BB_KV_WIDTH(d))

static inline size_t bb_kv_bytes(bb_type type, int d)
{
    return type == BB_TYPE_Q8 ? BB_KV_ELEMENTS(d) + 2 * BB_KV_BLOCK * sizeof(uint16_t)
                              : BB_KV_ELEMENTS(d) * (type == BB_TYPE_F32 ? 4 : 2);
}

/*
 * Position `at` of a block becomes the key k and the value v [d], rounded to nearest even. The
 * other positions keep theirs.
 * BB_TYPE_Q8: scale = the largest magnitude / 127, rounded to bfloat16, 0 below 2^-100; elements
 * are scale · code, code from -127 to 127: |element - x| <= 0.501 · scale. A key or value that has
 * infinity or NaN becomes NaN.
 */
typedef void bb_kv_put_fn(int d, const float *k, const float *v, int at, void *block);

/* Position `at` of a block as float32, exactly: the key to k and the value to v [d]. Put back, it
   gives the same block. */
typedef void bb_kv_get_fn(int d, const void *block, int at, float *k, float *v);

/*
 * Causal attention of n_rows query rows of one sequence, the `heads` query heads that share one
 * kv head, over the positions begin … end - 1 that each row may see. Each row and head gets a part
 * of its softmax:
 *
 *     m = max x[s]     p[s] = exp(x[s] - m)     x[s] = scale · q[r, h] · k[s]
 *     part = Σ p[s] · v[s] [BB_KV_WIDTH(d), the first d of use], m, Σ p[s]
 *                                              begin <= s < end, pos + r - window < s <= pos + r
 *
 *     q      [n_rows, heads, d] row stride ldq, heads contiguous (stride d)
 *     kv     block b, positions 64·b … 64·b + 63 of this kv head, `at` bytes behind kv[b]
 *     pos    position of row 0
 *     begin  a multiple of BB_KV_BLOCK; end >= begin may lie beyond the last row's position
 *     window positions that a row looks back on, its own among them, >= 1; INT_MAX: on all. Blocks
 *            that no row sees are not read, their kv[b] neither; in a block that a row sees, all
 *            positions up to its own have been put, with finite values
 *     part   [n_rows, heads, BB_ATTEND_PART(d)] row stride ld_part; of no positions: 0, -inf, 0
 *     scratch BB_ATTEND_SCRATCH(heads, d) floats
 *
 * One pass with a running maximum (online softmax), one rescale a block; each block is read from
 * memory once for all rows and heads. A row's bits do not depend on the other rows.
 * 0 <= n_rows <= BB_ATTEND_ROWS.
 * Source: Milakov & Gimelshein 2018, arXiv:1805.02867; Dao et al. 2022, arXiv:2205.14135.
 */
typedef void bb_attend_fn(int n_rows, int heads, int d, float scale, const float *q, size_t ldq,
                          const void *const *kv, size_t at, int pos, int begin, int end,
                          int window, float *part, size_t ld_part, float *scratch);
enum { BB_ATTEND_ROWS = 16 };             /* most query rows of one call */
#define BB_ATTEND_PART(d) (BB_KV_WIDTH(d) + 2)
#define BB_ATTEND_SCRATCH(heads, d) \
    (BB_KV_ELEMENTS(d) + BB_KV_BLOCK \
     + (size_t)BB_ATTEND_ROWS * (size_t)(heads) * (BB_KV_WIDTH(d) / 2 + 1))

/*
 * The attention of one row, from the parts of all it sees, which are at least one position:
 *
 *     out[h] = Σj f[j] · sum[j, h] / Σj f[j] · weight[j, h]       f[j] = exp(m[j, h] - maxj m)
 *
 *     part [n_parts, heads, BB_ATTEND_PART(d)] stride ld_part     out [heads, d]     n_parts >= 1
 *
 * Of parts made by bb_attend_fn, for a cache of S positions:
 * |out - exact| <= eps · ((d + 20) · X + S + 20) · Σs softmax_s · |v[s]|,
 * X = max_s Σ|scale·q·k[s]|, and 2^-8 · (X + 1) · Σs softmax_s · |v[s]| more by a kernel that
 * rounds queries and probabilities to bfloat16 (see bb_cache). A kernel for BB_TYPE_Q8 may multiply
 * in whole numbers: queries and, block by block, probabilities times scales rounded to 16 bits;
 * then (2^-9 + 2^-14 · Y) · Σs softmax_s · max|v[s]| more, Y = max_s scale · max|q| · Σ|k[s]|,
 * for d <= 512 (at larger d, queries keep log2(d/512) bits less).
 * Source: Dao et al. 2023, "Flash-Decoding for long-context inference".
 */
typedef void bb_attend_join_fn(int n_parts, int heads, int d, const float *part, size_t ld_part,
                               float *out);

/* ------------------------------------------------------------- limits ------------------- */

/* The sum of the 64-bit words of data [n] bytes modulo 2^64, n a multiple of 64: reading as fast
   as it goes. */
typedef uint64_t bb_read_fn(size_t n, const void *data);

/* Operations done, a multiply-add counted as two: `rounds` rounds of as many independent ones as
   the registers hold. Something they come to is added to or stored in *sink. */
typedef double bb_peak_fn(long rounds, float *sink);
enum { BB_PEAK_F32, BB_PEAK_BF16, BB_PEAK_I8, BB_N_PEAKS };       /* the type of the factors */

/* ------------------------------------------------------------- the table ---------------- */

/* How keys and values are remembered in one element type and attended to. */
typedef struct bb_cache {
    bb_kv_put_fn *put;
    bb_kv_get_fn *get;
    bb_attend_fn *attend;                 /* float32 arithmetic; BB_TYPE_Q8 in 16 bits */
    bb_attend_fn *attend_many;            /* attend, or one that is faster and rounds to bfloat16 */
} bb_cache;

typedef struct bb_kernels {
    const char           *name;           /* the level: "c" */
    unsigned              cpu;            /* BB_CPU_…: the families it was made of */
    bb_widen_fn          *widen[BB_N_FLOATS];      /* [BB_TYPE_F32] is NULL */
    bb_narrow_fn         *narrow[BB_N_FLOATS];     /* [BB_TYPE_F32] is NULL */
    bb_format             format[BB_N_FORMATS];
    bb_expand_fn         *expand[BB_N_FLOATS];     /* [BB_TYPE_BF16] is NULL */
    bb_cache              cache[BB_N_CACHES];
    bb_rows               rows[BB_N_CACHES];       /* of BB_TYPE_BF16 and BB_TYPE_Q8 */
    bb_attend_join_fn    *attend_join;
    bb_axpy_fn           *axpy;
    bb_gelu_mul_fn       *gelu_mul;
    bb_mul_fn            *mul;
    bb_relu2_fn          *relu2;
    bb_silu_mul_fn       *silu_mul;
    bb_rmsnorm_fn        *rmsnorm;
    bb_gated_rmsnorm_fn  *gated_rmsnorm;
    bb_softplus_clamp_fn *softplus_clamp;
    bb_rope_fn           *rope;
    bb_conv1d_fn         *conv1d;
    bb_selective_scan_fn *selective_scan;
    bb_ssd_step_fn       *ssd_step;
    bb_ssd_chunk_fn      *ssd_chunk;
    bb_ssd_cb_fn         *ssd_cb;
    bb_read_fn           *read;
    bb_peak_fn           *peak[BB_N_PEAKS];       /* NULL: no such instruction at this level */
} bb_kernels;

/* Whether matrices of a and of b have the same bytes. */
bool bb_format_is_like(const bb_format *a, const bb_format *b);

/* The row that reads stored tensors of this element type, or NULL. */
const bb_format *bb_format_of(const bb_kernels *k, bb_type stored);

/* A level is a set of families with a name: "c", "avx2", "avxvnni", "avx512", "avx512vnni",
   "avx512bf16". The set of a name if this build has kernels for it; -1 otherwise. */
int bb_cpu_level(const char *name);

/* Fill the table with the fastest kernels that use no other families than these. Pure. */
void bb_kernels_init(bb_kernels *k, unsigned cpu);

/* Replace formats and caches whose kernels round activations by those that keep float32. */
void bb_kernels_keep_f32(bb_kernels *k);

#endif
