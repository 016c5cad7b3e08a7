/* bind.h - plan × checkpoint → weights attached; nothing missing, nothing dropped in silence.
 *
 * Owns:    matching names and shapes; which of two tied matrices serves; tensors left over; loading
 *          a weight, which is the stored format's decode and the wanted format's encode
 *          (recode.h), or nothing where the bytes serve as they are; the block of memory that holds
 *          what is not used in place.
 * Not:     which weights a mixer has (its bind verb), which format a weight gets (the policy).
 * Errors:  sticky inside a mixer's bind verb; bb_bind() returns the first.
 *
 * One walk over all weights runs up to three times: without a checkpoint it only counts; with one
 * it checks and measures, then it attaches. The passes cannot drift apart.
 */
#ifndef BB_GRAPH_BIND_H
#define BB_GRAPH_BIND_H

#include "graph/plan.h"
#include "graph/quantized.h"
#include "graph/recode.h"
#include "load/checkpoint.h"

typedef struct bb_binder bb_binder;

typedef enum bb_role { BB_ROLE_EMBEDDING, BB_ROLE_HEAD, BB_ROLE_PROJECTION } bb_role;

/* Which format a matrix gets that is stored as `stored`; asked once a matrix and walk, by the
   thread that binds, always with the same answer. name: the tensor's, with the mixer's prefix. */
typedef const bb_format *bb_policy_fn(const void *context, bb_role role, const char *name, int rows,
                                      int cols, const bb_format *stored);

/* Whether the names that the policy was asked about are those it was made for; called once, after
   it was asked about all of them, those of blocks that the graph does not run included. */
typedef bb_status bb_policy_check_fn(const void *context, bamba_error *err);

/* A tensor that the graph needs. A matrix in a format with scales of its own lies in a tensor U8
   [tiles of rows_together rows, bytes of a tile] whose name ends with the format's, "name_q4"; of
   one that others have quantized, this is the tensor of its codes. */
typedef struct bb_need {
    const bb_tensor *tensor;
    size_t           n_name;              /* bytes of its name without such an ending */
    int              rows;                /* of the whole tensor as a matrix; 0: a small tensor */
    int              n_stack;             /* matrices of a stack that these are; 0: no stack */
    bb_recode        recode;              /* of a matrix or the slice of it that is needed */
} bb_need;
typedef void bb_need_fn(void *context, const bb_need *need);

/* Names of tensors in a calibration file: NAME, the mean squares [cols] of the inputs of the linear
   map with the weight NAME, and perhaps NAME with this ending, carries (bb_encode_carrying_fn). */
#define BB_CARRY_ENDING ".carry"

typedef struct bb_bind_options {
    const bb_kernels  *k;
    bb_policy_fn      *policy;            /* NULL: as stored */
    bb_policy_check_fn *policy_check;     /* NULL: any names will do */
    const void        *policy_context;
    bb_need_fn        *visit;             /* not NULL: told of each tensor, of one with slices once
                                             a slice; matrices are not attached, let alone made */
    void              *visit_context;
    bb_scheme_fn      *scheme;            /* NULL: config.json says nothing of quantized modules */
    const void        *scheme_context;
    const bb_checkpoint *moments;         /* what a bamba_calibration found; NULL: nothing */
    bb_type            planned_type;      /* without a checkpoint: matrices would be stored so */
    bool               copy;              /* use nothing in place */
    bool               strict;            /* refuse tensors that nothing needs */
    bool               random;            /* without a checkpoint: make weights, from `seed` */
    uint64_t           seed;
    int                n_threads;         /* for encoding; 0 = as in an engine */
    bamba_progress_fn *progress;          /* bytes of weights bound; may be NULL */
    void              *progress_context;
    bb_log             log;
} bb_bind_options;

typedef struct bb_bind_stats {
    uint64_t n_params;                    /* tied matrices once */
    uint64_t weights_bytes;               /* read by one decoded token */
    uint64_t mapped_bytes;                /* used in place */
    uint64_t resident_bytes;              /* in the block */
    uint64_t converted_bytes;             /* resident because stored in another format */
    uint64_t misaligned_bytes;            /* resident because the file has them at an odd address */
    uint64_t matrix_params;               /* of n_params those of matrices, and their bytes */
    uint64_t matrix_bytes;
    uint64_t params_of[BB_N_FORMATS];     /* weights of matrices by their format's number */
} bb_bind_stats;

