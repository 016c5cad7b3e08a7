/* refer.c - what mixers compute, in double. */
#include "support/refer.h"

#include "support/lab.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static double *values(const store *s, const char *prefix, const char *name)
{
    char full[128];

    snprintf(full, sizeof full, "%s%s", prefix, name);
    return lab_values(s, full);
}

/* The weight and the bias (NULL if there is none) of a linear map. */
typedef struct linear { double *w, *b; } linear;

static linear read_linear(const store *s, const char *prefix, const char *name, bool has_bias)
{
    char   full[80];
    linear l = { NULL, NULL };

    snprintf(full, sizeof full, "%s.weight", name);
    l.w = values(s, prefix, full);
    snprintf(full, sizeof full, "%s.bias", name);
    if (has_bias) l.b = values(s, prefix, full);
    return l;
}

static void free_linear(linear *l) { free(l->w), free(l->b); }

static void *zeros(size_t n, size_t bytes)
{
    void *p = calloc(n + 1, bytes);
    if (!p) abort();
    return p;
}

static double silu(double v) { return v / (1 + exp(-v)); }

void refer_rmsnorm(const double *w, double epsilon, const double *x, int n, int width, double *out)
{
    for (int t = 0; t < n; t++, x += width, out += width) {
        double squares = 0;
        for (int i = 0; i < width; i++) squares += x[i] * x[i];
        const double scale = 1 / sqrt(squares / width + epsilon);
        for (int i = 0; i < width; i++) out[i] = x[i] * w[i] * scale;
    }
}

/* v [C] of token t after convolution by w [C, K] and SiLU; raw [t + 1, C] the columns so far. b may
   be NULL. */
static void convolve(int C, int K, const double *w, const double *b, const double *raw, int t,
                     double *v)
{
    for (int c = 0; c < C; c++) {
        double sum = b ? b[c] : 0;
        for (int j = 0; j < K; j++) {
            const int s = t - (K - 1) + j;
            if (s >= 0) sum += w[c * K + j] * raw[s * C + c];
        }
        v[c] = silu(sum);
    }
}

/* -------------------------------------------------------------- Mamba-1 ------------------ */

typedef struct weights1 {
    linear  in, x, dt, out;
    double *conv, *conv_b, *a_log, *D, *norm[3];
    int     H, P, R, N;
} weights1;

/* Head h, one token: u [P] after the convolution, S [P, N] updated, y [P]. */
static void select_head(const bb_mamba1_dims *d, const weights1 *w, int h, const double *u,
                        double *S, double *y)
{
    const int P = w->P, R = w->R, N = w->N, width[3] = { R, N, N };
    double   *low = zeros((size_t)(R + 2 * N), sizeof *low), *dt = zeros((size_t)P, sizeof *dt);
    double   *ones = zeros((size_t)(R + N), sizeof *ones), *part = low;
    const double *B = low + R, *C = B + N;

    for (int i = 0; i < R + N; i++) ones[i] = 1;
    lab_multiply(w->x.w + h * (R + 2 * N) * P, NULL, R + 2 * N, P, u, low);
    for (int i = 0; i < 3 && d->inner_norm != BB_INNER_NORM_NONE; part += width[i], i++)
        refer_rmsnorm(w->norm[i] ? w->norm[i] : ones, (double)d->epsilon, part, 1, width[i], part);
    lab_multiply(w->dt.w + h * P * R, w->dt.b + h * P, P, R, low, dt);
    for (int p = 0; p < P; p++) {
        const double step = log1p(exp(dt[p]));
        y[p] = w->D[h * P + p] * u[p];
        for (int n = 0; n < N; n++) {
            double *s = &S[p * N + n];
            *s = exp(-step * exp(w->a_log[(h * P + p) * N + n])) * *s + step * u[p] * B[n];
            y[p] += C[n] * *s;
        }
    }
    free(low), free(dt), free(ones);
}

