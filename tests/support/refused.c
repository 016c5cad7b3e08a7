/* refused.c - what the library answers about a file that it must refuse. */
#include "support/refused.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

void expect_line(const char *what, bamba_status status, const bamba_error *err, const char *word,
                 const char *more)
{
    if (status == BAMBA_OK) fail_msg("%.300s: was opened", what);
    if (status != BAMBA_ERR_FORMAT && status != BAMBA_ERR_UNSUPPORTED && status != BAMBA_ERR_IO)
        fail_msg("%.300s: status %d: %s", what, status, err->message);
    if (err->code != status) fail_msg("%.300s: code %d, status %d", what, err->code, status);
    if (!strstr(err->message, word) || !strstr(err->message, more))
        fail_msg("%.300s: '%s', '%s' not in '%s'", what, word, more, err->message);
    for (const char *c = err->message; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7F)
            fail_msg("%.300s: control character in '%s'", what, err->message);
}
