/* session_tensors.h - the tensors that a file of a session has.
 *
 * Owns:    their names, types, shapes and order; which positions of a cache a file holds.
 * Not:     writing and reading them (session_file.c).
 */
#ifndef BB_SESSION_TENSORS_H
#define BB_SESSION_TENSORS_H

#include "window.h"

/* A tensor of the file and what it holds: a part of a slot, or bytes. */
typedef struct bb_session_item {
    char        name[BB_MAX_NAME];
    bb_tensor   t;                        /* t.data: bytes; NULL: part … */
    size_t      slot, at;                 /* … of this slot, from this byte of what it saves on */
} bb_session_item;

typedef struct bb_session_tensors {
    bb_session_item *item;                /* [n] by name, `checksum` not among them */
    size_t           n;
    uint64_t         most;                /* bytes that any slot saves */
} bb_session_tensors;

/* The first position whose token a file that begins with position `first` has. */
static inline size_t bb_session_first_token(size_t first, size_t known)
{
    return first > known ? first : known;
}

/* The positions of its caches, as their places in them (window.h), that a file of a session has. */
typedef struct bb_session_held {
    size_t first, end;
} bb_session_held;

static inline bb_session_held bb_session_holds(const bamba_session *s, size_t first)
{
    return (bb_session_held){ s->window > 0 ? 0 : first, bb_window_held(s, s->position) };
}

/* The tensors of a session's positions from `first` on: with what is said of them in *text. False
   without memory; l->item is released by the caller. */
bool bb_session_list(bb_session_tensors *l, const bamba_session *s, size_t first, const char *text);

/* Add name, type, shape and bytes of a tensor. */
void bb_session_hash_tensor(bb_hash *h, const bb_tensor *t, const void *data);

#endif
