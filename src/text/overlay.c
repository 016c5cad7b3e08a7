/* overlay.c - what the files beside tokenizer.json lay over it.
 *
 * Tokens come in three groups, and the reference adds them in this order: the "decoder" (members
 * of added_tokens_decoder by ascending id; without that key, the tokens of added_tokens.json and
 * tokenizer.json); tokens with a part to play (bos_token, …, any other key that ends in _token,
 * the members of extra_special_tokens if that is an object); and the other extra special tokens.
 * A token of the last two groups counts only if nothing before has its content.
 * special_tokens_map.json and added_tokens.json are read only without added_tokens_decoder. */
#include "text/overlay.h"

#include "base/file.h"
#include "base/sort.h"

#include <stdlib.h>
#include <string.h>

enum { N_STANDARD = 7, EOS = 1, PAD = 4 };

static const char *const STANDARD[N_STANDARD] = { "bos_token", "eos_token", "unk_token",
                                                  "sep_token", "pad_token", "cls_token",
                                                  "mask_token" };

typedef struct reader {
    bb_added_list decoder;
    bb_added_list named;                  /* begins with the standard ones, in their order */
    bb_added_list extra;
    bool          in_map;                 /* special_tokens_map.json is being read */
    bool          has_extra;              /* the key extra_special_tokens stands, maybe null */
    bool          memory;                 /* ran out of memory */
} reader;

static void append(reader *r, bb_added_list *l, const bb_added_spec *t)
{
    if (!bb_added_append(l, t)) r->memory = true;
}

/* -------------------------------------------------------------- single tokens ------------ */

/* A token written as its name, which then is special, or as an object. */
static bool read_token(bb_added_spec *t, const bb_json *j)
{
    *t = (bb_added_spec){ .id = -1, .normalized = -1, .special = true, .by_name = true };
    if (bb_json_is_text(j)) t->content = bb_json_value_text(j, &t->n_content);
    else if (bb_json_is_object(j)) bb_added_read(t, j);
    else bb_json_fail(j, BAMBA_ERR_FORMAT, "expected a token: its name or an object");
    return t->content != NULL;
}

/* The reference compares the tokens of added_tokens.json with the others before it has made tokens
   of the configuration's objects. */
static bool tells(const reader *r, const bb_json *j)
{
    return r->in_map || bb_json_is_text(j);
}

/* Give a part to a token; null takes it away. */
static void name_token(reader *r, const bb_json *member)
{
    bb_added_spec t = { .id = -1 };
    size_t        i = 0;

    if (member->node && !read_token(&t, member)) return;
    t.special = t.special || r->in_map;
    t.only_new = true;
    t.key = member->key;
    while (i < r->named.n && strcmp(r->named.spec[i].key, t.key) != 0) i++;
    if (i == r->named.n) {
        append(r, &r->named, &t);
    } else {
        t.order = i;
        if (i < N_STANDARD && tells(r, member)) t.mark = BB_ADDED_TELLS;
        r->named.spec[i] = t;
    }
}

static bool is_standard(const char *key)
{
    for (int i = 0; i < N_STANDARD; i++)
        if (strcmp(key, STANDARD[i]) == 0) return true;
    return false;
}

static bool ends_in_token(const char *key)
{
    const size_t n = strlen(key);
    return n >= 6 && strcmp(key + n - 6, "_token") == 0;
}

/* Keys that end in _token: those that tell a standard part, and others whose value is an object or
   a name. Values of other kinds are no tokens: add_bos_token is a truth value. Of the others'
   objects, the configuration's are tokens only if they say so. */
enum { STANDARD_KEYS = 1, OBJECTS = 2, NAMES = 4 };

static void name_members(reader *r, const bb_json *j, unsigned kinds)
{
    bb_json      member;
    bb_json_walk walk = { 0 };

    while (bb_json_next(j, &walk, &member)) {
        const bool object = bb_json_is_object(&member) &&
                            ((kinds & NAMES) || bb_json_has(&member, "__type"));
        unsigned   kind = object ? OBJECTS : bb_json_is_text(&member) ? NAMES : 0;
        if (is_standard(member.key)) kind = STANDARD_KEYS;
        if (ends_in_token(member.key) && (kinds & kind)) name_token(r, &member);
    }
}

/* -------------------------------------------------------------- extra tokens ------------- */

/* A list of tokens, or an object of tokens with a part. keep: add to the list there is. */
static void read_extra(reader *r, const bb_json *j, bool keep)
{
    bb_json       member;
    bb_json_walk  walk = { 0 };
    bb_added_spec t;

    r->has_extra = !bb_json_is_object(j);
    if (!keep) r->extra.n = 0;
    if (j->node && !bb_json_is_array(j) && !bb_json_is_object(j))
        bb_json_fail(j, BAMBA_ERR_FORMAT, "expected a list or an object of tokens");
    for (size_t i = 0; i < bb_json_length(j); i++) {
        const bb_json item = bb_json_at(j, i);
        if (!read_token(&t, &item)) return;
        t.only_new = true;
        t.special = t.special || r->in_map;
        if (tells(r, &item)) t.mark = BB_ADDED_TELLS;
        append(r, &r->extra, &t);
    }
    while (bb_json_is_object(j) && bb_json_next(j, &walk, &member)) name_token(r, &member);
}

