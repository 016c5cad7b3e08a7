/* tokenizer.c - bamba_tokenizer: the public face of text/. */
#include "base/options.h"
#include "base/utf8.h"
#include "load/directory.h"
#include "text/pipeline.h"

#include <string.h>

struct bamba_tokenizer {
    bb_allocator  alloc;
    bb_pipeline   pipeline;
};

enum { TEXT_MOST_BYTES = 1 << 30 };

/* -------------------------------------------------------------- opening ------------------ */

bamba_status bamba_tokenizer_open(bamba_tokenizer **out, const char *dir,
                                  const bamba_tokenizer_options *options, bamba_error *err)
{
    bamba_tokenizer_options o = BAMBA_TOKENIZER_OPTIONS;
    bb_allocator            a;
    bamba_tokenizer        *t = NULL;
    bb_status               status = BAMBA_OK;

    if (!out) return bb_fail(err, BAMBA_ERR_ARGUMENT, "out: expected a pointer, found NULL");
    *out = NULL;
    if (!dir) return bb_fail(err, BAMBA_ERR_ARGUMENT, "dir: expected a path, found NULL");
    status = bb_read_options(&o, sizeof o, sizeof o, options, "tokenizer options", err);
    if (status == BAMBA_OK) status = bb_allocator_resolve(&a, &o.allocator, err);
    if (status != BAMBA_OK) return status;

    t = bb_new(&a, 1, sizeof *t);
    if (!t) return bb_fail(err, BAMBA_ERR_MEMORY, "tokenizer: out of memory");
    t->alloc = a;
    BB_TRY(bb_directory_check(&a, dir, "tokenizer.json", err));
    BB_TRY(bb_pipeline_load(&t->pipeline, &t->alloc, dir, &(bb_log){ o.log, o.log_context },
                            err));
    *out = t;
    t = NULL;
done:
    bamba_tokenizer_free(t);
    return status;
}

void bamba_tokenizer_free(bamba_tokenizer *t)
{
    if (!t) return;
    const bb_allocator a = t->alloc;
    bb_pipeline_free(&t->pipeline);
    bb_release(&a, t);
}

int bamba_tokenizer_size(const bamba_tokenizer *t)
{
    return bb_decode_size(t->pipeline.decode);
}

/* -------------------------------------------------------------- text to ids -------------- */

bamba_status bamba_tokenize_with(const bamba_tokenizer *t, const char *text, size_t n_bytes,
                                 const bamba_tokenize_options *options, int32_t **ids,
                                 size_t *n_ids, bamba_error *err)
{
    const unsigned         known = BAMBA_TOKENIZE_ADD_SPECIAL | BAMBA_TOKENIZE_PARSE_SPECIAL |
                                   BAMBA_TOKENIZE_CONTINUE;
    bamba_tokenize_options o = BAMBA_TOKENIZE_OPTIONS;

    if (!t || !ids || !n_ids || (!text && n_bytes > 0))
        return bb_fail(err, BAMBA_ERR_ARGUMENT, "bamba_tokenize: an argument is NULL");
    *ids = NULL;
    *n_ids = 0;
    bb_status status = bb_read_options(&o, sizeof o, offsetof(bamba_tokenize_options, plain),
                                       options, "tokenize options", err);
    if (status != BAMBA_OK) return status;
    if (o.flags & ~known)
        return bb_fail(err, BAMBA_ERR_ARGUMENT, "flags: 0x%x is not known", o.flags);
    if (n_bytes > TEXT_MOST_BYTES)
        return bb_fail(err, BAMBA_ERR_ARGUMENT, "text: expected at most %d bytes, found %zu",
                       (int)TEXT_MOST_BYTES, n_bytes);
    for (size_t i = 0; i < o.n_plain; i++)
        if (o.plain[i].begin >= o.plain[i].end || o.plain[i].end > n_bytes ||
            (i > 0 && o.plain[i].begin < o.plain[i - 1].end))
            return bb_fail(err, BAMBA_ERR_ARGUMENT, "plain: expected ranges of the text in order");
    const size_t valid = n_bytes ? bb_utf8_valid(text, n_bytes) : 0;
    if (valid < n_bytes)
        return bb_fail(err, BAMBA_ERR_FORMAT, "text: not UTF-8 at byte %zu", valid);

    bb_ids list = { .a = &t->alloc };
    status = bb_pipeline_encode(&t->pipeline, text, n_bytes, &o, &list, err);
    if (status != BAMBA_OK || list.n == 0) {
        bb_release(&t->alloc, list.id);
        return status;
    }
    *ids = list.id;
    *n_ids = list.n;
    return BAMBA_OK;
}

bamba_status bamba_tokenize(const bamba_tokenizer *t, const char *text, size_t n_bytes,
                            unsigned flags, int32_t **ids, size_t *n_ids, bamba_error *err)
{
    bamba_tokenize_options o = BAMBA_TOKENIZE_OPTIONS;

    o.flags = flags;
    return bamba_tokenize_with(t, text, n_bytes, &o, ids, n_ids, err);
}

void bamba_tokens_free(const bamba_tokenizer *t, int32_t *ids)
{
    if (t && ids) bb_release(&t->alloc, ids);
}

/* -------------------------------------------------------------- single tokens ------------ */

const char *bamba_token_text(const bamba_tokenizer *t, int32_t id, size_t *n_bytes)
{
    const bb_added_token *added = bb_added_at(&t->pipeline.added, id);
    const bb_piece       *piece = bb_decode_piece(t->pipeline.decode, id);

    *n_bytes = 0;
    if (added && added->special) {
        *n_bytes = added->n_content;
        return added->content;
    }
    if (!piece) return NULL;
    *n_bytes = piece->n_bytes;
    return piece->bytes;
}

int bamba_token_is_special(const bamba_tokenizer *t, int32_t id)
{
    const bb_added_token *added = bb_added_at(&t->pipeline.added, id);
    return added && added->special;
}

int32_t bamba_token_find(const bamba_tokenizer *t, const char *text, size_t n_bytes)
{
    const bb_added_token *added = bb_added_find(&t->pipeline.added, text, n_bytes);
    return added ? added->id : bb_vocab_find(&t->pipeline.vocab, text, n_bytes);
}

int32_t bamba_tokenizer_eos(const bamba_tokenizer *t)
{
    return t->pipeline.eos;
}

/* -------------------------------------------------------------- ids to text -------------- */

bamba_status bamba_decode(const bamba_tokenizer *t, bamba_decoder *decoder, const int32_t *ids,
                          size_t n_ids, unsigned flags, char *buffer, size_t size,
                          size_t *n_bytes)
{
    const unsigned known = BAMBA_DECODE_SKIP_SPECIAL | BAMBA_DECODE_FINISH;

    if (!t || !decoder || !n_bytes || (!ids && n_ids > 0) || (!buffer && size > 0) ||
        (flags & ~known) || decoder->n_pending > BB_RUN_MOST)
        return BAMBA_ERR_ARGUMENT;

    bamba_decoder trial = *decoder;
    *n_bytes = bb_decode_run(t->pipeline.decode, &trial, ids, n_ids, flags, NULL, 0);
    if (*n_bytes > size) return BAMBA_OK;
    bb_decode_run(t->pipeline.decode, decoder, ids, n_ids, flags, buffer, size);
    return BAMBA_OK;
}
