/* session_file.h - what a session remembers, or its share of some positions, in a file.
 *
 * Owns:    the layout of such files; their checksum; whether one belongs to a model.
 * Not:     where files lie and which are kept (cache.c).
 */
#ifndef BB_SESSION_FILE_H
#define BB_SESSION_FILE_H

#include "objects.h"

#include "base/json.h"

/* What a file says of itself. Texts are those of the file's document. */
typedef struct bb_session_facts {
    size_t      first, position;          /* it holds positions first … position - 1, and the state
                                             at `position` */
    size_t      known;                    /* tokens before it are not known (bb_past) */
    int         length;                   /* rotary angles are scaled for it */
    size_t      window, sink;             /* of the session */
    const char *parent;                   /* of what holds the positions before; NULL: nothing */
    const char *extras;                   /* NULL: none */
    const char *adapters;                 /* bamba_session.adapters_name */
} bb_session_facts;

/* Write the session's positions from `first` on, and its state, as a whole file. */
bb_status bb_session_write(const bamba_session *s, const char *path, size_t first,
                           const char *parent, const char *extras, bamba_error *err);

typedef struct bb_session_reader {
    bb_allocator     a;
    bb_container    *file;
    bb_json_doc     *doc;
    bb_session_facts facts;
    const int32_t   *tokens;              /* [position - max(first, known)]; not believed before the
                                             checksum is */
} bb_session_reader;

/* Open a file and read its facts; it is refused if it belongs to another model or holds other
   types. check: its checksum must be right. On failure *r is closed. */
bb_status bb_session_reader_open(bb_session_reader *r, const bb_allocator *a, const bamba_model *m,
                                 const char *path, bool check, bamba_error *err);
void      bb_session_reader_close(bb_session_reader *r);

/* Put what the file holds into the session, which stands at `first`, or anywhere if that is 0: it
   stands at `position` then. with_state: no file follows. After a failure the session must be
   reset. */
bb_status bb_session_read(bamba_session *s, const bb_session_reader *r, bool with_state,
                          bamba_error *err);

#endif
