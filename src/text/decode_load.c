/* decode_load.c - reading a decoder, and what it makes of every single token.
 *
 * A chain [Replace | Strip | Metaspace]* [ByteLevel | ByteFallback]? Fuse? Strip? is accepted.
 * The first group acts on single tokens and is applied here, once; of the rest only flags are
 * kept for decode.c. */
#include "text/decode_internal.h"

#include "base/utf8.h"
#include "text/bytelevel.h"

#include <string.h>

/* A step of the chain that acts on single tokens. */
typedef struct step {
    bb_replacement replace;               /* without pattern: Strip            */
    uint32_t       strip;
    int            start, stop;           /* characters stripped at either end */
} step;

/* MOST_GROWTH: bytes by which a token may grow; bamba.h promises it. */
enum { MOST_STEPS = 16, MOST_GROWTH = 64, MOST_STRIP = 255 };

typedef enum phase { TOKENS, BYTE_RUNS, FUSED } phase;

typedef struct loader {
    bb_decode  *d;
    phase       phase;
    step        step[MOST_STEPS];
    int         n_steps;
    bb_matcher *matcher;
    bb_buffer   text;                     /* of one token      */
    bb_buffer   spare;
    bb_buffer   all;                      /* of all the tokens */
} loader;

static bb_status no_memory(bamba_error *err)
{
    return bb_fail(err, BAMBA_ERR_MEMORY, "out of memory for the tokens' texts");
}

/* -------------------------------------------------------------- the chain ---------------- */

static step *new_step(loader *l, const bb_json *json)
{
    if (l->n_steps < MOST_STEPS) return &l->step[l->n_steps++];
    bb_json_fail(json, BAMBA_ERR_UNSUPPORTED, "expected at most %d decoders", MOST_STEPS);
    return NULL;
}

static bb_status load_replace(loader *l, const bb_json *json, bamba_error *err)
{
    step         *s = new_step(l, json);
    const bb_json content = bb_json_get(json, "content");
    size_t        n;
    const char   *text = bb_json_value_text(&content, &n);

    if (!s) return bb_json_status(json->doc, err);
    s->replace.content = bb_copy_text(&l->d->alloc, text, n);
    s->replace.n_content = n;
    if (!s->replace.content) return no_memory(err);
    return bb_pattern_load(&s->replace.pattern, &l->d->alloc, json, err);
}

static bb_status load_strip(loader *l, const bb_json *json, bamba_error *err)
{
    const uint32_t c = bb_load_char(json, "content");
    const int      start = bb_json_int(json, "start", 0, MOST_STRIP);
    const int      stop = bb_json_int(json, "stop", 0, MOST_STRIP);

    if (l->phase == TOKENS) {
        step *s = new_step(l, json);
        if (s) *s = (step){ .strip = c, .start = start, .stop = stop };
    } else if (stop > 0 || l->d->n_strip > 0) {
        bb_json_fail(json, BAMBA_ERR_UNSUPPORTED, "stripping the end of the text, or stripping "
                                                  "twice, is not supported");
    } else {
        l->d->strip = c;
        l->d->n_strip = (unsigned)start;
    }
    return bb_json_status(json->doc, err);
}

/* Every mark becomes a space; decode.c takes those of the first token away. */
static bb_status load_metaspace(loader *l, const bb_json *json, bamba_error *err)
{
    const uint32_t mark = bb_load_char(json, "replacement");
    unsigned char  s[4];
    const size_t   n = bb_utf8_encode(mark, s);
    const char    *scheme = bb_json_text_or(json, "prepend_scheme", "always");
    const bool     never = strcmp(scheme, "never") == 0;

    if (l->n_steps > 0)
        bb_json_fail(json, BAMBA_ERR_UNSUPPORTED,
                     "Metaspace behind another decoder is not supported");
    step *t = new_step(l, json);
    const bb_status status = bb_json_status(json->doc, err);
    if (status != BAMBA_OK) return status;
    if (!never && bb_json_bool_or(json, "add_prefix_space", true)) l->d->mark = mark;
    t->replace.content = bb_copy_text(&l->d->alloc, " ", 1);
    t->replace.n_content = 1;
    if (!t->replace.content) return no_memory(err);
    return bb_regex_compile(&t->replace.pattern, &l->d->alloc, (const char *)s, n, true, err);
}