static weights1 read_mamba1(const bb_mamba1_dims *d, const store *s, const char *prefix)
{
    static const char *const norms[3] = { "dt_layernorm.weight", "b_layernorm.weight",
                                          "c_layernorm.weight" };
    const bool is_stacked = d->n_heads > 0;
    weights1   w = {
        .in = read_linear(s, prefix, "in_proj", d->proj_bias),
        .out = read_linear(s, prefix, "out_proj", d->proj_bias),
        .conv = values(s, prefix, "conv1d.weight"), .a_log = values(s, prefix, "A_log"),
        .D = values(s, prefix, "D"), .H = is_stacked ? d->n_heads : 1, .R = d->dt_rank,
        .N = d->d_state,
    };

    w.P = d->d_inner / w.H;
    if (d->conv_bias) w.conv_b = values(s, prefix, "conv1d.bias");
    w.x.w = values(s, prefix, is_stacked ? "x_proj_weight" : "x_proj.weight");
    w.dt.w = values(s, prefix, is_stacked ? "dt_proj_weight" : "dt_proj.weight");
    w.dt.b = values(s, prefix, is_stacked ? "dt_proj_bias" : "dt_proj.bias");
    for (int i = 0; i < 3 && d->inner_norm == BB_INNER_NORM_WEIGHTED; i++)
        w.norm[i] = values(s, prefix, norms[i]);
    return w;
}

void refer_mamba1(const bb_mamba1_dims *d, const store *s, const char *prefix, const double *x,
                  int n, double *out)
{
    const int D = d->d_model, I = d->d_inner;
    double   *raw = zeros((size_t)(n * I), sizeof *raw);
    double   *S = zeros((size_t)(I * d->d_state), sizeof *S);
    double   *proj = zeros((size_t)(2 * I), sizeof *proj), *z = zeros((size_t)I, sizeof *z);
    double   *u = zeros((size_t)I, sizeof *u), *y = zeros((size_t)I, sizeof *y);
    weights1  w = read_mamba1(d, s, prefix);

    for (int t = 0; t < n; t++) {
        lab_multiply(w.in.w, w.in.b, 2 * I, D, x + t * D, proj);
        for (int i = 0; i < I; i++) {                 /* of stacks, x and z take turns */
            raw[t * I + i] = proj[d->n_heads > 0 ? 2 * i : i];
            z[i] = proj[d->n_heads > 0 ? 2 * i + 1 : I + i];
        }
        convolve(I, d->d_conv, w.conv, w.conv_b, raw, t, u);
        for (int h = 0; h < w.H; h++)
            select_head(d, &w, h, u + h * w.P, S + h * w.P * w.N, y + h * w.P);
        for (int i = 0; i < I; i++) y[i] *= silu(z[i]);
        lab_multiply(w.out.w, w.out.b, D, I, y, out + t * D);
    }
    free_linear(&w.in), free_linear(&w.x), free_linear(&w.dt), free_linear(&w.out);
    free(w.conv), free(w.conv_b), free(w.a_log), free(w.D), free(raw), free(S), free(proj), free(z);
    for (int i = 0; i < 3; i++) free(w.norm[i]);
    free(u), free(y);
}

/* -------------------------------------------------------------- Mamba-2 ------------------ */

typedef struct weights {
    linear  in, out;
    double *conv, *conv_b, *dt_bias, *a_log, *D, *norm;
} weights;

/* One token: S [H, P, N] updated, y [H, P]. xbc [C] after the convolution, raw_dt [H]. */
static void recur(const bb_mamba2_dims *d, const weights *w, const double *xbc,
                  const double *raw_dt, double *S, double *y)
{
    const int P = d->d_head;
    const int N = d->d_state;
    const int I = d->n_heads * P;

    for (int h = 0; h < d->n_heads; h++) {
        const int     g = h / (d->n_heads / d->n_groups);
        const double *B = xbc + I + g * N;
        const double *C = xbc + I + (d->n_groups + g) * N;
        const double  dt = fmin(fmax(log1p(exp(raw_dt[h] + w->dt_bias[h])), (double)d->dt_min),
                                (double)d->dt_max);
        const double  a = exp(-dt * exp(w->a_log[h]));
        for (int p = 0; p < P; p++) {
            const double x = xbc[h * P + p];
            double       sum = w->D[h] * x;
            for (int n = 0; n < N; n++) {
                double *s = &S[(h * P + p) * N + n];
                *s = a * *s + dt * x * B[n];
                sum += C[n] * *s;
            }
            y[h * P + p] = sum;
        }
    }
}

