/* feed_internal.h - the steps of a feed, for its own files.
 *
 * Owns:    checking (feed_check.c), cutting into pieces (feed_pieces.c), numbers that are not
 *          finite (feed_numbers.c).
 * Not:     running the pieces, and what becomes of the sessions (feed.c).
 */
#ifndef BB_FEED_INTERNAL_H
#define BB_FEED_INTERNAL_H

#include "objects.h"

/* ------------------------------------------------------------- feed_check.c -------------- */

/* Fail unless all items can be fed, in one call. single: messages speak of no item. */
bb_status bb_feed_check(const bamba_engine *e, const bamba_feed_item *items, size_t n_items,
                        bool single, bamba_error *err);

/* Say which item of a batch the message is about, which begins with "feed: ". */
void bb_feed_name_item(bamba_error *err, size_t i);

/* ------------------------------------------------------------- feed_pieces.c ------------- */

/* Where the next piece starts. A piece cut in two at an edge, both parts long, gives the bits that
   it gives as a whole; so a small one is cut from the first full one, and the rest is as before. */
typedef struct bb_feed_cursor {
    const bamba_feed_item *items;
    size_t                 n_items;
    size_t                 item, offset;
    size_t                 n_logits;      /* rows of logits made so far */
    size_t                 n_hidden;      /* hidden rows made so far */
    uint64_t               done, total;   /* tokens */
    int                    window;        /* rows left of a full piece */
    int                    wish;          /* rows of the next piece; 0: a full one */
    bool                   many;          /* multiply as in passes of many rows, however few */
    bool                   is_inside;     /* of a segment that the last piece cut at an edge */
} bb_feed_cursor;

/* Whether a full piece can be cut in two without a change of bits. OpenBLAS's sums (level c) depend
   on the number of rows. Engines of parts of a network cut alike, not knowing of each other's
   sessions. */
bool bb_feed_can_cut(const bamba_engine *e);

/* Fill the engine's piece from the cursor on, and move it. */
bb_batch bb_feed_next_piece(bamba_engine *e, bb_feed_cursor *c);

/* Leave out what is left of items that gave numbers that are not finite. */
void bb_feed_skip_spoilt(bb_feed_cursor *c);

/* ------------------------------------------------------------- feed_numbers.c ------------ */

/* The first of a segment's rows that is not finite at the end of the pass, or whose logits or
   hidden row are not; -1: none. x [T, D]: the pass's rows. */
int bb_feed_find_bad_row(const bb_graph *g, const bb_batch *b, const float *x,
                         const bb_segment *seg);

/* Row number `row` of the pass, in this segment, is bad, and not by an overflow: run the segment
   again, up to the block that spoils it, and report that. */
bb_status bb_feed_report_number(const bamba_engine *e, bb_segment seg, bool many, int row,
                                size_t position, bamba_error *err);

#endif
