/* binder.h - what the files that bind weights share: the state of one bb_bind and its steps.
 *
 * Owns:    the order of the passes, and the steps between a tensor's name and a matrix.
 * Not:     what mixers see (bind.h).
 * Errors:  sticky, in first; after one, steps do nothing.
 */
#ifndef BB_GRAPH_BINDER_H
#define BB_GRAPH_BINDER_H

#include "graph/bind.h"

enum bb_walk { BB_WALK_COUNT = 1, BB_WALK_MEASURE, BB_WALK_ATTACH };

enum { BB_N_SLICED = 4 };                 /* tensors whose slices a mixer binds by turns, at most */

/* A matrix to be made in the block, after all are known. */
typedef struct bb_job {
    bb_recode  recode;                    /* from NULL: random values */
    bb_matrix  to;
    void      *data;                      /* to.data, for writing */
} bb_job;

/* A tensor of which the mixer has bound slices. id: of its linear map; of a stack, of the first
   matrix, which those of the others follow. */
typedef struct bb_sliced { char name[BB_MAX_NAME]; int id; } bb_sliced;

struct bb_binder {
    int                    pass;          /* bb_walk */
    bb_graph              *g;
    bb_checkpoint         *c;             /* NULL in BB_WALK_COUNT, and for random weights */
    const bb_bind_options *options;
    bb_arena               arena;
    const char            *prefix;
    bool                   skip;          /* mark tensors as taken, and nothing else */
    bb_job                *jobs;          /* [n_jobs], capacity known from BB_WALK_MEASURE */
    size_t                 n_jobs, n_small;
    int                    n_linears;
    bb_sliced              sliced[BB_N_SLICED];       /* [n_sliced], the latest last */
    int                    n_sliced;
    const float           *importance, *carry;        /* of the matrix that was chosen last */
    bb_bind_stats          stats;
    bamba_error            first;         /* sticky */
};

/* Fail with "'NAME': message", the name behind the mixer's prefix. */
void bb_binder_fail(bb_binder *b, bb_status code, const char *name, const char *message);

/* ------------------------------------------------------------- bind_names.c -------------- */

/* Whether a name begins with the first n characters of a prefix; with none, no name does. */
bool bb_name_begins(const char *name, const char *prefix, size_t n);

bool bb_tensor_has_shape(const bb_tensor *t, int n_dims, const size_t *dim);

/* The tensor that holds a matrix: of that whole name, or in a format with scales under it and the
   name of the format, "name_q4"; *f is that format, else NULL. NULL: there is none. */
const bb_tensor *bb_binder_find_matrix(const bb_binder *b, const char *name, const bb_format **f);

/* Find prefix + name, of a matrix if f is not NULL (bb_binder_find_matrix), and mark it as taken.
   NULL in BB_WALK_COUNT, while skipping, and on failure. */
const bb_tensor *bb_binder_take(bb_binder *b, const char *name, const bb_format **f);

/* Fail unless t has this type, or with NONE any that can be read, and these dimensions. */
bool bb_binder_check(bb_binder *b, const bb_tensor *t, bb_type type, int n_dims,
                     const size_t *dim);

/* The tensors of the module whose matrix would be `name`, taken; false if it is not quantized. */
bool bb_binder_take_parts(bb_binder *b, const char *name, bb_parts part);

/* ------------------------------------------------------------- bind_matrix.c ------------- */

/* Remember what a linear map, or with n_stack > 0 each matrix of a stack, is called. Returns the id
   of the first: the number of maps before it. */
int  bb_binder_name_linear(bb_binder *b, const char *name, int rows, int cols, int n_stack);

/* A matrix out of a tensor (its slice), or out of those of a quantized module, in the format that
   the policy says. *row_scale: scales that its products' rows need; row_scale NULL: whoever reads
   the matrix knows only its format. */
void bb_binder_matrix(bb_binder *b, bb_matrix *out, const float **row_scale, bb_role role,
                      const char *name, int rows, int cols, bb_slice s);

/* ------------------------------------------------------------- bind_verbs.c -------------- */

/* Remember how a linear map's weights are kept, or a slice of them. */
void bb_binder_note_format(bb_binder *b, int id, const bb_format *f);

/* ------------------------------------------------------------- bind_make.c --------------- */

/* Make the matrices of all jobs. */
bb_status bb_binder_make(bb_binder *b, bamba_error *err);

/* Tell the caller that so many bytes of weights are bound. False: it asks for the end. */
bool bb_binder_report(const bb_binder *b, uint64_t done);

/* ------------------------------------------------------------- bind_leftovers.c ---------- */

/* Tensors that were not taken go to the log, or fail (bb_bind). */
bb_status bb_binder_leftovers(const bb_binder *b, bamba_error *err);

#endif