static void multiply_by_silu(int n, const double *z, double *y)
{
    for (int i = 0; i < n; i++) y[i] *= silu(z[i]);
}

/* y [I] gated by z and normed in G groups, in the order of the dims. */
static void gate(const bb_mamba2_dims *d, const weights *w, const double *z, double *y)
{
    const int I = d->n_heads * d->d_head, n = I / d->n_groups;

    if (d->gate != BB_NORM_THEN_GATE) multiply_by_silu(I, z, y);
    for (int g = 0; d->gate != BB_GATE_ALONE && g < d->n_groups; g++)
        refer_rmsnorm(w->norm + g * n, (double)d->epsilon, y + g * n, 1, n, y + g * n);
    if (d->gate == BB_NORM_THEN_GATE) multiply_by_silu(I, z, y);
}

/* A factor of 0 stands for 1. */
static double times(double factor) { return factor != 0 ? factor : 1; }

/* What in_proj makes of u [D]: each part and its bias by its factor, u by that of the input. */
static void project(const bb_mamba2_dims *d, const linear *in, const double *u, double *proj)
{
    const int I = d->n_heads * d->d_head, GN = d->n_groups * d->d_state;
    const int end[BB_MAMBA2_PARTS] = { I, 2 * I, 2 * I + GN, 2 * I + 2 * GN,
                                       2 * I + 2 * GN + d->n_heads };
    double   *scaled = zeros((size_t)d->d_model, sizeof *scaled);

    for (int i = 0; i < d->d_model; i++) scaled[i] = u[i] * times(d->times_in);
    lab_multiply(in->w, in->b, end[4], d->d_model, scaled, proj);
    for (int part = 0, i = 0; part < BB_MAMBA2_PARTS; part++)
        for (; i < end[part]; i++) proj[i] *= times(d->times[part]);
    free(scaled);
}

void refer_mamba2(const bb_mamba2_dims *d, const store *s, const char *prefix, const double *x,
                  int n, double *out)
{
    const int D = d->d_model, I = d->n_heads * d->d_head, C = I + 2 * d->n_groups * d->d_state;
    double   *raw = zeros((size_t)(n * C), sizeof *raw);
    double   *S = zeros((size_t)(I * d->d_state), sizeof *S);
    double   *proj = zeros((size_t)(I + C + d->n_heads), sizeof *proj);
    double   *xbc = zeros((size_t)C, sizeof *xbc), *y = zeros((size_t)I, sizeof *y);
    weights   w = {
        read_linear(s, prefix, "in_proj", d->in_bias),
        read_linear(s, prefix, "out_proj", d->out_bias),
        values(s, prefix, "conv1d.weight"), d->conv_bias ? values(s, prefix, "conv1d.bias") : NULL,
        values(s, prefix, "dt_bias"), values(s, prefix, "A_log"), values(s, prefix, "D"),
        d->gate != BB_GATE_ALONE ? values(s, prefix, "norm.weight") : NULL,
    };

    for (int t = 0; t < n; t++) {
        project(d, &w.in, x + t * D, proj);
        memcpy(raw + t * C, proj + I, (size_t)C * sizeof *raw);
        convolve(C, d->d_conv, w.conv, w.conv_b, raw, t, xbc);
        recur(d, &w, xbc, proj + I + C, S, y);
        gate(d, &w, proj, y);
        lab_multiply(w.out.w, w.out.b, D, I, y, out + t * D);
    }
    free_linear(&w.in), free_linear(&w.out), free(w.conv), free(w.conv_b), free(w.dt_bias);
    free(w.a_log), free(w.D), free(w.norm), free(raw), free(S), free(proj), free(xbc), free(y);
}

/* -------------------------------------------------------------- attention ---------------- */

void refer_rotate(const bb_attention_dims *d, int heads, int pos, double *x)
{
    const int half = d->rope.d / 2;

    for (int h = 0; h < heads; h++)
        for (int i = 0; i < half; i++) {
            double      *low = x + h * d->d_head + i;
            const double angle = pos / pow(d->rope.theta, (double)i / half);
            const double a = low[0];
            const double b = low[half];
            low[0] = a * cos(angle) - b * sin(angle);
            low[half] = b * cos(angle) + a * sin(angle);
        }
}

