/* tokenizer.c - bamba_tokenizer: the public face of text/. */
#include "base/file.h"
#include "base/options.h"
#include "base/utf8.h"
#include "load/directory.h"
#include "text/pipeline.h"

#include <string.h>

struct bamba_tokenizer {
    bb_allocator  alloc;
    bb_pipeline   pipeline;
    int32_t       eos;                    /* -1: not said */
};

enum { TEXT_MOST_BYTES = 1 << 30 };

/* -------------------------------------------------------------- opening ------------------ */

/* "text", or {"content": "text", …}. *member must outlive what is returned. */
static bb_json token_name(const bb_json *config, const char *key, bb_json *member)
{
    *member = bb_json_get(config, key);
    return bb_json_is_object(member) ? bb_json_get(member, "content") : *member;
}

static bb_status read_config(bamba_tokenizer *t, const char *path, const bb_log *log,
                             bamba_error *err)
{
    bb_json_doc *doc = NULL;
    bb_status    status = BAMBA_OK;
    bb_path_kind kind;

    BB_TRY(bb_path_find(path, &kind, err));
    if (!kind) return BAMBA_OK;
    /* transformers writes an unlimited model_max_length as an integer of 31 digits */
    BB_TRY(bb_json_open(&doc, &t->alloc, path, BB_JSON_INFINITY | BB_JSON_HUGE, err));
    const bb_json config = bb_json_root(doc);
    bb_json       member;
    const bb_json eos = token_name(&config, "eos_token", &member);
    if (eos.node) {
        size_t      n;
        const char *text = bb_json_value_text(&eos, &n);
        t->eos = bamba_token_find(t, text, n);
        if (t->eos < 0 && n > 0) bb_json_log(&eos, log, "'%.80s' is not a token", text);
    }
    BB_TRY(bb_json_status(doc, err));
done:
    bb_json_close(doc);
    return status;
}

bamba_status bamba_tokenizer_open(bamba_tokenizer **out, const char *dir,
                                  const bamba_tokenizer_options *options, bamba_error *err)
{
    bamba_tokenizer_options o = BAMBA_TOKENIZER_OPTIONS;
    bb_allocator            a;
    bamba_tokenizer        *t = NULL;
    char                   *path = NULL;
    bb_status               status = BAMBA_OK;

    if (!out) return bb_fail(err, BAMBA_ERR_ARGUMENT, "out: expected a pointer, found NULL");
    *out = NULL;
    if (!dir) return bb_fail(err, BAMBA_ERR_ARGUMENT, "dir: expected a path, found NULL");
    status = bb_read_options(&o, sizeof o, sizeof o, options, "tokenizer options", err);
    if (status == BAMBA_OK) status = bb_allocator_resolve(&a, &o.allocator, err);
    if (status != BAMBA_OK) return status;

    t = bb_new(&a, 1, sizeof *t);
    if (t) t->alloc = a;
    path = bb_path_join(&a, dir, "tokenizer.json");
    if (!t || !path) {
        status = bb_fail(err, BAMBA_ERR_MEMORY, "tokenizer: out of memory");
        goto done;
    }
    t->eos = -1;
    BB_TRY(bb_directory_check(&a, dir, "tokenizer.json", err));
    BB_TRY(bb_pipeline_load(&t->pipeline, &t->alloc, path, err));
    bb_release(&a, path);
    path = bb_path_join(&a, dir, "tokenizer_config.json");
    if (!path) {
        status = bb_fail(err, BAMBA_ERR_MEMORY, "tokenizer: out of memory");
        goto done;
    }
    BB_TRY(read_config(t, path, &(bb_log){ o.log, o.log_context }, err));
    *out = t;
    t = NULL;
done:
    bb_release(&a, path);
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

bamba_status bamba_tokenize(const bamba_tokenizer *t, const char *text, size_t n_bytes,
                            unsigned flags, int32_t **ids, size_t *n_ids, bamba_error *err)
{
    if (!t || !ids || !n_ids || (!text && n_bytes > 0))
        return bb_fail(err, BAMBA_ERR_ARGUMENT, "bamba_tokenize: an argument is NULL");
    *ids = NULL;
    *n_ids = 0;
    if (flags & ~(unsigned)(BAMBA_TOKENIZE_ADD_SPECIAL | BAMBA_TOKENIZE_PARSE_SPECIAL))
        return bb_fail(err, BAMBA_ERR_ARGUMENT, "flags: 0x%x is not known", flags);
    if (n_bytes > TEXT_MOST_BYTES)
        return bb_fail(err, BAMBA_ERR_ARGUMENT, "text: expected at most %d bytes, found %zu",
                       (int)TEXT_MOST_BYTES, n_bytes);
    const size_t valid = n_bytes ? bb_utf8_valid(text, n_bytes) : 0;
    if (valid < n_bytes)
        return bb_fail(err, BAMBA_ERR_FORMAT, "text: not UTF-8 at byte %zu", valid);

    bb_ids          list = { .a = &t->alloc };
    const bb_status status = bb_pipeline_encode(&t->pipeline, text, n_bytes, flags, &list, err);
    if (status != BAMBA_OK || list.n == 0) {
        bb_release(&t->alloc, list.id);
        return status;
    }
    *ids = list.id;
    *n_ids = list.n;
    return BAMBA_OK;
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
    return t->eos;
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
