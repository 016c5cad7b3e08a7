/* activation.h - what stands between the two linear maps of an MLP or an expert.
 *
 * Owns:    the table of activations, whose numbers are in mixers.h.
 * Not:     the arithmetic (kernels/).
 */
#ifndef BB_MIXER_ACTIVATION_H
#define BB_MIXER_ACTIVATION_H

#include "mixer/mixers.h"

typedef struct bb_activation_row {
    const char *name;                     /* in a printed plan; "": the usual one */
    bool        is_gated;
    int         flops;                    /* of one column */
    /* As bb_epilogue has it: y is the gate and partner what it multiplies, or y is all there is. */
    void      (*run)(const bb_kernels *k, int n, const float *y, const float *partner, float *out);
} bb_activation_row;

extern const bb_activation_row bb_activations[BB_N_ACTIVATIONS];

#endif