/* out [d_head] of query head h at position t, which sees positions 0 … sink - 1 with the query
   q_sink and those from `first` on with q; keys, value [t + 1, kv heads, d]; score: [t + 1]. */
static void attend(const bb_attention_dims *d, int h, int t, int sink, int first,
                   const double *q_sink, const double *q, const double *keys, const double *value,
                   double *score, double *out)
{
    const int width = d->n_kv_heads * d->d_head;
    const int at = h / (d->n_heads / d->n_kv_heads) * d->d_head;
    double    most = -INFINITY;
    double    sum = 0;

    for (int s = 0; s <= t; s++) {
        score[s] = s < sink || s >= first ? 0 : -INFINITY;
        for (int i = 0; i < d->d_head; i++)
            score[s] += (s < sink ? q_sink : q)[h * d->d_head + i] * keys[s * width + at + i];
        score[s] *= d->scale != 0.0f ? (double)d->scale : 1 / sqrt(d->d_head);
        most = fmax(most, score[s]);
    }
    for (int s = 0; s <= t; s++) sum += score[s] = exp(score[s] - most);
    for (int i = 0; i < d->d_head; i++) {
        out[i] = 0;
        for (int s = 0; s <= t; s++) out[i] += score[s] / sum * value[s * width + at + i];
    }
}

/* The maps of attention: three or one, and that of its output. */
typedef struct maps {
    linear  in[3], out;
    linear  low[3][2];                    /* low-rank terms of the first use */
    int     n, rows[3];
    double *conv, *conv_b;
} maps;

static maps read_maps(const bb_attention_dims *d, const store *s, const char *prefix)
{
    static const char *const names[3] = { "q_proj", "k_proj", "v_proj" };
    const int d_q = d->n_heads * d->d_head, d_kv = d->n_kv_heads * d->d_head;
    maps      m = { .n = 3, .rows = { d_q, d_kv, d_kv } };

    if (d->is_fused) m.n = 1, m.rows[0] = d_q + 2 * d_kv;
    for (int i = 0; i < m.n; i++)
        m.in[i] = read_linear(s, prefix, d->is_fused ? "in_proj" : names[i], d->bias);
    m.out = read_linear(s, prefix, d->is_fused ? "out_proj" : "o_proj", d->out_bias);
    for (int i = 0; i < 6 && d->low_rank.rank; i++) {
        char name[64];
        snprintf(name, sizeof name, "linear_%c_adapter_list.%d.%d", "qkv"[i / 2],
                 d->low_rank.first, i % 2);
        m.low[i / 2][i % 2] = read_linear(s, prefix, name, false);
    }
    if (d->d_conv > 0) m.conv = values(s, prefix, "conv1d.weight");
    if (d->d_conv > 0) m.conv_b = values(s, prefix, "conv1d.bias");
    return m;
}

static void free_maps(maps *m)
{
    for (int i = 0; i < m->n; i++) free_linear(&m->in[i]);
    for (int i = 0; i < 6; i++) free_linear(&m->low[i / 2][i % 2]);
    free_linear(&m->out), free(m->conv), free(m->conv_b);
}

/* qkv [C] of row t, whose projection goes into raw [t + 1, C]. */
static void make_qkv(const bb_attention_dims *d, const maps *m, int C, const double *x, double *raw,
                     int t, double *qkv)
{
    const int d_q = d->n_heads * d->d_head, d_kv = d->n_kv_heads * d->d_head;
    double   *u = zeros((size_t)d->d_model, sizeof *u), *row = raw + t * C;

    for (int i = 0; i < d->d_model; i++) u[i] = x[i] * times(d->times_in);
    for (int i = 0, at = 0; i < m->n; at += m->rows[i++])
        lab_multiply(m->in[i].w, m->in[i].b, m->rows[i], d->d_model, u, row + at);
    for (int i = 0, at = 0; i < 3 && d->low_rank.rank; at += m->rows[i++]) {
        double *low = zeros((size_t)d->low_rank.rank, sizeof *low);
        double *term = zeros((size_t)C, sizeof *term);
        lab_multiply(m->low[i][0].w, NULL, d->low_rank.rank, d->d_model, u, low);
        lab_multiply(m->low[i][1].w, NULL, m->rows[i], d->low_rank.rank, low, term);
        for (int r = 0; r < m->rows[i]; r++) row[at + r] += term[r];
        free(low), free(term);
    }
    for (int i = d_q; i < d_q + d_kv; i++) row[i] *= times(d->times_key);
    for (int c = 0; c < C; c++) {
        qkv[c] = d->d_conv > 0 ? m->conv_b[c] : row[c];
        for (int j = 0; j < d->d_conv; j++) {
            const int from = t - (d->d_conv - 1) + j;
            if (from >= 0) qkv[c] += m->conv[c * d->d_conv + j] * raw[from * C + c];
        }
    }
    free(u);
}

