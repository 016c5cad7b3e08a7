/* quantized.h - a matrix as compressed-tensors and transformers' fp8 store it: codes and scales.
 *
 * Owns:    which tensors of a module say what its weights are, their types and shapes; scales and
 *          zeros as float32.
 * Not:     config.json (arch/quantization.h); finding tensors and memory (bind.c).
 * Errors:  FORMAT for what contradicts itself, UNSUPPORTED for schemes that are not read; one line
 *          that names the tensor.
 *
 * Whether a module is quantized is decided by its tensors; what config.json says of it is held
 * against them.
 * Source: vllm-project/compressed-tensors, compressors/{naive_quantized,pack_quantized},
 * quantization/lifecycle/initialize.py; huggingface/transformers integrations/finegrained_fp8.py.
 */
#ifndef BB_GRAPH_QUANTIZED_H
#define BB_GRAPH_QUANTIZED_H

#include "base/error.h"
#include "kernels.h"
#include "load/tensor.h"

#include <stdbool.h>

/* What config.json says of a module's weights. */
typedef enum bb_strategy {
    BB_STRATEGY_ANY,                      /* not said */
    BB_STRATEGY_TENSOR, BB_STRATEGY_CHANNEL, BB_STRATEGY_GROUP, BB_STRATEGY_BLOCK
} bb_strategy;

typedef struct bb_scheme {
    bb_strategy strategy;
    int         bits;                     /* 8, 4; 0: not said */
    bool        is_float, has_zero;
    int         group;                    /* columns of BB_STRATEGY_GROUP */
    int         block_rows, block_cols;   /* of BB_STRATEGY_BLOCK, or what it would be */
} bb_scheme;

/* The scheme of a module by its full name, or NULL: config.json says nothing. */
typedef const bb_scheme *bb_scheme_fn(const void *context, const char *module);

/* The tensors of a module by the end of their names. */
enum {
    BB_PART_WEIGHT, BB_PART_PACKED, BB_PART_SCALE, BB_PART_SCALE_INV, BB_PART_ZERO, BB_PART_SHAPE,
    BB_PART_INDEX, BB_PART_GLOBAL,
    BB_PART_NEEDED,                       /* those behind are for activations: not needed */
    BB_N_PARTS = BB_PART_NEEDED + 6
};
extern const char *const bb_part_name[BB_N_PARTS];    /* "weight", "weight_packed" … */

typedef const bb_tensor *bb_parts[BB_N_PARTS];        /* NULL: the checkpoint does not have it */

/* Whether these are a quantized module's. */
bool bb_is_quantized(const bb_parts part);

/* Whether a tensor that no module takes belongs to quantized keys and values, or activations. */
bool bb_is_quantized_extra(const char *name);

typedef struct bb_quantized {
    int              format;              /* BB_FORMAT_F8_SCALED … */
    const bb_tensor *scale, *zero;        /* zero may be NULL */
    int              bits;
    size_t           n_scales;
    /* Of the whole tensor; scale and zero are left to the caller, who has the memory. */
    bb_scaled        layout;
} bb_quantized;

/* Read the tensors of the module `name` as a matrix [rows, cols]. scheme may be NULL. */
bb_status bb_quantized_read(bb_quantized *q, const bb_parts part, const char *name, int rows,
                            int cols, const bb_scheme *scheme, bamba_error *err);

/* Scales, and zeros if there are any, as float32: scale, zero [n_scales]. */
bb_status bb_quantized_scales(const bb_quantized *q, const bb_kernels *k, float *scale, float *zero,
                              bamba_error *err);

/* Whether each row has one scale and no zero, and its bytes are codes as they are: a matrix of the
   formats F8 or I8, whose number goes to *format. */
bool bb_quantized_is_plain(const bb_quantized *q, int *format);

#endif
