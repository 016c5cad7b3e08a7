/* option_texts.h - texts given as options that may be repeated, with their escapes replaced.
 *
 * Owns:    the strings, which are neither empty nor hold a zero byte.
 * Errors:  reported here; callers pass the exit code on. option_texts_free in any case.
 */
#ifndef BAMBA_TOOLS_OPTION_TEXTS_H
#define BAMBA_TOOLS_OPTION_TEXTS_H

#include "args.h"
#include "text.h"

typedef struct option_texts {
    const char **items;                   /* [n] in text */
    size_t       n;
    text_buffer  text;
} option_texts;

/* name: of the option, for messages. */
int option_texts_read(option_texts *out, const command *self, const char *name,
                      const arg_list *given, bool escapes);
void option_texts_free(option_texts *t);

#endif