void refer_attention(const bb_attention_dims *d, bb_type kv_type, const store *s,
                     const char *prefix, const double *x, int n, double *out)
{
    refer_windowed(d, kv_type, s, prefix, x, n, n, 0, out);
}

void refer_windowed(const bb_attention_dims *d, bb_type kv_type, const store *s, const char *prefix,
                    const double *x, int n, int window, int sink, double *out)
{
    const int D = d->d_model, d_q = d->n_heads * d->d_head, d_kv = d->n_kv_heads * d->d_head;
    const int d_out = d->d_out ? d->d_out : D, C = d_q + 2 * d_kv;
    double   *keys = zeros((size_t)(n * d_kv), sizeof *keys);
    double   *value = zeros((size_t)(n * d_kv), sizeof *value);
    double   *score = zeros((size_t)n, sizeof *score), *y = zeros((size_t)d_q, sizeof *y);
    double   *raw = zeros((size_t)(n * C), sizeof *raw), *q = zeros((size_t)C, sizeof *q);
    double   *q_sink = zeros((size_t)C, sizeof *q_sink);
    maps      m = read_maps(d, s, prefix);

    for (int t = 0; t < n; t++) {
        double *k = keys + t * d_kv;
        double *v = value + t * d_kv;
        make_qkv(d, &m, C, x + t * D, raw, t, q);
        memcpy(k, q + d_q, (size_t)d_kv * sizeof *k);
        memcpy(v, q + d_q + d_kv, (size_t)d_kv * sizeof *v);
        memcpy(q_sink, q, (size_t)C * sizeof *q);
        refer_rotate(d, d->n_heads, t, q);
        refer_rotate(d, d->n_heads, t < sink + window ? t : sink + window - 1, q_sink);
        refer_rotate(d, d->n_kv_heads, t, k);
        for (int h = 0; h < d->n_kv_heads; h++) {
            lab_round_row(kv_type, d->d_head, k + h * d->d_head);
            lab_round_row(kv_type, d->d_head, v + h * d->d_head);
        }
        for (int j = 0; j < d->n_heads; j++)
            attend(d, j, t, sink, t - window + 1, q_sink, q, keys, value, score, y + j * d->d_head);
        lab_multiply(m.out.w, m.out.b, d_out, d_q, y, out + t * d_out);
    }
    free_maps(&m);
    free(keys), free(value), free(score), free(q), free(q_sink), free(y), free(raw);
}

/* -------------------------------------------------------------- MLP ---------------------- */

/* out [2, F]: gate and up of one row. In one map either may come first; the low-rank term of the
   first use is that of both. */
static void make_pair(const bb_mlp_dims *d, const linear *gate, const linear *up,
                      const linear low[2], const double *x, double *out)
{
    const int D = d->d_model, F = d->d_ff, rank = d->low_rank.rank;
    double   *both = zeros((size_t)(2 * F), sizeof *both);
    double   *inner = zeros((size_t)rank, sizeof *inner);

    if (d->gate_up) {
        lab_multiply(gate->w, gate->b, 2 * F, D, x, both);
        memcpy(out, both + (d->up_first ? F : 0), (size_t)F * sizeof *out);
        memcpy(out + F, both + (d->up_first ? 0 : F), (size_t)F * sizeof *out);
    } else {
        if (gate->w) lab_multiply(gate->w, gate->b, F, D, x, out);
        lab_multiply(up->w, up->b, F, D, x, out + F);
    }
    if (rank > 0) {
        lab_multiply(low[0].w, NULL, rank, D, x, inner);
        lab_multiply(low[1].w, NULL, 2 * F, rank, inner, both);
        for (int i = 0; i < 2 * F; i++) out[i] += both[i];
    }
    free(both), free(inner);
}

