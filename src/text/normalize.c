/* normalize.c - what is done to a text before it is split. A chain of steps, each from one
 * buffer into another. */
#include "text/normalize.h"

#include "base/utf8.h"
#include "text/bytelevel.h"
#include "text/unicode.h"

#include <string.h>

typedef struct step step;

typedef bb_status step_fn(const step *s, bb_matcher *m, const bb_buffer *in, bb_buffer *out,
                          bamba_error *err);

struct step {
    step_fn       *run;
    bb_form        form;
    bool           left, right;           /* Strip                           */
    bb_replacement replace;               /* Replace; Prepend has no pattern */
};

/* A text may grow MOST_GROWTH-fold and by MOST_GROWTH_BYTES. Normal forms stay below that (NFKD
   makes at most 11 bytes of one), but a chain of replacements can double a text at every step. */
enum { MOST_STEPS = 64, MOST_GROWTH = 32, MOST_GROWTH_BYTES = 1 << 16 };

struct bb_normalizer {
    bb_allocator alloc;
    int          n;
    step         step[MOST_STEPS];
};

static bb_status no_memory(bamba_error *err)
{
    return bb_fail(err, BAMBA_ERR_MEMORY, "normalizing text: out of memory");
}

static bb_status no_room(const bb_buffer *out, bamba_error *err)
{
    if (!out->full) return no_memory(err);
    return bb_fail(err, BAMBA_ERR_UNSUPPORTED, "replacing makes a text longer than %zu bytes",
                   out->limit);
}

/* -------------------------------------------------------------- running ------------------ */

static bb_status run_form(const step *s, bb_matcher *m, const bb_buffer *in, bb_buffer *out,
                          bamba_error *err)
{
    (void)m;
    return bb_unicode_normalize(out, in->data, in->n, s->form, err);
}

static bb_status run_prepend(const step *s, bb_matcher *m, const bb_buffer *in, bb_buffer *out,
                             bamba_error *err)
{
    const bb_replacement *r = &s->replace;

    (void)m;
    const bool ok = in->n == 0 || (bb_buffer_append(out, r->content, r->n_content) &&
                                   bb_buffer_append(out, in->data, in->n));
    return ok ? BAMBA_OK : no_room(out, err);
}

bb_status bb_replace(const bb_replacement *r, bb_matcher *m, const char *text, size_t n,
                     bb_buffer *out, bamba_error *err)
{
    bb_scan scan = bb_scan_begin(r->pattern, m, text, n);
    size_t  done = 0;
    bool    found = n > 0;

    while (found) {
        const bb_status status = bb_scan_next(&scan, &found, err);
        if (status != BAMBA_OK) return status;
        if (!found) break;
        if (!bb_buffer_append(out, text + done, scan.start - done) ||
            !bb_buffer_append(out, r->content, r->n_content))
            return no_room(out, err);
        done = scan.end;
    }
    if (n > 0 && !bb_buffer_append(out, text + done, n - done)) return no_room(out, err);
    return BAMBA_OK;
}

static bb_status run_replace(const step *s, bb_matcher *m, const bb_buffer *in, bb_buffer *out,
                             bamba_error *err)
{
    return bb_replace(&s->replace, m, in->data, in->n, out, err);
}

static bb_status run_lowercase(const step *s, bb_matcher *m, const bb_buffer *in,
                               bb_buffer *out, bamba_error *err)
{
    const unsigned char *u = (const unsigned char *)in->data;
    uint32_t             lower[2];
    bool                 ok = true;

    (void)s, (void)m;
    for (size_t i = 0; ok && i < in->n;) {
        const size_t length = bb_utf8_length(u + i, in->n - i);
        const size_t n = bb_char_lower(bb_utf8_decode(u + i, length), lower);
        for (size_t k = 0; ok && k < n; k++) ok = bb_buffer_append_char(out, lower[k]);
        i += length;
    }
    return ok ? BAMBA_OK : no_room(out, err);
}

