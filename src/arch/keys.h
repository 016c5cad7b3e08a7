/* keys.h - readings of config.json that several families share.
 *
 * Owns:    the spellings that transformers has used over time for one fact.
 * Not:     which facts a family has.
 * Errors:  sticky in the document.
 */
#ifndef BB_ARCH_KEYS_H
#define BB_ARCH_KEYS_H

#include "base/json.h"
#include "mixer/rope.h"

/* [lo, hi] with 0 <= lo <= hi, hi maybe infinite; absent or null: [0, inf]. */
void bb_key_limits(const bb_json *config, const char *key, float *lo, float *hi);
/* The same under its usual key, "time_step_limit". */
void bb_key_time_step_limit(const bb_json *config, float *lo, float *hi);

/* An epsilon of a norm: 0 <= eps < 1. */
double bb_key_epsilon(const bb_json *config, const char *key, double fallback);

/* Base of the rotary angles and the share of a head that rotates (fallback if not said), from
   rope_scaling, rope_parameters or the top level: a rope_scaling that says anything replaces
   rope_parameters, the inner theta beats the outer one. */
typedef struct bb_rope_keys {
    double theta;
    double partial;
} bb_rope_keys;

bb_rope_keys bb_key_rope(const bb_json *config, double partial_fallback);

/* Lists of longrope, for as long as dims that point to them are in use. */
typedef struct bb_rope_factors {
    double shorter[BB_ROPE_PAIRS], longer[BB_ROPE_PAIRS];
} bb_rope_factors;

/* The same and the scaling, for d rotated columns and a model made for n_context positions.
   Unknown kinds are refused by name. */
bb_rope_dims bb_key_rope_dims(const bb_json *config, int d, int n_context,
                              bb_rope_factors *factors);

/* Whether a list of integers holds value; an absent list holds nothing. Elements outside [lo, hi]
   are errors. */
bool bb_key_list_has(const bb_json *config, const char *key, int lo, int hi, int value);

/* Refuse a text key that is there and is not `expected`. */
void bb_key_expect(const bb_json *config, const char *key, const char *expected);

#endif
