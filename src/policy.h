/* policy.h - which format each matrix of a model gets.
 *
 * Owns:    the default mix behind a type; rules that override it by the names of tensors.
 * Not:     converting (graph/bind.h), formats (kernels/formats.h).
 * Errors:  ARGUMENT for a rule that is no regular expression, or that matches nothing.
 */
#ifndef BB_POLICY_H
#define BB_POLICY_H

#include "bamba.h"
#include "graph/bind.h"

enum { BB_POLICY_ALSO = 2 };

typedef struct bb_policy {
    const bb_kernels *k;
    bb_type           type;               /* NONE: as stored */
    bool              is_hybrid;          /* some layers have states, if not all */
    int               n_layers;
    const bb_graph   *graph;              /* the caller's, as long as this asks, as are the next */
    const char       *where;              /* the model's path, for messages */
    const char       *also[BB_POLICY_ALSO];           /* names that matrices may have though nothing
                                             asks about them now: a rule may match them; NULL */
    struct bb_rule   *rule;               /* [n]; the last that matches wins */
    size_t            n;
    struct bb_matcher *matcher;           /* scratch of the thread that binds */
    bb_allocator      alloc;
} bb_policy;

/* The patterns of the rules are the caller's, as long as this asks; free it also after a
   failure. */
bb_status bb_policy_init(bb_policy *p, const bb_allocator *a, const bb_kernels *k,
                         const bb_graph *g, bb_type type, const bamba_type_rule *rules, size_t n,
                         bamba_error *err);
void      bb_policy_free(bb_policy *p);

/* A bb_policy_fn; context is a bb_policy *. */
const bb_format *bb_policy_choose(const void *context, bb_role role, const char *name, int rows,
                                  int cols, const bb_format *stored);

/* A bb_policy_check_fn: fails if a rule has matched none of the names that were asked about. A
   mistyped pattern would otherwise leave the weights it is meant for in the wrong type. */
bb_status bb_policy_check(const void *context, bamba_error *err);

#endif
