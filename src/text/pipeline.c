/* pipeline.c - tokenizer.json as a whole.
 *
 * A text goes through: added tokens found in it as it is; what lies between is normalized;
 * added tokens found in that; what lies between is cut into pieces; each piece is merged. */
#include "text/pipeline.h"

#include "base/file.h"
#include "text/bpe_load.h"
#include "text/overlay.h"

#include <string.h>

static void check_model(const bb_json *model)
{
    const bool  merges = bb_json_has(model, "merges");
    const char *type = bb_json_text_or(model, "type", merges ? "BPE" : "");

    if (strcmp(type, "BPE") != 0)
        bb_json_fail_key(model, "type", BAMBA_ERR_UNSUPPORTED, "expected BPE, found '%s'",
                         type);
}

static bb_status load_added(bb_pipeline *p, const bb_json *root, const char *dir,
                            const bb_log *log, bamba_error *err)
{
    const bb_json added = bb_json_get(root, "added_tokens");
    bb_added_list list = { .a = &p->alloc };
    bb_overlay    o = { 0 };
    bb_status     status = BAMBA_OK;

    BB_TRY(bb_added_list_load(&list, &added, err));
    BB_TRY(bb_overlay_open(&o, &list, dir, root, err));
    BB_TRY(bb_added_load(&p->added, &p->alloc, &list, &added, &p->vocab, p->normalizer, log,
                         err));
    p->split_special = o.split_special;
    if (o.n_eos) {
        const bb_added_token *eos = bb_added_find(&p->added, o.eos, o.n_eos);
        p->eos = eos ? eos->id : bb_vocab_find(&p->vocab, o.eos, o.n_eos);
    }
done:
    bb_release(&p->alloc, list.spec);
    bb_overlay_close(&o);
    return status;
}

static bb_status load_components(bb_pipeline *p, const bb_json *root, const char *dir,
                                 const bb_log *log, bamba_error *err)
{
    const bb_json model = bb_json_get(root, "model");
    const bb_json vocab = bb_json_get(&model, "vocab");
    const bb_json normalizer = bb_json_get(root, "normalizer");
    const bb_json pretokenizer = bb_json_get(root, "pre_tokenizer");
    const bb_json post = bb_json_get(root, "post_processor");
    const bb_json decoder = bb_json_get(root, "decoder");
    bb_status     status = BAMBA_OK;

    if (bb_json_is_object(&model)) check_model(&model);
    else bb_json_fail(&model, BAMBA_ERR_FORMAT, "expected an object");
    BB_TRY(bb_json_status(root->doc, err));
    BB_TRY(bb_vocab_load(&p->vocab, &p->alloc, &vocab, err));
    BB_TRY(bb_bpe_load(&p->bpe, &p->alloc, &p->vocab, &model, err));
    BB_TRY(bb_normalizer_load(&p->normalizer, &p->alloc, &normalizer, err));
    BB_TRY(bb_pretokenizer_load(&p->pretokenizer, &p->alloc, &pretokenizer, err));
    BB_TRY(load_added(p, root, dir, log, err));
    BB_TRY(bb_decode_load(&p->decode, &decoder, &p->vocab, &p->added, err));
    BB_TRY(bb_postprocess_load(&p->post, &post, p->decode, err));
done:
    return status;
}

bb_status bb_pipeline_load(bb_pipeline *p, const bb_allocator *a, const char *dir,
                           const bb_log *log, bamba_error *err)
{
    bb_json_doc *doc = NULL;
    bb_status    status = BAMBA_OK;
    char        *path = bb_path_join(a, dir, "tokenizer.json");

    *p = (bb_pipeline){ .alloc = *a, .eos = -1 };
    if (!path) return bb_fail(err, BAMBA_ERR_MEMORY, "tokenizer: out of memory");
    BB_TRY(bb_json_open(&doc, &p->alloc, path, BB_JSON_LARGE, err));
    const bb_json root = bb_json_root(doc);
    BB_TRY(load_components(p, &root, dir, log, err));
    BB_TRY(bb_json_status(doc, err));
done:
    bb_json_close(doc);
    bb_release(a, path);
    return status;
}

