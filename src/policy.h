/* policy.h - which format each matrix of a model gets.
 *
 * Owns:    the default mix behind a type; rules that override it by the names of tensors.
 * Not:     converting (graph/bind.h), formats (kernels/formats.h).
 * Errors:  ARGUMENT for a rule that is no regular expression.
 */
#ifndef BB_POLICY_H
#define BB_POLICY_H

#include "bamba.h"
#include "graph/bind.h"

typedef struct bb_policy {
    const bb_kernels *k;
    bb_type           type;               /* NONE: as stored */
    bool              is_hybrid;          /* some layers have states, if not all */
    int               n_layers;
    const bb_graph   *graph;              /* the caller's, as long as this asks */
    struct bb_rule   *rule;               /* [n]; the last that matches wins */
    size_t            n;
    struct bb_matcher *matcher;           /* scratch of the thread that binds */
    bb_allocator      alloc;
} bb_policy;

/* Both arrays of the options are copied; free it also after a failure. */
bb_status bb_policy_init(bb_policy *p, const bb_allocator *a, const bb_kernels *k,
                         const bb_graph *g, bb_type type, const bamba_type_rule *rules, size_t n,
                         bamba_error *err);
void      bb_policy_free(bb_policy *p);

/* A bb_policy_fn; context is a bb_policy *. */
const bb_format *bb_policy_choose(const void *context, bb_role role, const char *name, int rows,
                                  int cols, const bb_format *stored);

#endif
