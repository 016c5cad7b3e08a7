/* activation.c - what stands between the two linear maps of an MLP or an expert. */
#include "mixer/activation.h"

#include <math.h>

/* silu(gate) · up */
static void silu_gated(const bb_kernels *k, int n, const float *gate, const float *up, float *out)
{
    k->silu_mul(n, gate, up, out);
}

/* gelu(gate) · up */
static void gelu_gated(const bb_kernels *k, int n, const float *gate, const float *up, float *out)
{
    k->gelu_mul(n, gate, up, out);
}

/* relu(up)² */
static void relu2(const bb_kernels *k, int n, const float *up, const float *none, float *out)
{
    (void)none;
    k->relu2(n, up, out);
}

/* A new activation is a line here and its name in mixers.h. */
const bb_activation_row bb_activations[BB_N_ACTIVATIONS] = {
    [BB_ACT_SILU_GATED] = { "", true, 5, silu_gated },
    [BB_ACT_RELU2]      = { ", relu2", false, 2, relu2 },
    [BB_ACT_GELU_GATED] = { ", gelu", true, 16, gelu_gated },
};