static double activate(bb_activation kind, double gate, double up)
{
    switch (kind) {
    case BB_ACT_SILU_GATED: return silu(gate) * up;
    case BB_ACT_GELU_GATED: return 0.5 * gate * erfc(-gate / sqrt(2)) * up;
    default: return fmax(up, 0) * fmax(up, 0);
    }
}

void refer_mlp(const bb_mlp_dims *d, const store *s, const char *prefix, const double *x, int n,
               double *out)
{
    const int D = d->d_model, F = d->d_ff;
    linear    up = { NULL, NULL }, gate = { NULL, NULL };
    linear    low[2] = { { NULL, NULL }, { NULL, NULL } };
    linear    down = read_linear(s, prefix, d->down ? d->down : "down_proj", d->bias);
    double   *pair = zeros((size_t)(2 * F), sizeof *pair), *y = zeros((size_t)F, sizeof *y);
    char      name[64];

    for (int i = 0; i < 2 && d->low_rank.rank; i++) {
        snprintf(name, sizeof name, "gate_up_proj_adapter_list.%d.%d", d->low_rank.first, i);
        low[i] = read_linear(s, prefix, name, false);
    }
    if (d->gate_up) gate = read_linear(s, prefix, d->gate_up, d->bias);
    else if (d->activation != BB_ACT_RELU2) gate = read_linear(s, prefix, "gate_proj", d->bias);
    if (!d->gate_up) up = read_linear(s, prefix, "up_proj", d->bias);
    for (int t = 0; t < n; t++) {
        make_pair(d, &gate, &up, low, x + t * D, pair);
        for (int i = 0; i < F; i++)
            y[i] = activate(d->activation, pair[i] * times(d->times_gate), pair[F + i]);
        lab_multiply(down.w, down.b, D, F, y, out + t * D);
    }
    for (int i = 0; i < 2; i++) free_linear(&low[i]);
    free_linear(&up), free_linear(&down), free_linear(&gate), free(pair), free(y);
}

/* -------------------------------------------------------------- experts ------------------ */

/* An expert's matrix out of a stack, or on its own. */
static double *read_expert(const store *s, const char *prefix, const char *stack,
                           const char *one, int i, size_t elements)
{
    char name[64];

    if (!stack) {
        snprintf(name, sizeof name, "%.*s%d%s", (int)(strstr(one, "%d") - one), one, i,
                 strstr(one, "%d") + 2);
        return values(s, prefix, name);
    }
    double *all = values(s, prefix, stack), *part = zeros(elements, sizeof *part);
    memcpy(part, all + (size_t)i * elements, elements * sizeof *part);
    free(all);
    return part;
}

/* out [D] += weight · expert(x) */
static void add_expert(const bb_moe_dims *d, const store *s, const char *prefix, int i,
                       double weight, const double *x, double *out)
{
    const bb_moe_names *n = &d->names;
    const int           D = d->d_latent ? d->d_latent : d->d_model, F = d->d_ff;
    const bool          is_gated = d->activation == BB_ACT_SILU_GATED;
    const size_t        size = (size_t)D * (size_t)F;
    double *in = read_expert(s, prefix, n->in_stack, n->up, i,
                             is_gated && n->in_stack ? 2 * size : size);
    double *gate = !is_gated ? NULL
                 : n->in_stack ? in : read_expert(s, prefix, NULL, n->gate, i, size);
    double *down = read_expert(s, prefix, n->out_stack, n->down, i, size);
    double *u = zeros((size_t)F, sizeof *u), *g = zeros((size_t)F, sizeof *g);
    double *y = zeros((size_t)D, sizeof *y);

    lab_multiply(is_gated && n->in_stack ? in + size : in, NULL, F, D, x, u);
    if (is_gated) lab_multiply(gate, NULL, F, D, x, g);
    for (int j = 0; j < F; j++) u[j] = is_gated ? u[j] * silu(g[j]) : fmax(u[j], 0) * fmax(u[j], 0);
    lab_multiply(down, NULL, D, F, u, y);
    for (int j = 0; j < D; j++) out[j] += weight * y[j];
    if (gate != in) free(gate);
    free(in), free(down), free(u), free(g), free(y);
}