void bb_pipeline_free(bb_pipeline *p)
{
    bb_decode_free(p->decode);
    bb_added_free(&p->added);
    bb_pretokenizer_free(p->pretokenizer);
    bb_normalizer_free(p->normalizer);
    bb_bpe_free(p->bpe);
    bb_vocab_free(&p->vocab);
    *p = (bb_pipeline){ .alloc = p->alloc };
}

/* -------------------------------------------------------------- encoding ----------------- */

enum { REPORT_BYTES = 1 << 16 };          /* between two reports, at least */

typedef struct encoder {
    const bb_pipeline *p;
    bb_matcher        *matcher;
    bb_buffer          text;              /* normalized */
    bb_buffer          spare;
    bb_pieces          pieces;
    bb_bpe_work        bpe;
    bool               special;
    bool               bare;              /* the text goes on where another ended */
    const bamba_range *plain;             /* [n_plain] of the text: without special tokens */
    size_t             n_plain;
    size_t             done;              /* bytes of the text whose ids are known */
    bb_ids            *ids;
    bamba_error       *err;
} encoder;

static bb_status no_memory(const encoder *e)
{
    return bb_fail(e->err, BAMBA_ERR_MEMORY, "encoding text: out of memory");
}

/* Encode a stretch of normalized text without added tokens. */
static bb_status encode_stretch(encoder *e, const char *text, size_t n, bool at_start)
{
    size_t unreported = 0;

    e->pieces.text.n = 0;
    e->pieces.at_start = at_start;
    e->pieces.bare = at_start && e->bare;
    if (!bb_buffer_append(&e->pieces.text, text, n)) return no_memory(e);

    bb_status status = bb_pretokenize(e->p->pretokenizer, e->matcher, &e->pieces, e->err);
    for (size_t i = 0; status == BAMBA_OK && i < e->pieces.piece.n; i++) {
        const bb_span s = e->pieces.piece.span[i];
        status = bb_bpe_encode(e->p->bpe, &e->bpe, e->pieces.text.data + s.start,
                               s.end - s.start, e->ids, e->err);
        unreported += s.end - s.start;
        if (status == BAMBA_OK && unreported >= REPORT_BYTES) {
            unreported = 0;
            status = bb_matcher_report(e->matcher, e->done + s.end, e->err);
        }
    }
    return status;
}

/* Whether a range of plain text touches [start, end) of the text. */
static bool touches_plain(const encoder *e, size_t start, size_t end)
{
    for (size_t i = 0; i < e->n_plain; i++)
        if (e->plain[i].begin < end && start < e->plain[i].end) return true;
    return false;
}

/* Whether a special token stands in the normalized text. */
static bool finds_special(const encoder *e)
{
    bb_added_scan scan = bb_added_scan_begin(&e->p->added.normalized, e->text.data,
                                             e->text.n, true);

    while (bb_added_scan_next(&scan))
        if (scan.token && scan.token->special) return true;
    return false;
}

static bb_status encode_raw(encoder *e, const char *text, size_t n, bool at_start);

/* Encode a stretch of raw text cut at the ranges of plain text. Special tokens that are looked for
   in normalized text, whose bytes lie elsewhere, need this where one is found; others do not. */
static bb_status encode_cut(encoder *e, const char *text, size_t n, bool at_start)
{
    const size_t n_plain = e->n_plain, base = e->done;
    bb_status    status = BAMBA_OK;
    size_t       range = 0;

    e->n_plain = 0;
    for (size_t at = 0, end; at < n && status == BAMBA_OK; at = end) {
        while (range < n_plain && e->plain[range].end <= base + at) range++;
        const bool inside = range < n_plain && e->plain[range].begin <= base + at;
        end = range < n_plain ? (inside ? e->plain[range].end : e->plain[range].begin) - base : n;
        if (end > n) end = n;
        e->special = !inside;
        e->done = base + at;
        status = encode_raw(e, text + at, end - at, at_start && at == 0);
    }
    e->n_plain = n_plain;
    e->special = true;
    return status;
}