static bb_status load_component(void *into, const bb_json *json, bamba_error *err)
{
    loader         *l = into;
    const char     *type = bb_json_text(json, "type");
    const bb_status status = bb_json_status(json->doc, err);

    if (status != BAMBA_OK) return status;
    const bool tokens = l->phase == TOKENS;
    if (strcmp(type, "Sequence") == 0)
        return bb_sequence_load(json, "decoders", "decoders", load_component, l, err);
    if (strcmp(type, "Strip") == 0 && l->phase != BYTE_RUNS) return load_strip(l, json, err);
    if (strcmp(type, "Replace") == 0 && tokens) return load_replace(l, json, err);
    if (strcmp(type, "Metaspace") == 0 && tokens) return load_metaspace(l, json, err);
    if (strcmp(type, "ByteFallback") == 0 && tokens) {
        l->d->byte_runs = true;
        l->phase = BYTE_RUNS;
    } else if (strcmp(type, "ByteLevel") == 0 && tokens && !l->d->mark) {
        l->d->bytes = true;
        l->phase = FUSED;
    } else if (strcmp(type, "Fuse") == 0) {
        l->phase = FUSED;
    } else {
        bb_json_fail(json, BAMBA_ERR_UNSUPPORTED, "decoder '%s' is not supported%s", type,
                     tokens ? "" : " here");
    }
    return bb_json_status(json->doc, err);
}

/* -------------------------------------------------------------- single tokens ------------ */

/* Bytes of the characters c, at most `most` of them, with which text [n] begins. */
static size_t leading(const char *text, size_t n, uint32_t c, int most)
{
    const unsigned char *s = (const unsigned char *)text;
    size_t               at = 0;

    for (int i = 0; i < most && at < n; i++) {
        const size_t length = bb_utf8_length(s + at, n - at);
        if (bb_utf8_decode(s + at, length) != c) break;
        at += length;
    }
    return at;
}

/* Bytes of the characters c, at most `most` of them, with which text [n] ends. */
static size_t trailing(const char *text, size_t n, uint32_t c, int most)
{
    unsigned char s[4];
    const size_t  length = bb_utf8_encode(c, s);
    size_t        taken = 0;

    for (int i = 0; i < most && n - taken >= length; i++, taken += length)
        if (memcmp(text + n - taken - length, s, length) != 0) break;
    return taken;
}

static bb_status apply_step(loader *l, const step *s, bamba_error *err)
{
    bb_status status = BAMBA_OK;

    l->spare.n = 0;
    if (s->replace.pattern) {
        status = bb_replace(&s->replace, l->matcher, l->text.data, l->text.n, &l->spare, err);
    } else if (l->text.n > 0) {
        const size_t from = leading(l->text.data, l->text.n, s->strip, s->start);
        const size_t cut = trailing(l->text.data, l->text.n, s->strip, s->stop);
        if (from + cut < l->text.n &&
            !bb_buffer_append(&l->spare, l->text.data + from, l->text.n - cut - from))
            status = no_memory(err);
    }
    const bb_buffer swap = l->text;
    l->text = l->spare;
    l->spare = swap;
    return status;
}

