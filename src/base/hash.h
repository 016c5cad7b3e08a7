/* hash.h - 128-bit hashes of bytes that come in pieces: XXH3, against accidents, not attacks.
 *
 * Owns:    the one use of xxHash.
 * Not:     which bytes are hashed.
 */
#ifndef BB_BASE_HASH_H
#define BB_BASE_HASH_H

#include <stddef.h>

enum { BB_HASH_BYTES = 16, BB_HASH_TEXT = 2 * BB_HASH_BYTES + 1 };

typedef struct bb_hash {
    _Alignas(64) unsigned char state[640];
} bb_hash;

void bb_hash_begin(bb_hash *h);
void bb_hash_add(bb_hash *h, const void *bytes, size_t n);
/* Of a text, with its NUL, so that two of them differ from another pair. */
void bb_hash_add_text(bb_hash *h, const char *text);
/* The hash of all so far, most significant byte first; more may be added. */
void bb_hash_end(const bb_hash *h, unsigned char out[BB_HASH_BYTES]);
/* In hexadecimal digits. */
void bb_hash_show(const unsigned char hash[BB_HASH_BYTES], char out[BB_HASH_TEXT]);

#endif