static bb_status run_strip_accents(const step *s, bb_matcher *m, const bb_buffer *in,
                                   bb_buffer *out, bamba_error *err)
{
    const unsigned char *u = (const unsigned char *)in->data;
    bool                 ok = true;

    (void)s, (void)m;
    for (size_t i = 0; ok && i < in->n;) {
        const size_t length = bb_utf8_length(u + i, in->n - i);
        if (!bb_char_is_mark(bb_utf8_decode(u + i, length)))
            ok = bb_buffer_append(out, in->data + i, length);
        i += length;
    }
    return ok ? BAMBA_OK : no_room(out, err);
}

static bb_status run_strip(const step *s, bb_matcher *m, const bb_buffer *in, bb_buffer *out,
                           bamba_error *err)
{
    const unsigned char *u = (const unsigned char *)in->data;
    size_t               from = 0;
    size_t               to = 0;          /* end of the last character that is not a space */

    (void)m;
    for (size_t i = 0; i < in->n;) {
        const size_t length = bb_utf8_length(u + i, in->n - i);
        if (!bb_char_is_space(bb_utf8_decode(u + i, length))) to = i + length;
        else if (to == 0) from = i + length;
        i += length;
    }
    if (!s->left) from = 0;
    if (!s->right) to = in->n;
    const bool ok = from >= to || bb_buffer_append(out, in->data + from, to - from);
    return ok ? BAMBA_OK : no_room(out, err);
}

static bb_status run_bytelevel(const step *s, bb_matcher *m, const bb_buffer *in,
                               bb_buffer *out, bamba_error *err)
{
    (void)s, (void)m;
    return bb_bytelevel_encode(out, in->data, in->n) ? BAMBA_OK : no_room(out, err);
}

bb_status bb_normalize(const bb_normalizer *z, bb_matcher *m, bb_buffer *text, bb_buffer *spare,
                       bool bare, bamba_error *err)
{
    bb_status status = BAMBA_OK;

    if (!z) return BAMBA_OK;
    if (text->n > (SIZE_MAX - MOST_GROWTH_BYTES) / MOST_GROWTH) return no_memory(err);
    text->limit = spare->limit = MOST_GROWTH * text->n + MOST_GROWTH_BYTES;
    for (int i = 0; status == BAMBA_OK && i < z->n; i++) {
        if (bare && z->step[i].run == run_prepend) continue;
        spare->n = 0;
        status = z->step[i].run(&z->step[i], m, text, spare, err);
        const bb_buffer swap = *text;
        *text = *spare;
        *spare = swap;
    }
    text->limit = spare->limit = 0;
    text->full = spare->full = false;
    return status;
}

/* -------------------------------------------------------------- loading ------------------ */

uint32_t bb_load_char(const bb_json *json, const char *key)
{
    const bb_json        text = bb_json_get(json, key);
    size_t               n;
    const unsigned char *s = (const unsigned char *)bb_json_value_text(&text, &n);

    if (n > 0 && bb_utf8_length(s, n) == n && s[0] != 0) return bb_utf8_decode(s, n);
    bb_json_fail(&text, BAMBA_ERR_FORMAT, "expected one character");
    return ' ';
}

bb_status bb_pattern_load(bb_regex **out, const bb_allocator *a, const bb_json *component,
                          bamba_error *err)
{
    const bb_json pattern = bb_json_get(component, "pattern");
    const bool    literal = bb_json_has(&pattern, "String");
    const bb_json text = bb_json_get(&pattern, literal ? "String" : "Regex");
    size_t        n;
    const char   *s = bb_json_value_text(&text, &n);
    bamba_error   why = { BAMBA_OK, "" };

    *out = NULL;
    bb_status status = bb_json_status(component->doc, err);
    if (status != BAMBA_OK) return status;
    status = bb_regex_compile(out, a, s, n, literal, &why);
    if (status == BAMBA_OK) return BAMBA_OK;
    bb_json_fail(&text, status, "%s", why.message);
    return bb_json_status(component->doc, err);
}

