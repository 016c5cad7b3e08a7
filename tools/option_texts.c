/* option_texts.c - texts given as options that may be repeated, with their escapes replaced. */
#include "option_texts.h"

#include "console.h"

#include <stdlib.h>
#include <string.h>

int option_texts_read(option_texts *out, const command *self, const char *name,
                      const arg_list *given, bool escapes)
{
    text_buffer *t = &out->text;
    size_t most = 0;

    for (size_t i = 0; i < given->n; i++) most += strlen(given->items[i]) + 1;
    out->items = calloc(given->n + 1, sizeof *out->items);
    if (!out->items) return console_fail("out of memory");
    if (!text_reserve(t, most + 1)) return EXIT_FAILURE;      /* items point into it: it stays */
    for (size_t i = 0; i < given->n; i++) {
        const size_t start = t->n;
        text_append_flag(t, given->items[i], escapes);
        out->items[i] = t->bytes + start;
        if (t->n == start || memchr(out->items[i], '\0', t->n - start))
            return args_wrong(self, "%s: expected text without a zero byte, found '%s'", name,
                              given->items[i]);
        text_append(t, "", 1);
    }
    out->n = given->n;
    return EXIT_SUCCESS;
}

void option_texts_free(option_texts *t)
{
    free(t->items);
    free(t->text.bytes);
    *t = (option_texts){ .n = 0 };
}
