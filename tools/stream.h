/* stream.h - generated tokens as text, as they come.
 *
 * Owns:    decoding, holding back what may become a stop string, writing to stdout.
 * Not:     choosing tokens.
 * Errors:  memory is reported here; callers pass the failure on.
 */
#ifndef BAMBA_TOOLS_STREAM_H
#define BAMBA_TOOLS_STREAM_H

#include "args.h"
#include "bamba.h"
#include "text.h"

typedef struct stream {
    const bamba_tokenizer *tokenizer;
    const arg_list        *stops;
    bool                   show;          /* write to stdout                             */
    unsigned               flags;         /* BAMBA_DECODE_SKIP_SPECIAL or 0              */
    bamba_decoder          decoder;
    text_buffer            text;          /* all of it; ends at `safe` once stopped      */
    size_t                 safe;          /* bytes no stop string can take back; written */
    bool                   stopped;       /* a stop string stood there                   */
} stream;

/* Let the decoder see the tokens in front, whose text is not wanted. */
bool stream_skip(stream *s, const int32_t *ids, size_t n);

/* One token more. */
bool stream_put(stream *s, int32_t id);

/* No more tokens: what is held back belongs to the text after all. */
bool stream_finish(stream *s);
void stream_free(stream *s);

#endif
