/* adapter_experts.h - adapters of parameters that hold the matrices of several linear maps.
 *
 * Owns:    which parameter a tensor is for, and which maps; the shapes of such tensors.
 * Not:     tensors of linear layers (adapter_file.h), the layout of A and B (bb_adapted).
 * Errors:  one line that names the file and the key or tensor.
 * Source:  huggingface/peft tuners/lora/layer.py, ParamWrapper; tuners/tuners_utils.py.
 */
#ifndef BB_ADAPTER_EXPERTS_H
#define BB_ADAPTER_EXPERTS_H

#include "adapter_config.h"
#include "adapter_file.h"

/* Take a tensor whose name ends behind the module `path` with lora_A.weight (kind 'A'),
   lora_B.weight ('B') or something else (0, which fails), into all maps of the parameter that it
   is for. Fails if target_parameters names no parameter of that module. */
bb_status bb_adapter_take_part(bb_adapter_file *f, const bb_adapter_config *config,
                               const bb_graph *g, const bb_tensor *t, char kind, const char *path,
                               bamba_error *err);

/* Once all tensors are taken: find which way round those of parts lie. Until version 0.19.0 PEFT
   took the rows of a parameter [n, rows, cols] for the inputs, which A is over. Shapes show it,
   unless all matrices are square; then the version does, if the file has it. */
void bb_adapter_settle_parts(bb_adapter_file *f, const bb_adapter_config *config);

#endif
