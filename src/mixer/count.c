/* count.c - what a pass costs. The formulas stand in count.h. */
#include "mixer/count.h"

static uint64_t type_bytes(int type) { return type == BB_TYPE_F32 ? 4 : 2; }

static void add(bb_count *c, uint64_t bytes, uint64_t flops)
{
    c->bytes += bytes;
    c->flops += flops;
}

void bb_work_add(bb_work *w, uint64_t pos, uint64_t n_rows)
{
    w->T += n_rows;
    w->n_segments++;
    w->seen += n_rows * pos + n_rows * (n_rows + 1) / 2;
    w->reached += pos + n_rows;
}

void bb_count_product(const bb_linear *l, uint64_t T, bb_count *c)
{
    const uint64_t n = (uint64_t)l->w.rows * (uint64_t)l->w.cols;
    const uint64_t bias = l->bias ? (uint64_t)l->w.rows : 0;

    add(c, n * type_bytes(l->w.type) + bias * sizeof(float), (2 * n + bias) * T);
}

void bb_count_conv(uint64_t channels, uint64_t taps, const bb_work *w, bb_count *c)
{
    const uint64_t window = channels * (taps - 1) * sizeof(float);

    add(c, channels * taps * sizeof(float) + 2 * window * w->n_segments,
        2 * channels * taps * w->T);
}

void bb_count_scan(uint64_t heads, uint64_t P, uint64_t N, const bb_work *w, bb_count *c)
{
    const uint64_t n = heads * P * N;
    add(c, 2 * n * sizeof(float) * w->n_segments, 5 * n * w->T);
}

void bb_count_gated_norm(uint64_t inner, const bb_work *w, bb_count *c)
{
    add(c, inner * sizeof(float), 9 * inner * w->T);
}

void bb_count_rope(uint64_t heads, uint64_t d, uint64_t d_kv, uint64_t element_bytes,
                   const bb_work *w, bb_count *c)
{
    add(c, 2 * d_kv * element_bytes * w->T, 3 * heads * d * w->T);
}

void bb_count_attention(uint64_t heads, uint64_t d, uint64_t d_kv, uint64_t element_bytes,
                        const bb_work *w, bb_count *c)
{
    add(c, 2 * d_kv * element_bytes * w->reached, 4 * heads * d * w->seen);
}

void bb_count_pass(const bb_graph *g, const bb_work *w, bb_count *c)
{
    const uint64_t D = (uint64_t)g->d_model;

    add(&c[BB_OP_EMBED], w->T * D * type_bytes(g->embed.type), 0);
    for (size_t i = 0; i < g->n_blocks; i++) {
        add(&c[BB_OP_NORM], D * sizeof(float), 4 * D * w->T);
        for (int j = 0; j < g->block[i].n_mixers; j++) {
            const bb_mixer *m = g->block[i].mixer[j];
            if (m->kind->count) m->kind->count(m, w, c);
        }
    }
    if (w->n_wanted == 0) return;
    add(&c[BB_OP_NORM], D * sizeof(float), 4 * D * w->n_wanted);
    bb_count_product(&g->head, w->n_wanted, &c[BB_OP_HEAD]);
}
