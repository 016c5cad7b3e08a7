/* bpe_load.c - tokenizer.json's "model": vocabulary and merges read from JSON. */
#include "text/bpe_load.h"

#include <string.h>

/* How many of the n bytes of a token a message shows. */
static int shown(size_t n) { return n < 60 ? (int)n : 60; }

/* -------------------------------------------------------------- vocabulary --------------- */

/* In one walk: the document's nodes lie scattered, and meeting them is what loading costs. */
static bb_status add_tokens(bb_vocab *v, const bb_json *object, size_t n, bamba_error *err)
{
    bb_json_walk walk = { 0 };
    bb_json      member;

    while (bb_json_next(object, &walk, &member)) {
        const int64_t id = bb_json_value_int(&member);
        if (id < 0 || id >= BB_ID_LIMIT)
            bb_json_fail(&member, BAMBA_ERR_FORMAT, "expected an id in [0, %d), found %lld",
                         (int)BB_ID_LIMIT, (long long)id);
        if (bb_json_status(object->doc, NULL) != BAMBA_OK) break;
        if (!bb_vocab_add(v, member.key, strlen(member.key), (int32_t)id))
            return bb_fail(err, BAMBA_ERR_MEMORY, "out of memory for %zu tokens", n);
    }
    return bb_json_status(object->doc, err);
}

bb_status bb_vocab_load(bb_vocab *v, const bb_allocator *a, const bb_json *object,
                        bamba_error *err)
{
    const size_t   n = bb_json_members(object);
    bb_status      status = BAMBA_OK;
    bb_vocab_token one, other;

    *v = (bb_vocab){ .alloc = *a };
    if (n == 0 || n > BB_ID_LIMIT) {
        bb_json_fail(object, BAMBA_ERR_FORMAT,
                     "expected an object of 1 to %d tokens and their ids", (int)BB_ID_LIMIT);
        return bb_json_status(object->doc, err);
    }
    if (!bb_vocab_begin(v, a, n)) {
        status = bb_fail(err, BAMBA_ERR_MEMORY, "out of memory for %zu tokens", n);
        goto done;
    }
    BB_TRY(add_tokens(v, object, n, err));
    if (!bb_vocab_finish(v, &one, &other)) {
        bb_json_fail(object, BAMBA_ERR_FORMAT, "id %d is given to '%.*s' and to '%.*s'",
                     (int)other.id, shown(one.n_bytes), one.text, shown(other.n_bytes),
                     other.text);
        status = bb_json_status(object->doc, err);
    }
done:
    if (status != BAMBA_OK) bb_vocab_free(v);
    return status;
}

/* -------------------------------------------------------------- merges ------------------- */

/* "a b" or ["a", "b"]. */
static void read_pair(const bb_json *item, bb_text *left, bb_text *right)
{
    if (bb_json_is_array(item)) {
        const bb_json first = bb_json_at(item, 0);
        const bb_json second = bb_json_at(item, 1);
        left->s = bb_json_value_text(&first, &left->n);
        right->s = bb_json_value_text(&second, &right->n);
        if (bb_json_length(item) != 2)
            bb_json_fail(item, BAMBA_ERR_FORMAT, "expected two tokens, found %zu",
                         bb_json_length(item));
        return;
    }
    size_t      n;
    const char *text = bb_json_value_text(item, &n);
    const char *space = memchr(text, ' ', n);
    if (!space || memchr(space + 1, ' ', n - (size_t)(space - text) - 1)) {
        bb_json_fail(item, BAMBA_ERR_FORMAT, "expected two tokens with one space between");
        return;
    }
    *left = (bb_text){ text, (size_t)(space - text) };
    *right = (bb_text){ space + 1, n - left->n - 1 };
}

static bb_status add_merges(bb_bpe *b, const bb_json *list, bamba_error *err)
{
    const size_t n = bb_json_length(list);
    bb_text      left, right, missing;

    for (size_t i = 0; i < n && bb_json_status(list->doc, NULL) == BAMBA_OK; i++) {
        const bb_json item = bb_json_at(list, i);
        read_pair(&item, &left, &right);
        if (bb_json_status(list->doc, NULL) == BAMBA_OK &&
            !bb_bpe_add(b, left, right, &missing))
            bb_json_fail(&item, BAMBA_ERR_FORMAT, "'%.*s' is not in the vocabulary",
                         shown(missing.n), missing.s);
    }
    return bb_json_status(list->doc, err);
}

static void refuse_what_we_lack(const bb_json *model)
{
    static const char *const affixes[] = { "continuing_subword_prefix", "end_of_word_suffix" };

    for (size_t i = 0; i < 2; i++) {
        const char *text = bb_json_text_or(model, affixes[i], "");
        if (text[0])
            bb_json_fail_key(model, affixes[i], BAMBA_ERR_UNSUPPORTED,
                             "expected null, found '%s'", text);
    }
    if (bb_json_float_or(model, "dropout", 0) != 0)
        bb_json_fail_key(model, "dropout", BAMBA_ERR_UNSUPPORTED, "expected null");
}

bb_status bb_bpe_load(bb_bpe **out, const bb_allocator *a, const bb_vocab *vocab,
                      const bb_json *model, bamba_error *err)
{
    const bb_json        list = bb_json_get(model, "merges");
    const bb_bpe_options o = {
        .unknown       = bb_json_text_or(model, "unk_token", NULL),
        .fuse_unknown  = bb_json_bool_or(model, "fuse_unk", false),
        .byte_fallback = bb_json_bool_or(model, "byte_fallback", false),
        .ignore_merges = bb_json_bool_or(model, "ignore_merges", false),
    };

    *out = NULL;
    refuse_what_we_lack(model);
    if (!bb_json_is_array(&list))
        bb_json_fail(&list, BAMBA_ERR_FORMAT, "expected a list of merges");
    bb_status status = bb_json_status(model->doc, err);
    if (status != BAMBA_OK) return status;

    bb_bpe *b = bb_bpe_begin(a, vocab, &o, bb_json_length(&list));
    if (!b) return bb_fail(err, BAMBA_ERR_MEMORY, "out of memory for the merges");
    status = add_merges(b, &list, err);
    if (status == BAMBA_OK) *out = b;
    else bb_bpe_free(b);
    return status;
}
