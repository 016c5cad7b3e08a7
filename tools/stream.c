/* stream.c - generated tokens as text, as they come. */
#include "stream.h"

#include "console.h"
#include "stops.h"

#include <stdio.h>
#include <stdlib.h>

enum { USUAL_BYTES = 256 };               /* of the text of one token; longer ones ask again */

static bool decode(stream *s, const int32_t *ids, size_t n, unsigned flags)
{
    size_t needed = USUAL_BYTES;
    bamba_status status;

    do {
        if (!text_reserve(&s->text, needed)) return false;
        status = bamba_decode(s->tokenizer, &s->decoder, ids, n, s->flags | flags,
                              s->text.bytes + s->text.n, s->text.capacity - s->text.n, &needed);
    } while (status == BAMBA_OK && needed > s->text.capacity - s->text.n);
    if (status != BAMBA_OK) {
        console_fail("decoding: %s", bamba_status_string(status));
        return false;
    }
    s->text.n += needed;
    return true;
}

static void advance(stream *s, bool finish)
{
    const size_t written = s->safe;

    s->stopped = s->stopped || stops_find(s->stops, &s->text, &s->safe);
    if (s->stopped) s->text.n = s->safe;
    else if (finish) s->safe = s->text.n;
    if (!s->show || s->safe == written) return;
    fwrite(s->text.bytes + written, 1, s->safe - written, stdout);
    fflush(stdout);
}

bool stream_skip(stream *s, const int32_t *ids, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!decode(s, &ids[i], 1, 0)) return false;
        s->text.n = 0;
    }
    return true;
}

bool stream_put(stream *s, int32_t id)
{
    if (!decode(s, &id, 1, 0)) return false;
    advance(s, false);
    return true;
}

bool stream_finish(stream *s)
{
    if (!s->stopped && !decode(s, NULL, 0, BAMBA_DECODE_FINISH)) return false;
    advance(s, true);
    return true;
}

void stream_free(stream *s)
{
    free(s->text.bytes);
}
