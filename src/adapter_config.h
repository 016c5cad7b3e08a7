/* adapter_config.h - adapter_config.json of a PEFT directory: ranks, scales, what is adapted.
 *
 * Owns:    the keys, and which of them are refused, since they change what an adapter computes.
 * Not:     the tensors (adapter_file.h).
 * Errors:  one line that names file and key; of a module, key and module.
 * Source:  huggingface/peft tuners/lora/config.py, tuners/tuners_utils.py, utils/other.py.
 */
#ifndef BB_ADAPTER_CONFIG_H
#define BB_ADAPTER_CONFIG_H

#include "base/alloc.h"

#include <stdbool.h>

enum { BB_MOST_RANK = 4096 };

typedef struct bb_adapter_config bb_adapter_config;

bb_status bb_adapter_config_open(bb_adapter_config **out, const bb_allocator *a, const char *path,
                                 const bb_log *log, bamba_error *err);
void      bb_adapter_config_close(bb_adapter_config *c);

/* What the file says of a module: by the path that the module has in the model. */
typedef struct bb_adapter_terms {
    int    rank;
    double scale;                         /* of B · A */
    bool   has_other_rank;                /* a head that ensure_weight_tying ties: its matrices are
                                             the embedding's and have its rank, its scale is its
                                             own */
} bb_adapter_terms;

/* Fails if the module is none of those that are adapted. is_head: the output layer. */
bb_status bb_adapter_config_terms(const bb_adapter_config *c, const char *module, bool is_head,
                                  bb_adapter_terms *terms, bamba_error *err);
/* Whether target_parameters names a parameter, "….experts.gate_up_proj", whose module is then not
   adapted as a linear layer; and what the file says of it. It is of all layers, as in PEFT. */
bool      bb_adapter_config_has_parameter(const bb_adapter_config *c, const char *parameter);
bb_status bb_adapter_config_parameter(const bb_adapter_config *c, const char *parameter,
                                      bb_adapter_terms *terms, bamba_error *err);
/* Whether PEFT would adapt a module of that path, a linear map but not the output layer. Of a file
   without target_modules nothing is known: no. */
bb_status bb_adapter_config_adapts(const bb_adapter_config *c, const char *module, bool *adapts,
                                   bamba_error *err);
/* The i-th name of modules_to_save; NULL behind the last. */
const char *bb_adapter_config_saved(const bb_adapter_config *c, size_t i);
/* Whether `path`, of a module or tensor, is that of a module which such a name is for, or lies
   within it. As in PEFT, a name is for all modules whose paths end with it, in the midst of a word
   too: "norm" is for "layers.0.input_layernorm". */
bool        bb_adapter_is_within(const char *path, const char *name);
/* Whether modules_to_save names the module, or one that it lies within. */
bool      bb_adapter_config_saves(const bb_adapter_config *c, const char *module);
/* The version of PEFT that has written the file, "0.18.2.dev0@…"; "": it does not say. */
const char *bb_adapter_config_version(const bb_adapter_config *c);
/* Whether B has a bias of its own. */
bool      bb_adapter_config_has_bias(const bb_adapter_config *c);

#endif
