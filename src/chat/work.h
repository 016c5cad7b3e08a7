/* work.h - what one parse of a template, or one rendering, has to spend; its first error.
 *
 * Owns:    memory that is given back as a whole, up to a limit; steps; depth of recursion; the
 *          place in the template that messages name.
 * Not:     what the memory holds.
 * Errors:  sticky. After the first failure bb_work_take returns NULL, bb_step and bb_enter return
 *          false, and further failures are not recorded: who works on asks `status` at its loops.
 */
#ifndef BB_CHAT_WORK_H
#define BB_CHAT_WORK_H

#include "base/alloc.h"

#include <stdint.h>

enum {
    BB_DEPTH_MOST = 200                   /* nested nodes, calls and values: bounds the stack */
};

typedef struct bb_work {
    const bb_allocator *a;
    struct bb_chunk    *chunk;            /* the newest; each links to the one before */
    size_t              n_taken, n_most;  /* bytes                                    */
    uint64_t            n_steps, n_most_steps;
    int                 depth;
    bb_status           status;           /* BAMBA_OK while all is well               */
    bamba_error        *err;
    const char         *name;             /* of the template, or of what it is given, for
                                             messages                                 */
    uint32_t            line, column;     /* from 1; where in the template we are; line 0: not
                                             in it                                    */
} bb_work;

/* n elements, aligned for anything, contents unspecified; NULL after a failure. Fails with MEMORY
   where the allocator does, with UNSUPPORTED at the limit. */
void *bb_work_take(bb_work *w, size_t n, size_t elem_bytes);
void  bb_work_free(bb_work *w);

/* Record "name:line:column: message", or "name: message". Returns false. */
bool bb_work_fail(bb_work *w, bb_status code, const char *format, ...) BB_PRINTF(3, 4);

/* Spend steps: one for anything done, and some for each byte or element that is looked at. */
bool bb_step(bb_work *w, size_t n);

/* Go one level deeper; bb_leave only after true. */
bool bb_enter(bb_work *w);
void bb_leave(bb_work *w);

#endif
