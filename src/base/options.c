/* options.c - option structs that carry their own size. */
#include "base/options.h"

#include <string.h>

bb_status bb_read_options(void *own, size_t own_bytes, size_t v1_bytes, const void *given,
                          const char *what, bamba_error *err)
{
    const unsigned char *bytes = given;
    size_t               size;

    if (!given) return BAMBA_OK;
    memcpy(&size, given, sizeof size);
    if (size < v1_bytes)
        return bb_fail(err, BAMBA_ERR_ARGUMENT, "%s: expected struct_bytes >= %zu, found %zu", what,
                       v1_bytes, size);
    for (size_t i = own_bytes; i < size; i++)
        if (bytes[i] != 0)
            return bb_fail(err, BAMBA_ERR_ARGUMENT,
                           "%s: byte %zu is set, but this version knows only %zu bytes of options",
                           what, i, own_bytes);
    memcpy(own, given, size < own_bytes ? size : own_bytes);
    return BAMBA_OK;
}
