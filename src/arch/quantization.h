/* quantization.h - what config.json says of quantized modules.
 *
 * Owns:    reading quantization_config of compressed-tensors and of transformers' fp8; which scheme
 *          a module has by its name.
 * Not:     the tensors (graph/quantized.h), which decide whether a module is quantized.
 * Errors:  sticky in the document; methods and formats that are not read are UNSUPPORTED by name.
 *
 * Source: vllm-project/compressed-tensors, quantization/quant_config.py and utils/match.py.
 */
#ifndef BB_ARCH_QUANTIZATION_H
#define BB_ARCH_QUANTIZATION_H

#include "base/json.h"
#include "graph/quantized.h"

typedef struct bb_quantization bb_quantization;

/* Whether quantization_config, or compression_config as old files call it, is of a method that is
   read, or there is none; otherwise that failure is recorded. */
bool bb_quantization_is_read(const bb_json *config);

/* NULL in *out if config.json says nothing. Only failures beyond the document are returned. */
bb_status bb_quantization_read(bb_quantization **out, const bb_allocator *a, const bb_json *config,
                               bamba_error *err);
void      bb_quantization_free(bb_quantization *q);

/* A bb_scheme_fn; context is a bb_quantization *, or NULL. For one thread. */
const bb_scheme *bb_quantization_scheme(const void *context, const char *module);

#endif
