/* adapter_file.h - a PEFT directory: which of its tensors belong to which part of a model.
 *
 * Owns:    adapter_config.json and adapter_model.safetensors; shapes.
 * Not:     what is done with the tensors (adapter.c, merge.c); names of modules (adapter_names.h);
 *          tensors of parameters that hold several matrices (adapter_experts.h); what a file that
 *          names one use of a shared mixer says of the others (adapter_uses.h).
 * Errors:  one line that names the file and the key or tensor.
 */
#ifndef BB_ADAPTER_FILE_H
#define BB_ADAPTER_FILE_H

#include "objects.h"

/* Tensors for one linear map, or for the embedding. NULL: there is none. */
typedef struct bb_adapted {
    const bb_tensor *A, *B;               /* [rank, cols], [rows, rank]; both or none. Of a map that
                                             is matrix k of a parameter of n (part): A
                                             [n · rank, cols], its rows k · rank …; B
                                             [rows of all parts, rank · n], its element [r, i] in
                                             row part.row + r, column i · n + k */
    bb_part_of       part;                /* n 0: A and B are of this map alone */
    bool             is_turned;           /* A and B of a part have each other's place: B · A is the
                                             change of the matrix transposed, its rows the columns
                                             [n · rank, rows of all parts], [cols, rank · n] */
    const bb_tensor *B_bias;              /* [rows] */
    const bb_tensor *weight, *bias;       /* in place of the model's */
    bool             is_base;             /* weight is not of modules_to_save: it is what the model
                                             had when the adapter was saved */
    int              rank;
    float            scale;               /* of B · A */
} bb_adapted;

/* A tensor in place of one of the model's that belongs to no linear map. */
typedef struct bb_replaced {
    const bb_tensor *tensor;
    const char      *name;                /* in the model; the container's */
} bb_replaced;

/* How the A and B of parameters of several matrices lie in a file. */
typedef enum bb_part_layout { BB_PARTS_UNKNOWN, BB_PARTS_STRAIGHT, BB_PARTS_TURNED } bb_part_layout;

typedef struct bb_adapter_file {
    bb_allocator    a;
    bb_container   *tensors;
    bb_adapted     *map;                  /* [n_maps] by the ids of the graph's linear maps, the
                                             head last, and the embedding behind it; nothing in
                                             those that are idle */
    size_t          n_maps;
    bb_replaced    *replaced;             /* [n_replaced] */
    size_t          n_replaced;
    bb_part_layout  layout;               /* as the shapes that have been read show it */
    const bb_tensor *own_embed, *own_head;            /* in place of the model's matrices; NULL:
                                             these stand. Base weights equal to them are not own. */
} bb_adapter_file;

/* Open the directory for a model that is bound. */
bb_status bb_adapter_file_open(bb_adapter_file **out, const bb_allocator *a,
                               const bamba_model *model, const char *dir, const bb_log *log,
                               bamba_error *err);
void      bb_adapter_file_close(bb_adapter_file *f);

/* "file: 'tensor': message". */
bb_status bb_adapter_fail(bamba_error *err, bb_status code, const bb_tensor *t,
                          const char *message);

/* n elements of a tensor of floats, from element `at` on. */
void bb_adapter_floats(const bb_kernels *k, const bb_tensor *t, size_t at, size_t n, float *to);

/* n elements of a linear map's A in row i, from column `first` on; of its B [rows, rank] in row r,
   from column `first` on. */
void bb_adapted_A(const bb_kernels *k, const bb_adapted *m, int i, int first, int n, float *to);
void bb_adapted_B(const bb_kernels *k, const bb_adapted *m, int r, int first, int n, float *to);

/* Whether two tensors have the same numbers; b may be NULL. */
bool bb_adapter_are_equal(const bb_kernels *k, const bb_tensor *a, const bb_tensor *b);

/* Whether the model's own tensor `name` has the numbers of t. */
bool bb_adapter_is_base(const bamba_model *m, const bb_tensor *t, const char *name);

/* Fail unless t has these dimensions. */
bb_status bb_adapter_expect(const bb_tensor *t, int n_dims, const size_t *dim, bamba_error *err);

/* Put t into a place that has no tensor yet. */
bb_status bb_adapter_set(const bb_tensor **place, const bb_tensor *t, bamba_error *err);

#endif
