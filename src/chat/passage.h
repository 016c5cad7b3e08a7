/* passage.h - text that remembers which of its bytes users typed.
 *
 * Owns:    texts as values of a template: UTF-8, immutable, each byte from a user or not; building
 *          and slicing them; positions counted in characters, as Python counts.
 * Not:     what templates do with them (methods.c, filters.c).
 * Errors:  sticky, as work.h; a failed function returns an empty text, never NULL.
 */
#ifndef BB_CHAT_PASSAGE_H
#define BB_CHAT_PASSAGE_H

#include "chat/work.h"

#include <string.h>

typedef struct bb_passage {
    const char    *s;                     /* [n], well-formed UTF-8                              */
    const uint8_t *mask;                  /* [n] 1: from a user; NULL: all alike, as `is_user`   */
    size_t         n, n_chars;
    bool           is_user;
    bool           is_markup;             /* Python's Markup: what is added to it gets escaped   */
} bb_passage;

/* A text of the library's own, [n] and living long enough. */
const bb_passage *bb_passage_of(bb_work *w, const char *s, size_t n);
/* A text of the library's own, [n] and living long enough, that counts as typed by a user. */
const bb_passage *bb_passage_of_user(bb_work *w, const char *s, size_t n);
/* Bytes [begin, end) of a text: shares its memory. */
const bb_passage *bb_passage_slice(bb_work *w, const bb_passage *p, size_t begin, size_t end);
const bb_passage *bb_passage_markup(bb_work *w, const bb_passage *p, bool is_markup);

bool bb_passage_equal(const bb_passage *a, const bb_passage *b);
/* By code points, as Python orders. */
int  bb_passage_compare(const bb_passage *a, const bb_passage *b);
bool bb_passage_is(const bb_passage *p, const char *s);
bool bb_passage_is_user(const bb_passage *p, size_t at);

/* Offset of the first occurrence of `what` in bytes [begin, end), or SIZE_MAX. */
size_t bb_passage_find(bb_work *w, const bb_passage *p, const bb_passage *what, size_t begin,
                       size_t end);
/* Offset of the last one. */
size_t bb_passage_find_last(bb_work *w, const bb_passage *p, const bb_passage *what, size_t begin,
                            size_t end);

/* Offset of character number `index` <= n_chars. */
size_t bb_passage_offset(const bb_passage *p, size_t index);
size_t bb_count_chars(const char *s, size_t n);
/* The character at an offset; *length: its bytes. */
uint32_t bb_passage_char(const bb_passage *p, size_t at, size_t *length);
/* Start of the character that ends at `end`. */
size_t bb_passage_before(const bb_passage *p, size_t end);

/* What Python calls white space: Unicode's, and U+001C to U+001F. */
bool bb_is_py_space(uint32_t c);

/* A text under construction. */
typedef struct bb_builder {
    bb_work *w;
    char    *s;                           /* [n] of [capacity] */
    uint8_t *mask;
    size_t   n, capacity;
    bool     is_markup;
} bb_builder;

bb_builder bb_builder_begin(bb_work *w);
void bb_put(bb_builder *b, const bb_passage *p);
void bb_put_part(bb_builder *b, const bb_passage *p, size_t begin, size_t end);
void bb_put_bytes(bb_builder *b, const char *s, size_t n, bool is_user);
void bb_put_text(bb_builder *b, const char *s);
void bb_put_char(bb_builder *b, uint32_t c, bool is_user);
void bb_put_format(bb_builder *b, const char *format, ...) BB_PRINTF(2, 3);    /* < 100 bytes */
/* The text so far; the builder must not be used again. */
const bb_passage *bb_builder_text(bb_builder *b);

#endif
