/* fingerprint.h - a short name for a model: what tells whether a saved state belongs to it.
 *
 * Owns:    what of a model is looked at.
 * Not:     the hash (base/hash.h).
 */
#ifndef BB_FINGERPRINT_H
#define BB_FINGERPRINT_H

#include "objects.h"

#include "base/hash.h"

/* The hash of config.json; of the network as planned; of how many weights are held in which format;
   of name, type, shape and four windows of 64 bytes (the first, the last, two between) of every
   stored tensor, or of the embedding of a model without files. Milliseconds, not a pass over all
   weights: two models that differ in a few numbers elsewhere are not told apart. Types of keys,
   values and states, and the CPU level, do not count. */
void bb_fingerprint(const bamba_model *m, char out[BB_HASH_TEXT]);

#endif