/* Attach c's tensors to g. *block (the caller releases it, after g) holds what was copied; NULL if
   c is NULL: then only *stats is filled, unless weights are to be made. A tensor of c
   that nothing needs goes to the log, or fails if it belongs to a module that g uses; tensors of
   blocks that g does not run count as needed. */
bb_status bb_bind(bb_graph *g, bb_checkpoint *c, const bb_bind_options *options, void **block,
                  bb_bind_stats *stats, bamba_error *err);

/* A tensor by its name; or, as transformers finds it, by its name without the prefix of the base
   model, whose class may have saved it, with one such prefix more, or with the other prefix in its
   place. NULL if there is none. */
const bb_tensor *bb_find_tensor(const bb_graph *g, const bb_checkpoint *c, const char *name);

/* ------------------------------------------------------------- for the bind verbs -------- */

/* Values that a small tensor gets in a model of random weights: spread evenly. */
typedef struct bb_range { float low, high; } bb_range;

#define BB_RANGE_SCALE ((bb_range){ 0.75f, 1.25f })   /* of what multiplies: norms */
#define BB_RANGE_BIAS  ((bb_range){ -0.02f, 0.02f })

/* The part of a stored tensor that is a matrix [rows, cols]: rows first … first + rows - 1 of one
   with `of` rows (0: it has no others), of matrix `index` of a stack [n, of, cols] (n 0: of no
   stack). All zero: the whole tensor. */
typedef struct bb_slice { int first, of, index, n; } bb_slice;

/* Names are relative to the mixer's prefix. A matrix in the policy's format, in place where
   possible; name.weight and, if it has one, name.bias. */
void bb_bind_linear(bb_binder *b, bb_linear *out, const char *name, int rows, int cols,
                    bool has_bias);
/* A part of the tensor `name`, without a bias. Slices of a tensor are bound one after another, that
   of its first row first. Those of one matrix share an id; each matrix of a stack has its own. */
void bb_bind_slice(bb_binder *b, bb_linear *out, const char *name, int rows, int cols,
                   bb_slice slice);
/* A small tensor [rows, cols] that is a linear map, in float32 whatever the policy says. Observers
   see its inputs too; a calibration leaves them out, since the map is never rounded. */
void bb_bind_small_linear(bb_binder *b, bb_linear *out, const char *name, int rows, int cols,
                          bb_range r);
/* Say that transformers calls a map, bound before, a part of that parameter. `parameter` is
   static. */
void bb_bind_part_of(bb_binder *b, const bb_linear *l, const char *parameter, int index, int n,
                     int row);
/* Say of a map of a shared mixer that use number `nth` of it, from 0, alone multiplies by it. */
void bb_bind_for_use(const bb_binder *b, const bb_linear *l, int nth);
/* Constant factors of a model's own: rows of a linear map one after another, with the factors of
   their products with x and of their bias. A list ends with 0 rows; a factor 0 is 1. */
typedef struct bb_factor { int rows; double product, bias; } bb_factor;
void bb_bind_factors(bb_binder *b, bb_linear *l, const bb_factor *list);
/* A small tensor as float32, always copied. dim ends with 0. */
void bb_bind_small(bb_binder *b, const float **out, const char *name, const int *dim, bb_range r);
/* A small tensor [n]. */
void bb_bind_vector(bb_binder *b, const float **out, const char *name, int n, bb_range r);
/* What was bound between these two calls is read in parts: by one token, `used` of `of`. */
uint64_t bb_bind_begin_routed(const bb_binder *b);
void bb_bind_end_routed(bb_binder *b, uint64_t begun, int used, int of);
/* Apply map once to each of the n values bound last with bb_bind_small / _vector. */
void bb_bind_map(bb_binder *b, const float *values, int n, float (*map)(float));

#endif
