/* postprocess.c - ids in front of a text and behind it. */
#include "text/postprocess.h"

#include "text/normalize.h"

#include <string.h>

/* Append to list the ids that the table "special_tokens" gives for a name. */
static void read_ids(const bb_json *json, const char *name, const bb_decode *tokens,
                     int32_t *list, size_t *n)
{
    const bb_json table = bb_json_get(json, "special_tokens");
    const bb_json entry = bb_json_get(&table, name);
    const bb_json ids = bb_json_get(&entry, "ids");

    if (!bb_json_is_array(&ids))
        bb_json_fail(&ids, BAMBA_ERR_FORMAT, "expected a list of ids");
    for (size_t i = 0; i < bb_json_length(&ids); i++) {
        const bb_json id = bb_json_at(&ids, i);
        const int64_t value = bb_json_value_int(&id);
        if (value < 0 || value >= BB_ID_LIMIT || !bb_decode_piece(tokens, (int32_t)value)) {
            bb_json_fail(&id, BAMBA_ERR_FORMAT, "expected the id of a token, found %lld",
                         (long long)value);
            return;
        }
        if (*n == BB_MOST_AFFIX) {
            bb_json_fail(&ids, BAMBA_ERR_UNSUPPORTED, "expected at most %d ids", BB_MOST_AFFIX);
            return;
        }
        list[(*n)++] = (int32_t)value;
    }
}

/* Put the ids of `outer` around those that p has. */
static void wrap(bb_postprocess *p, const bb_postprocess *outer, const bb_json *json)
{
    if (p->n_before + outer->n_before > BB_MOST_AFFIX ||
        p->n_behind + outer->n_behind > BB_MOST_AFFIX) {
        bb_json_fail(json, BAMBA_ERR_UNSUPPORTED, "expected at most %d ids", BB_MOST_AFFIX);
        return;
    }
    memmove(p->before + outer->n_before, p->before, p->n_before * sizeof *p->before);
    memcpy(p->before, outer->before, outer->n_before * sizeof *p->before);
    memcpy(p->behind + p->n_behind, outer->behind, outer->n_behind * sizeof *p->behind);
    p->n_before += outer->n_before;
    p->n_behind += outer->n_behind;
}

static void load_template(bb_postprocess *p, const bb_json *json, const bb_decode *tokens)
{
    const bb_json  single = bb_json_get(json, "single");
    bb_postprocess outer = { .n_before = 0 };
    int            n_texts = 0;

    if (!bb_json_is_array(&single))
        bb_json_fail(&single, BAMBA_ERR_FORMAT, "expected a list of pieces");
    if (bb_json_length(&single) > 2 * BB_MOST_AFFIX + 1) {        /* each looks up a name */
        bb_json_fail(&single, BAMBA_ERR_UNSUPPORTED, "expected at most %d pieces",
                     2 * BB_MOST_AFFIX + 1);
        return;
    }
    for (size_t i = 0; i < bb_json_length(&single); i++) {
        const bb_json piece = bb_json_at(&single, i);
        if (bb_json_has(&piece, "Sequence")) {
            const bb_json text = bb_json_get(&piece, "Sequence");
            if (strcmp(bb_json_text(&text, "id"), "A") != 0 || n_texts > 0)
                bb_json_fail(&piece, BAMBA_ERR_UNSUPPORTED, "expected the text A once");
            n_texts++;
            continue;
        }
        const bb_json token = bb_json_get(&piece, "SpecialToken");
        const char   *name = bb_json_text(&token, "id");
        if (bb_json_status(json->doc, NULL) != BAMBA_OK) return;
        if (n_texts == 0) read_ids(json, name, tokens, outer.before, &outer.n_before);
        else read_ids(json, name, tokens, outer.behind, &outer.n_behind);
    }
    if (n_texts != 1) bb_json_fail(&single, BAMBA_ERR_UNSUPPORTED, "expected the text A once");
    wrap(p, &outer, json);
}

typedef struct loader {
    bb_postprocess  *p;
    const bb_decode *tokens;
} loader;

static bb_status load(void *into, const bb_json *json, bamba_error *err)
{
    const loader   *l = into;
    const char     *type = bb_json_text(json, "type");
    const bb_status status = bb_json_status(json->doc, err);

    if (status != BAMBA_OK) return status;
    if (strcmp(type, "Sequence") == 0)
        return bb_sequence_load(json, "processors", "post-processors", load, into, err);
    if (strcmp(type, "TemplateProcessing") == 0) load_template(l->p, json, l->tokens);
    else if (strcmp(type, "ByteLevel") != 0)
        bb_json_fail(json, BAMBA_ERR_UNSUPPORTED, "post-processor '%s' is not supported", type);
    return bb_json_status(json->doc, err);
}

bb_status bb_postprocess_load(bb_postprocess *p, const bb_json *json, const bb_decode *tokens,
                              bamba_error *err)
{
    loader l = { p, tokens };

    *p = (bb_postprocess){ .n_before = 0 };
    return json->node ? load(&l, json, err) : BAMBA_OK;
}
