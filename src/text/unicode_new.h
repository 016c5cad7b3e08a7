/* unicode_new.h - characters younger than our Unicode libraries may be.
 *
 * Owns:    general category and script of what Unicode 15, 15.1 and 16 added to Unicode 14;
 *          what the reference's normal forms, of Unicode 9, take for plain characters.
 * Not:     older characters (the libraries know them).
 * Errors:  none.
 */
#ifndef BB_TEXT_UNICODE_NEW_H
#define BB_TEXT_UNICODE_NEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct bb_unicode_range {
    uint32_t    first;
    uint32_t    last;                     /* inclusive */
    const char *property;                 /* general category "Lu", or script "Han" */
} bb_unicode_range;

/* [*n], categories first, each group in ascending order. Static. */
const bb_unicode_range *bb_unicode_new(size_t *n);

/* General category of a character of the table, or NULL. */
const char *bb_unicode_new_category(uint32_t c);

/* Whether the reference's normal forms leave a character alone although it has a decomposition or
   a combining class. Models were trained on text normalized so. */
bool bb_unicode_is_plain(uint32_t c);

#endif
