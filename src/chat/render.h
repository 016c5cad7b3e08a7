/* render.h - running a template: variables, loops, macros, output.
 *
 * Owns:    scopes, the order of evaluation, what calls do.
 * Not:     the values' own operations (value.h, operators.c), filters and the like (builtin.h).
 * Errors:  sticky, as work.h: values are then undefined.
 */
#ifndef BB_CHAT_RENDER_H
#define BB_CHAT_RENDER_H

#include "chat/builtin.h"
#include "chat/syntax.h"

typedef struct bb_scope {
    struct bb_scope *outer;               /* where else a name is looked up                    */
    struct bb_variable { const bb_passage *name; bb_value value; } *variable;
    size_t           n, capacity;
    bool             is_held;             /* a macro refers to it: it cannot be used again     */
} bb_scope;

typedef struct bb_macro {
    const bb_node *node;
    bb_scope      *scope;                 /* where it was defined                              */
} bb_macro;

/* A loop under way. The next item is looked for when it is needed, since a loop's condition may
   depend on what its body did. */
typedef struct bb_loop {
    const bb_node *node;
    bb_scope      *scope;                 /* around it                                         */
    bb_list       *source;
    bb_list       *stream;                /* to be told how far the loop came; or NULL         */
    size_t         next;                  /* in source                                         */
    bool           is_filtered;           /* by the condition of the loop                      */
    int64_t        index0, depth0;
    bb_value       before, current, after;            /* BB_MISSING: none, or not looked for   */
    bb_value       changed;               /* arguments of the last loop.changed()              */
} bb_loop;

struct bb_render {
    bb_work        w;
    const bb_syntax *syntax;
    const bb_dict *variables;             /* given to the template                             */
    bb_scope      *scope;
    bb_builder    *out;
    int64_t        now;                   /* for strftime_now: seconds since 1970 of the clock
                                             to be shown                                       */
};

/* Run a template. Its output is what r->out has gained. */
void bb_run(bb_render *r, const bb_syntax *syntax);

bb_value bb_evaluate(bb_render *r, const bb_node *node);
bb_value bb_call_value(bb_render *r, bb_value callee, const bb_arguments *arguments);
void     bb_assign(bb_render *r, const bb_node *target, bb_value value);
/* Apply the filters of a block, whose innermost has no input, to its text. */
bb_value bb_apply_filters(bb_render *r, const bb_node *filter, bb_value input);

/* statement.c, for calls of macros and of `loop`: */
bb_value bb_call_macro(bb_render *r, const bb_macro *m, const bb_arguments *arguments);
bb_value bb_call_loop(bb_render *r, bb_loop *loop, const bb_arguments *arguments);
bb_value bb_loop_attribute(bb_render *r, bb_loop *loop, const bb_passage *name);

bb_scope *bb_scope_new(bb_render *r, bb_scope *outer);
void      bb_scope_set(bb_render *r, bb_scope *s, const bb_passage *name, bb_value value);

#endif