/* Encode a stretch of raw text without those added tokens that are looked for in raw text. */
static bb_status encode_raw(encoder *e, const char *text, size_t n, bool at_start)
{
    e->text.n = 0;
    if (!bb_buffer_append(&e->text, text, n)) return no_memory(e);

    bb_status status = bb_normalize(e->p->normalizer, e->matcher, &e->text, &e->spare,
                                    at_start && e->bare, e->err);
    if (status == BAMBA_OK) status = bb_matcher_report(e->matcher, e->done, e->err);
    if (status != BAMBA_OK) return status;
    if (e->special && touches_plain(e, e->done, e->done + n) && finds_special(e))
        return encode_cut(e, text, n, at_start);
    bb_added_scan scan = bb_added_scan_begin(&e->p->added.normalized, e->text.data, e->text.n,
                                             e->special);
    while (status == BAMBA_OK && bb_added_scan_next(&scan)) {
        if (!scan.token)
            status = encode_stretch(e, e->text.data + scan.start, scan.end - scan.start,
                                    at_start && scan.start == 0);
        else if (!bb_ids_append(e->ids, scan.token->id))
            status = no_memory(e);
    }
    return status;
}

static bb_status encode_text(encoder *e, const char *text, size_t n)
{
    bb_added_scan scan = bb_added_scan_begin(&e->p->added.raw, text, n, e->special);
    bb_status     status = BAMBA_OK;

    scan.plain = e->plain;
    scan.n_plain = e->n_plain;
    while (status == BAMBA_OK && bb_added_scan_next(&scan)) {
        e->done = scan.start;
        if (!scan.token)
            status = encode_raw(e, text + scan.start, scan.end - scan.start, scan.start == 0);
        else if (!bb_ids_append(e->ids, scan.token->id))
            status = no_memory(e);
    }
    return status;
}

static bb_status append_all(encoder *e, const int32_t *ids, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!bb_ids_append(e->ids, ids[i])) return no_memory(e);
    return BAMBA_OK;
}

bb_status bb_pipeline_encode(const bb_pipeline *p, const char *text, size_t n,
                             const bamba_tokenize_options *options, bb_ids *ids,
                             bamba_error *err)
{
    const bb_allocator *a = &p->alloc;
    const unsigned      flags = options->flags;
    const bool          affix = flags & BAMBA_TOKENIZE_ADD_SPECIAL;
    bb_status           status = BAMBA_OK;
    encoder e = { .p = p, .text.a = a, .spare.a = a, .pieces = bb_pieces_begin(a), .bpe.a = a,
                  .special = (flags & BAMBA_TOKENIZE_PARSE_SPECIAL) && !p->split_special,
                  .bare = flags & BAMBA_TOKENIZE_CONTINUE, .plain = options->plain,
                  .n_plain = options->n_plain, .ids = ids, .err = err };

    if (affix) BB_TRY(append_all(&e, p->post.before, p->post.n_before));
    if (n > 0) {
        BB_TRY(bb_matcher_create(&e.matcher, a, err));
        bb_matcher_begin(e.matcher, n, options->progress, options->progress_context);
        BB_TRY(encode_text(&e, text, n));
        BB_TRY(bb_matcher_report(e.matcher, n, err));
    }
    if (affix) BB_TRY(append_all(&e, p->post.behind, p->post.n_behind));
done:
    bb_matcher_free(e.matcher);
    bb_buffer_free(&e.text);
    bb_buffer_free(&e.spare);
    bb_pieces_free(&e.pieces);
    bb_bpe_work_free(&e.bpe);
    return status;
}