static void read_config(reader *r, const bb_json *config, bb_json *additional)
{
    const bb_json specific = bb_json_get(config, "model_specific_special_tokens");
    const bb_json extra = bb_json_get(config, "extra_special_tokens");
    bb_json       member;
    bb_json_walk  walk = { 0 };

    *additional = bb_json_get(config, "additional_special_tokens");
    while (bb_json_is_object(&specific) && bb_json_next(&specific, &walk, &member))
        name_token(r, &member);
    name_members(r, config, NAMES);
    if (bb_json_is_member(config, "additional_special_tokens") &&
        bb_json_length(&extra) == 0 &&
        (!bb_json_is_object(&extra) || bb_json_members(&extra) == 0)) {
        read_extra(r, additional, false);
        additional->node = NULL;
    } else if (bb_json_is_member(config, "extra_special_tokens")) {
        read_extra(r, &extra, false);
    }
}

/* -------------------------------------------------------------- the decoder -------------- */

static int by_id(const void *a, const void *b)
{
    const bb_added_spec *x = a;
    const bb_added_spec *y = b;
    if (x->id != y->id) return x->id < y->id ? -1 : 1;
    return (x->order > y->order) - (x->order < y->order);
}

static void read_decoder(reader *r, const bb_json *j)
{
    bb_json       member;
    bb_json_walk  walk = { 0 };
    bb_added_spec t;
    char         *end;

    if (!bb_json_is_object(j))
        bb_json_fail(j, BAMBA_ERR_FORMAT, "expected an object of tokens by id");
    while (bb_json_next(j, &walk, &member)) {
        const long long id = strtoll(member.key, &end, 10);
        if (*end || end == member.key)
            bb_json_fail(&member, BAMBA_ERR_FORMAT, "expected an id as key");
        if (!bb_json_is_object(&member)) {
            bb_json_fail(&member, BAMBA_ERR_FORMAT, "expected an object");
            return;
        }
        bb_added_read(&t, &member);
        t.id = id;
        append(r, &r->decoder, &t);
    }
}

static void read_added(reader *r, const bb_json *j)
{
    bb_json       member;
    bb_json_walk  walk = { 0 };

    while (bb_json_next(j, &walk, &member)) {
        append(r, &r->decoder,
               &(bb_added_spec){ .id = bb_json_value_int(&member), .content = member.key,
                                 .n_content = strlen(member.key), .mark = BB_ADDED_BARE });
    }
}

/* A standard part goes to the token of the decoder that has its content; that matters only if this
   one loses its place there. */
static void keep_flags(reader *r, const bb_added_spec *lost)
{
    for (size_t i = 0; i < N_STANDARD; i++) {
        bb_added_spec *t = &r->named.spec[i];
        const bool     padding = t->by_name && t->mark != BB_ADDED_TELLS;
        if (t->content && !padding && t->n_content == lost->n_content &&
            memcmp(t->content, lost->content, t->n_content) == 0)
            *t = (bb_added_spec){ .content = t->content, .n_content = t->n_content, .id = -1,
                                  .key = t->key, .only_new = true, .special = true,
                                  .normalized = t->mark != BB_ADDED_TELLS, .mark = t->mark };
    }
}

/* The tokens of tokenizer.json once more; one of the same id as another takes its place. */
static void repeat_tokens(reader *r, const bb_added_list *list)
{
    bb_added_list *d = &r->decoder;
    size_t         n = 0;

    for (size_t i = 0; i < list->n_first; i++) append(r, d, &list->spec[i]);
    bb_sort(d->spec, d->n, sizeof *d->spec, by_id);
    for (size_t i = 0; i < d->n; i++)
        if (i + 1 == d->n || d->spec[i + 1].id != d->spec[i].id) d->spec[n++] = d->spec[i];
        else keep_flags(r, &d->spec[i]);
    d->n = n;
}

/* -------------------------------------------------------------- all of it ---------------- */