static bb_status load_content(bb_normalizer *z, step *s, const bb_json *json, const char *key,
                              bamba_error *err)
{
    const bb_json text = bb_json_get(json, key);
    const char   *content = bb_json_value_text(&text, &s->replace.n_content);

    s->replace.content = bb_copy_text(&z->alloc, content, s->replace.n_content);
    if (!s->replace.content) return no_memory(err);
    return bb_json_status(json->doc, err);
}

static bb_status load_replace(bb_normalizer *z, step *s, const bb_json *json, bamba_error *err)
{
    const bb_status status = bb_pattern_load(&s->replace.pattern, &z->alloc, json, err);
    return status == BAMBA_OK ? load_content(z, s, json, "content", err) : status;
}

static const struct {
    const char *type;
    step_fn    *run;
    bb_form     form;
} kinds[] = {
    { "NFC", run_form, BB_NFC },
    { "NFD", run_form, BB_NFD },
    { "NFKC", run_form, BB_NFKC },
    { "NFKD", run_form, BB_NFKD },
    { "Prepend", run_prepend, BB_NFC },
    { "Replace", run_replace, BB_NFC },
    { "Lowercase", run_lowercase, BB_NFC },
    { "Strip", run_strip, BB_NFC },
    { "StripAccents", run_strip_accents, BB_NFC },
    { "ByteLevel", run_bytelevel, BB_NFC },
};

bb_status bb_sequence_load(const bb_json *sequence, const char *key, const char *what,
                           bb_load_fn *load, void *into, bamba_error *err)
{
    const bb_json list = bb_json_get(sequence, key);

    if (!bb_json_is_array(&list))
        bb_json_fail(&list, BAMBA_ERR_FORMAT, "expected a list of %s", what);
    bb_status status = bb_json_status(sequence->doc, err);
    for (size_t i = 0; status == BAMBA_OK && i < bb_json_length(&list); i++) {
        const bb_json item = bb_json_at(&list, i);
        status = load(into, &item, err);
    }
    return status;
}

static bb_status load_step(void *into, const bb_json *json, bamba_error *err)
{
    bb_normalizer *z = into;
    const char    *type = bb_json_text(json, "type");
    size_t         k = 0;

    if (strcmp(type, "Sequence") == 0)
        return bb_sequence_load(json, "normalizers", "normalizers", load_step, z, err);
    while (k < sizeof kinds / sizeof kinds[0] && strcmp(kinds[k].type, type) != 0) k++;
    if (k == sizeof kinds / sizeof kinds[0])
        bb_json_fail(json, BAMBA_ERR_UNSUPPORTED, "normalizer '%s' is not supported", type);
    else if (z->n == MOST_STEPS)
        bb_json_fail(json, BAMBA_ERR_UNSUPPORTED, "expected at most %d normalizers",
                     MOST_STEPS);
    const bb_status status = bb_json_status(json->doc, err);
    if (status != BAMBA_OK) return status;

    step *s = &z->step[z->n++];
    s->run = kinds[k].run;
    s->form = kinds[k].form;
    s->left = bb_json_bool_or(json, "strip_left", true);
    s->right = bb_json_bool_or(json, "strip_right", true);
    if (s->run == run_prepend) return load_content(z, s, json, "prepend", err);
    if (s->run == run_replace) return load_replace(z, s, json, err);
    return bb_json_status(json->doc, err);
}

bb_status bb_normalizer_load(bb_normalizer **out, const bb_allocator *a, const bb_json *json,
                             bamba_error *err)
{
    bb_normalizer *z;

    *out = NULL;
    if (!json->node) return BAMBA_OK;
    z = bb_new(a, 1, sizeof *z);
    if (!z) return no_memory(err);
    z->alloc = *a;
    const bb_status status = load_step(z, json, err);
    if (status != BAMBA_OK) {
        bb_normalizer_free(z);
        return status;
    }
    *out = z;
    return BAMBA_OK;
}

void bb_normalizer_free(bb_normalizer *z)
{
    if (!z) return;
    const bb_allocator a = z->alloc;
    for (int i = 0; i < z->n; i++) {
        bb_regex_free(z->step[i].replace.pattern);
        bb_release(&a, z->step[i].replace.content);
    }
    bb_release(&a, z);
}
