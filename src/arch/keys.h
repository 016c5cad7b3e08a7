/* keys.h - readings of config.json that several families share.
 *
 * Owns:    the spellings that transformers has used over time for one fact.
 * Not:     which facts a family has.
 * Errors:  sticky in the document.
 */
#ifndef BB_ARCH_KEYS_H
#define BB_ARCH_KEYS_H

#include "base/json.h"

/* "time_step_limit": [lo, hi] with 0 <= lo <= hi, hi maybe infinite; absent or null: [0, inf]. */
void bb_key_time_step_limit(const bb_json *config, float *lo, float *hi);

/* Base of the rotary angles and the share of a head that rotates (fallback if not said), from
   rope_scaling, rope_parameters or the top level: a non-null rope_scaling replaces
   rope_parameters, the inner theta beats the outer one. Kinds of scaling other than the default
   are refused by name. */
typedef struct bb_rope_keys {
    double theta;
    double partial;
} bb_rope_keys;

bb_rope_keys bb_key_rope(const bb_json *config, double partial_fallback);

/* Whether a list of integers holds value; an absent list holds nothing. Elements outside [lo, hi]
   are errors. */
bool bb_key_list_has(const bb_json *config, const char *key, int lo, int hi, int value);

/* Refuse a text key that is there and is not `expected`. */
void bb_key_expect(const bb_json *config, const char *key, const char *expected);

#endif
