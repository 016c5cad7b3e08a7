/* safetensors.h - one safetensors file as a list of tensors.
 *
 * Owns:    every rule of the format: header length, JSON, dtype × shape = bytes, offsets inside
 *          the file without overlap or hole, duplicate names.
 * Not:     shards (checkpoint.h), what a tensor is for (graph/).
 * Errors:  "file: 'tensor': expected …, found …".
 * Source:  huggingface/safetensors README.md and safetensors/src/tensor.rs.
 */
#ifndef BB_LOAD_SAFETENSORS_H
#define BB_LOAD_SAFETENSORS_H

#include "base/alloc.h"
#include "load/tensor.h"

bb_status bb_safetensors_open(bb_container **out, const bb_allocator *a, const char *path,
                              bamba_error *err);

#endif
