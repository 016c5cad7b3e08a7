/* rope.h - rotary positions: the angle by which each pair of columns turns at a position.
 *
 * Owns:    the kinds of scaling that stretch positions beyond those a model was trained on.
 * Not:     keys of config.json (arch/keys.h), turning the columns (bb_rope_fn of kernels.h).
 *
 * Source: Su et al. 2021, arXiv:2104.09864; Peng et al. 2023, arXiv:2309.00071 (YaRN, NTK);
 *         Ding et al. 2024, arXiv:2402.13753 (LongRoPE); transformers modeling_rope_utils.py.
 */
#ifndef BB_MIXER_ROPE_H
#define BB_MIXER_ROPE_H

#include "base/printer.h"

#include <stdbool.h>
#include <stddef.h>

enum { BB_ROPE_PAIRS = 1024 };            /* most pairs of columns of a head */

/* What becomes of w[i] = theta^(-2i/d), 0 <= i < d/2, the angle of pair i at position 1. */
typedef enum bb_rope_kind {
    BB_ROPE_DEFAULT,                      /* all stay */
    BB_ROPE_LINEAR,                       /* all slower by factor */
    BB_ROPE_DYNAMIC,                      /* theta grows with the length of the session */
    BB_ROPE_LLAMA3,                       /* slow pairs slower by factor, fast ones stay */
    BB_ROPE_YARN,                         /* slow pairs slower by factor, others by number */
    BB_ROPE_LONG                          /* each slower by a factor of its own, one of two */
} bb_rope_kind;

typedef struct bb_rope_dims {
    int           d;                      /* leading columns that rotate; even, 0 = none */
    double        theta;                  /* > 1 */
    bb_rope_kind  kind;
    double        factor;                 /* >= 1; not of the default kind */
    double        context;                /* positions before scaling; not of default, linear */
    double        low, high;              /* llama3, yarn: they blend between these turns */
    bool          truncate;               /* yarn: the blend starts and ends at whole pairs */
    double        mscale, mscale_all;     /* yarn: for the default of attention; 0 = not said */
    double        attention;              /* factor on cos and sin; 0 = the kind's default */
    const double *shorter, *longer;       /* longrope: [d/2], > 0; read by bb_rope_init only */
} bb_rope_dims;

typedef struct bb_rope {
    bb_rope_kind  kind;
    int           d;
    double        factor, context;
    double        scale;                  /* of cos and sin */
    const double *inverse;                /* [d/2] radians a position; longrope: [2, d/2] */
} bb_rope;

/* Doubles of the table that bb_rope_init fills. */
size_t bb_rope_table_size(const bb_rope_dims *dims);
void   bb_rope_init(bb_rope *r, const bb_rope_dims *dims, double *table);

/* cos and sin [d/2] of the angles at position pos, in a session made for `length` positions.
   For dynamic and longrope the length chooses the angles; one session keeps to one length,
   because keys in its cache have been turned already. */
void   bb_rope_angles(const bb_rope *r, int pos, int length, float *cosine, float *sine);

/* ", rope 64 of 128, theta 10000" and the scaling; nothing if nothing rotates. */
void   bb_rope_print(const bb_rope_dims *dims, int d_head, bb_printer *p);

#endif
