/* lora.h - small random LoRA adapters as PEFT writes them, for the checkpoints of tiny.h.
 *
 * Owns:    names and shapes of their tensors; a plain adapter_config.json.
 * Errors:  abort(), as in tempdir.h.
 */
#ifndef SUPPORT_LORA_H
#define SUPPORT_LORA_H

#include "support/tiny.h"

/* Append A [rank, cols] and B [rows, rank] for a module "model.layers.0.mamba.in_proj". */
void lora_add(store *s, const char *module, int rows, int cols, int rank, uint64_t seed);

/* All linear layers of the model. */
void lora_add_all(store *s, const tiny_dims *d, int rank, uint64_t seed);

/* A tensor of float32 by its whole name, random over (-scale, scale). */
void lora_add_tensor(store *s, const char *name, int n_dims, const size_t *dim, float scale,
                     uint64_t seed);

/* "adapter_config.json" of this rank, alpha twice the rank, with further members
   ("\"bias\": \"all\""; NULL: none), which stand first; and the tensors. */
void lora_write(const store *s, int rank, const char *members, const char *dir);

#endif