/* How many of the scores are better: larger, or as large with a lower number. */
static int rank_of(const double *score, int n, int i)
{
    int rank = 0;

    for (int j = 0; j < n; j++) rank += score[j] > score[i] || (score[j] == score[i] && j < i);
    return rank;
}

/* Only the best groups stay: the others' choices become infinitely bad. */
static void drop_groups(const bb_moe_dims *d, double *choice)
{
    const int size = d->n_experts / d->n_groups;
    double   *rating = zeros((size_t)d->n_groups, sizeof *rating);

    for (int g = 0; g < d->n_groups; g++)
        for (int i = 0; i < size; i++)
            if (rank_of(choice + g * size, size, i) < 2) rating[g] += choice[g * size + i];
    for (int g = 0; g < d->n_groups; g++)
        for (int i = 0; rank_of(rating, d->n_groups, g) >= d->n_top_groups && i < size; i++)
            choice[g * size + i] = -INFINITY;
    free(rating);
}

/* weight [E] of each expert for scores [E], 0 for those not chosen. */
static void refer_router(const bb_moe_dims *d, const double *correction, const double *score,
                         double *weight)
{
    const int E = d->n_experts;
    double    all = 0, chosen = 0, *choice = zeros((size_t)E, sizeof *choice);
    bool      is_sigmoid = d->router == BB_ROUTER_SIGMOID;

    for (int i = 0; i < E; i++) {
        weight[i] = is_sigmoid ? 1 / (1 + exp(-score[i])) : exp(score[i]);
        all += weight[i];
        choice[i] = weight[i] + (correction ? correction[i] : 0);
    }
    if (d->n_groups) drop_groups(d, choice);
    for (int i = 0; i < E; i++) {
        if (rank_of(choice, E, i) >= d->n_used) weight[i] = 0;
        chosen += weight[i];
    }
    const double sum = d->normalise || d->router == BB_ROUTER_TOP_SOFTMAX ? chosen
                     : is_sigmoid ? 1 : all;
    for (int i = 0; i < E; i++) weight[i] *= (d->scaling ? (double)d->scaling : 1) / sum;
    free(choice);
}

/* y [rows] of the map `name` to or from the experts' latent space. */
static void map_latent(const bb_moe_dims *d, const store *s, const char *prefix, const char *name,
                       int rows, int cols, const double *x, double *y)
{
    char full[64];

    snprintf(full, sizeof full, "%s.weight", name);
    double *w = values(s, prefix, full);
    snprintf(full, sizeof full, "%s.bias", name);
    double *bias = d->latent_bias ? values(s, prefix, full) : NULL;
    lab_multiply(w, bias, rows, cols, x, y);
    free(w), free(bias);
}

void refer_moe(const bb_moe_dims *d, const store *s, const char *prefix, const double *x, int n,
               double *out)
{
    const int D = d->d_model, E = d->n_experts, L = d->d_latent;
    double   *router = values(s, prefix, d->names.router);
    double   *correction = d->names.correction ? values(s, prefix, d->names.correction) : NULL;
    double   *score = zeros((size_t)E, sizeof *score), *weight = zeros((size_t)E, sizeof *weight);
    double   *in = zeros((size_t)L + 1, sizeof *in), *sum = zeros((size_t)L + 1, sizeof *sum);

    for (int t = 0; t < n; t++) {
        const double *u = x + t * D;
        double       *y = L ? sum : out + t * D;
        lab_multiply(router, NULL, E, D, u, score);
        refer_router(d, correction, score, weight);
        if (L) map_latent(d, s, prefix, d->names.latent_in, L, D, u, in);
        for (int i = 0; i < (L ? L : D); i++) y[i] = 0;
        for (int i = 0; i < E; i++)
            if (weight[i] != 0) add_expert(d, s, prefix, i, weight[i], L ? in : u, y);
        if (L) map_latent(d, s, prefix, d->names.latent_out, D, L, sum, out + t * D);
    }
    free(router), free(correction), free(score), free(weight), free(in), free(sum);
}
