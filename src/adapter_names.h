/* adapter_names.h - which part of a model a module's path is the name of.
 *
 * Owns:    the prefixes of base models; the linear maps by the paths of their modules.
 * Not:     what the tensors of a module are for (adapter_file.h); parameters that hold the matrices
 *          of several maps (adapter_experts.h).
 * Errors:  out of memory.
 */
#ifndef BB_ADAPTER_NAMES_H
#define BB_ADAPTER_NAMES_H

#include "objects.h"

enum {
    BB_MOST_PATH = 2 * BB_MAX_NAME,       /* bytes of a module's path, with its NUL */
    BB_MOST_PARAMETER = 3 * BB_MAX_NAME   /* of the path of a parameter in it */
};

/* A name without the prefixes of base models. */
const char *bb_adapter_bare(const char *name);

/* Bytes of the path of the module whose weight has this name, "PATH.weight"; 0: it is no weight. */
size_t bb_adapter_module_bytes(const char *weight);

/* Whether two names are those of the same tensor, whatever base model they stand under. */
bool bb_adapter_is_same_name(const char *a, const char *b);

/* The whole name of the parameter that a map is a part of: full [BB_MOST_PARAMETER]. */
void bb_adapter_name_parameter(const bb_linear_name *l, char *full);

/* Whether a module is the embedding; the head, tied or not. */
bool bb_adapter_is_embedding(const bb_graph *g, const char *path);
bool bb_adapter_is_head(const bb_graph *g, const char *path);

/* A graph's linear maps, sorted. */
typedef struct bb_adapter_names bb_adapter_names;

bb_status bb_adapter_names_open(bb_adapter_names **out, const bb_allocator *a, const bb_graph *g,
                                bamba_error *err);
void      bb_adapter_names_close(bb_adapter_names *t);

/* The place of a module among an adapter file's maps: the id of its linear map, the least of those
   of a stack; n_linears - 1: the head; n_linears: the embedding; n_linears + 1: none of them. */
size_t bb_adapter_names_find(const bb_adapter_names *t, const char *path);

#endif