/* The byte that <0xHH> names, or -1. */
static int named_byte(const char *text, size_t n)
{
    if (n != 6 || memcmp(text, "<0x", 3) != 0 || text[5] != '>') return -1;
    const int high = bb_hex_digit(text[3]);
    const int low = bb_hex_digit(text[4]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

/* Append to l->all the bytes that a token stands for. */
static bb_status add_bytes(loader *l, bb_piece *t, bamba_error *err)
{
    bb_status    status = BAMBA_OK;
    const size_t start = l->all.n;

    l->text.n = 0;
    l->text.limit = l->spare.limit = t->n_name + MOST_GROWTH;
    if (!bb_buffer_append(&l->text, t->name, t->n_name)) return no_memory(err);
    for (int i = 0; i < l->n_steps; i++) BB_TRY(apply_step(l, &l->step[i], err));

    const int byte = l->d->byte_runs ? named_byte(l->text.data, l->text.n) : -1;
    bool      ok;
    if (byte >= 0) {
        const char c = (char)byte;
        t->is_byte = true;
        ok = bb_buffer_append(&l->all, &c, 1);
    } else if (l->d->bytes) {
        ok = bb_bytelevel_decode(&l->all, l->text.data, l->text.n);
    } else {
        ok = bb_buffer_append(&l->all, l->text.data, l->text.n);
    }
    if (!ok) return no_memory(err);
    t->n_bytes = l->all.n - start;
done:
    return status;
}

/* Merge vocabulary and added tokens into one list by id; of an id that both have, the added
   token counts. */
static void list_tokens(bb_decode *d, const bb_vocab *vocab, const bb_added *added)
{
    size_t v = 0;
    size_t k = 0;

    while (v < vocab->n || k < added->n) {
        const bool from_added =
            k < added->n && (v == vocab->n || added->token[k].id <= vocab->token[v].id);
        bb_piece *t = &d->piece[d->n++];
        if (from_added) {
            const bb_added_token *a = &added->token[k++];
            if (v < vocab->n && vocab->token[v].id == a->id) v++;
            *t = (bb_piece){ .name = a->match, .n_name = a->n_match, .id = a->id,
                             .special = a->special };
        } else {
            const bb_vocab_token *a = &vocab->token[v++];
            *t = (bb_piece){ .name = a->text, .n_name = a->n_bytes, .id = a->id };
        }
    }
}

static bb_status fill(loader *l, const bb_vocab *vocab, const bb_added *added,
                      bamba_error *err)
{
    bb_decode *d = l->d;
    bb_status  status = BAMBA_OK;

    d->piece = bb_allocate(&d->alloc, vocab->n + added->n, sizeof *d->piece);
    if (!d->piece) return no_memory(err);
    BB_TRY(bb_matcher_create(&l->matcher, &d->alloc, err));
    list_tokens(d, vocab, added);
    for (size_t i = 0; i < d->n; i++) BB_TRY(add_bytes(l, &d->piece[i], err));

    size_t at = 0;
    for (size_t i = 0; i < d->n; i++) {
        d->piece[i].bytes = l->all.data ? l->all.data + at : "";
        at += d->piece[i].n_bytes;
    }
    d->text = l->all.data;
    l->all = (bb_buffer){ .a = l->all.a };
done:
    return status;
}

bb_status bb_decode_load(bb_decode **out, const bb_json *json, const bb_vocab *vocab,
                         const bb_added *added, bamba_error *err)
{
    const bb_allocator *a = &vocab->alloc;
    bb_status           status = BAMBA_OK;
    loader              l = { .text.a = a, .spare.a = a, .all.a = a };

    *out = NULL;
    l.d = bb_new(a, 1, sizeof *l.d);
    if (!l.d) return no_memory(err);
    l.d->alloc = *a;
    if (json->node) BB_TRY(load_component(&l, json, err));
    else l.d->joined = true;
    BB_TRY(fill(&l, vocab, added, err));
    *out = l.d;
    l.d = NULL;
done:
    for (int i = 0; i < l.n_steps; i++) {
        bb_regex_free(l.step[i].replace.pattern);
        bb_release(a, l.step[i].replace.content);
    }
    bb_matcher_free(l.matcher);
    bb_buffer_free(&l.text);
    bb_buffer_free(&l.spare);
    bb_buffer_free(&l.all);
    bb_decode_free(l.d);
    return status;
}

void bb_decode_free(bb_decode *d)
{
    if (!d) return;
    const bb_allocator a = d->alloc;
    bb_release(&a, d->piece);
    bb_release(&a, d->text);
    bb_release(&a, d);
}

int bb_decode_size(const bb_decode *d)
{
    return d->piece[d->n - 1].id + 1;
}

const bb_piece *bb_decode_piece(const bb_decode *d, int32_t id)
{
    return bb_find_id(d->piece, d->n, sizeof *d->piece, id);
}