static void read_files(reader *r, const bb_overlay *o, const bb_added_list *list)
{
    const bb_json none = { 0 };
    const bb_json config = o->config ? bb_json_root(o->config) : none;
    const bb_json map = o->map ? bb_json_root(o->map) : none;
    const bb_json added = o->added ? bb_json_root(o->added) : none;
    const bb_json decoder = o->config ? bb_json_get(&config, "added_tokens_decoder") : none;
    const bb_json map_extra = o->map ? bb_json_get(&map, "extra_special_tokens") : none;
    bb_json       additional = none;
    const bool    legacy = !decoder.node;

    /* What has a part by a name of its own in the configuration stands before the same key of
       the map; the standard parts, after. */
    if (o->config) name_members(r, &config, STANDARD_KEYS | OBJECTS);
    r->in_map = true;
    if (legacy && o->map) name_members(r, &map, STANDARD_KEYS | OBJECTS | NAMES);
    r->in_map = false;
    if (o->config) read_config(r, &config, &additional);
    r->in_map = true;
    if (legacy && map_extra.node) read_extra(r, &map_extra, true);
    r->in_map = false;
    if (decoder.node) read_decoder(r, &decoder);
    else if (o->added) read_added(r, &added);
    if (legacy && o->map && bb_json_is_member(&map, "additional_special_tokens"))
        additional = bb_json_get(&map, "additional_special_tokens");
    if (additional.node && !r->has_extra) {
        const size_t n = r->extra.n;
        read_extra(r, &additional, true);
        for (size_t i = n; i < r->extra.n; i++) r->extra.spec[i].mark = BB_ADDED_PLAIN;
    }
    if (legacy) repeat_tokens(r, list);
    else bb_sort(r->decoder.spec, r->decoder.n, sizeof *r->decoder.spec, by_id);
}

static bb_status open_file(bb_json_doc **doc, const bb_allocator *a, const char *dir,
                           const char *name, bamba_error *err)
{
    char        *path = bb_path_join(a, dir, name);
    bb_status    status = BAMBA_OK;
    bb_path_kind kind;

    if (!path) return bb_fail(err, BAMBA_ERR_MEMORY, "%s: out of memory", name);
    BB_TRY(bb_path_find(path, &kind, err));
    /* transformers writes an unlimited model_max_length as an integer of 31 digits */
    if (kind)
        BB_TRY(bb_json_open(doc, a, path, BB_JSON_INFINITY | BB_JSON_HUGE, err));
    if (*doc) {
        const bb_json root = bb_json_root(*doc);
        if (!bb_json_is_object(&root))
            bb_json_fail(&root, BAMBA_ERR_FORMAT, "expected an object");
        BB_TRY(bb_json_status(*doc, err));
    }
done:
    bb_release(a, path);
    return status;
}

static bb_status check(const bb_overlay *o, const reader *r, bamba_error *err)
{
    bb_json_doc *const docs[] = { o->config, o->map, o->added };

    for (int i = 0; i < 3; i++) {
        const bb_status status = docs[i] ? bb_json_status(docs[i], err) : BAMBA_OK;
        if (status != BAMBA_OK) return status;
    }
    return r->memory ? bb_fail(err, BAMBA_ERR_MEMORY, "out of memory for the added tokens")
                     : BAMBA_OK;
}

/* Append what was read to the list; tokens without a content are left to it. */
static void hand_over(reader *r, bb_added_list *list)
{
    const bb_added_list *const groups[] = { &r->decoder, &r->named, &r->extra };

    for (int g = 0; g < 3; g++)
        for (size_t i = 0; i < groups[g]->n; i++)
            if (groups[g]->spec[i].content) append(r, list, &groups[g]->spec[i]);
}

bb_status bb_overlay_open(bb_overlay *o, bb_added_list *list, const char *dir,
                          const bb_json *root, bamba_error *err)
{
    const bb_allocator *a = list->a;
    const bb_json       padding = bb_json_get(root, "padding");
    const bb_json       pad = bb_json_is_object(&padding) ? bb_json_get(&padding, "pad_token")
                                                          : (bb_json){ 0 };
    reader              r = { .decoder.a = a, .named.a = a, .extra.a = a };
    bb_status           status = BAMBA_OK;

    *o = (bb_overlay){ 0 };
    BB_TRY(open_file(&o->config, a, dir, "tokenizer_config.json", err));
    BB_TRY(open_file(&o->map, a, dir, "special_tokens_map.json", err));
    BB_TRY(open_file(&o->added, a, dir, "added_tokens.json", err));
    for (int i = 0; i < N_STANDARD; i++)
        append(&r, &r.named, &(bb_added_spec){ .id = -1, .key = STANDARD[i] });
    BB_TRY(check(o, &r, err));
    if (pad.node) name_token(&r, &pad);
    r.named.spec[PAD].mark = BB_ADDED_PLAIN;     /* this one the reference names too late to tell */
    read_files(&r, o, list);
    BB_TRY(check(o, &r, err));
    if (o->config) {
        const bb_json config = bb_json_root(o->config);
        o->split_special = bb_json_bool_or(&config, "split_special_tokens", false);
    }
    o->eos = r.named.spec[EOS].content;
    o->n_eos = r.named.spec[EOS].n_content;
    hand_over(&r, list);
    BB_TRY(check(o, &r, err));
done:
    bb_release(a, r.decoder.spec);
    bb_release(a, r.named.spec);
    bb_release(a, r.extra.spec);
    return status;
}

void bb_overlay_close(bb_overlay *o)
{
    bb_json_close(o->config);
    bb_json_close(o->map);
    bb_json_close(o->added);
    *o = (bb_overlay){ 0 };
}
