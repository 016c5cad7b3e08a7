/* hash.c - 128-bit hashes of bytes that come in pieces.
 *
 * Source:  Yann Collet, xxHash, doc/xxhash_spec.md (XXH3, 128 bits, seed 0, canonical form). */
#include "base/hash.h"

#include <stdio.h>
#include <string.h>

#define XXH_STATIC_LINKING_ONLY           /* the size of a state, so that it needs no allocation */
#include <xxhash.h>

_Static_assert(sizeof(XXH3_state_t) <= sizeof(bb_hash), "the state of a hash has room");

static XXH3_state_t *state_of(bb_hash *h) { return (XXH3_state_t *)(void *)h->state; }

void bb_hash_begin(bb_hash *h) { XXH3_128bits_reset(state_of(h)); }

void bb_hash_add(bb_hash *h, const void *bytes, size_t n)
{
    if (n > 0) XXH3_128bits_update(state_of(h), bytes, n);
}

void bb_hash_add_text(bb_hash *h, const char *text) { bb_hash_add(h, text, strlen(text) + 1); }

void bb_hash_end(const bb_hash *h, unsigned char out[BB_HASH_BYTES])
{
    const XXH3_state_t  *state = (const XXH3_state_t *)(const void *)h->state;
    XXH128_canonical_t   canonical;

    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state));
    memcpy(out, canonical.digest, BB_HASH_BYTES);
}

void bb_hash_show(const unsigned char hash[BB_HASH_BYTES], char out[BB_HASH_TEXT])
{
    for (int i = 0; i < BB_HASH_BYTES; i++) snprintf(out + 2 * i, 3, "%02x", hash[i]);
}
