/* pretokenize.c - splitting a text into the pieces that are merged each by itself.
 *
 * A chain of steps over a text and a list of its pieces. Most only refine the list; ByteLevel
 * and Metaspace also rewrite the text. Every piece is matched as a text of its own: lookahead
 * does not see its neighbours. */
#include "text/pretokenize.h"

#include "base/utf8.h"
#include "text/bytelevel.h"
#include "text/normalize.h"
#include "text/unicode.h"

#include <string.h>

typedef enum prepend { PREPEND_ALWAYS, PREPEND_FIRST, PREPEND_NEVER } prepend;

typedef struct step step;

typedef bb_status step_fn(const step *s, bb_matcher *m, bb_pieces *p, bamba_error *err);

struct step {
    step_fn    *run;
    bb_regex   *pattern;                  /* Split, ByteLevel with use_regex, or NULL      */
    bb_char_fn *matches;                  /* Digits, Punctuation, WhitespaceSplit, or NULL */
    bb_behavior behavior;
    bool        invert;
    bool        add_space;                /* ByteLevel                                     */
    prepend     prepend;                  /* Metaspace, as are the next two                */
    bool        split;
    uint32_t    replacement;
};

enum { MOST_STEPS = 64 };

struct bb_pretokenizer {
    bb_allocator alloc;
    int          n;
    step         step[MOST_STEPS];
};

static const char GPT2[] = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|"
                           "\\s+(?!\\S)|\\s+";

static bb_status no_memory(bamba_error *err)
{
    return bb_fail(err, BAMBA_ERR_MEMORY, "splitting text: out of memory");
}

static bool add_piece(bb_spans *list, size_t start, size_t end)
{
    return start >= end || bb_spans_add(list, start, end, false);
}

/* -------------------------------------------------------------- steps -------------------- */

static void take_spare_pieces(bb_pieces *p)
{
    const bb_spans swap = p->piece;
    p->piece = p->spare_piece;
    p->spare_piece = swap;
}

static void take_spare_text(bb_pieces *p)
{
    const bb_buffer swap = p->text;
    p->text = p->spare_text;
    p->spare_text = swap;
}

static bb_status run_split(const step *s, bb_matcher *m, bb_pieces *p, bamba_error *err)
{
    p->spare_piece.n = 0;
    for (size_t i = 0; i < p->piece.n; i++) {
        const bb_span in = p->piece.span[i];
        if (s->pattern) {
            const bb_status status =
                bb_spans_find(&p->found, s->pattern, m, p->text.data, in, err);
            if (status != BAMBA_OK) return status;
        } else if (!bb_spans_find_chars(&p->found, s->matches, p->text.data, in)) {
            return no_memory(err);
        }
        for (size_t k = 0; s->invert && k < p->found.n; k++)
            p->found.span[k].is_match = !p->found.span[k].is_match;
        if (!bb_spans_split(&p->spare_piece, s->behavior, &p->found)) return no_memory(err);
    }
    take_spare_pieces(p);
    return BAMBA_OK;
}

/* Cut a piece of u into runs of word characters and runs of other characters; spaces vanish. False:
   no memory. */
static bool cut_into_runs(bb_spans *out, const unsigned char *u, bb_span in)
{
    enum { SPACE, WORD, OTHER } kind = SPACE, here;
    size_t from = in.start;

    for (size_t at = in.start; at < in.end;) {
        const size_t   length = bb_utf8_length(u + at, in.end - at);
        const uint32_t c = bb_utf8_decode(u + at, length);
        here = bb_char_is_word(c) ? WORD : bb_char_is_space(c) ? SPACE : OTHER;
        if (here != kind) {
            if (kind != SPACE && !add_piece(out, from, at)) return false;
            from = at;
            kind = here;
        }
        at += length;
    }
    return kind == SPACE || add_piece(out, from, in.end);
}

static bb_status run_whitespace(const step *s, bb_matcher *m, bb_pieces *p, bamba_error *err)
{
    const unsigned char *u = (const unsigned char *)p->text.data;

    (void)s, (void)m;
    p->spare_piece.n = 0;
    for (size_t i = 0; i < p->piece.n; i++)
        if (!cut_into_runs(&p->spare_piece, u, p->piece.span[i])) return no_memory(err);
    take_spare_pieces(p);
    return BAMBA_OK;
}

static bb_status add_prefix_spaces(bb_pieces *p, bamba_error *err)
{
    p->spare_text.n = 0;
    for (size_t i = 0; i < p->piece.n; i++) {
        bb_span     *s = &p->piece.span[i];
        const size_t start = p->spare_text.n;
        const bool   bare = p->bare && s->start == 0;
        if (p->text.data[s->start] != ' ' && !bare && !bb_buffer_append(&p->spare_text, " ", 1))
            return no_memory(err);
        if (!bb_buffer_append(&p->spare_text, p->text.data + s->start, s->end - s->start))
            return no_memory(err);
        *s = (bb_span){ start, p->spare_text.n, false };
    }
    take_spare_text(p);
    return BAMBA_OK;
}

static bb_status run_bytelevel(const step *s, bb_matcher *m, bb_pieces *p, bamba_error *err)
{
    bb_status status = BAMBA_OK;

    if (s->add_space) BB_TRY(add_prefix_spaces(p, err));
    if (s->pattern) BB_TRY(run_split(s, m, p, err));
    p->spare_text.n = 0;
    for (size_t i = 0; i < p->piece.n; i++) {
        bb_span     *piece = &p->piece.span[i];
        const size_t start = p->spare_text.n;
        if (!bb_bytelevel_encode(&p->spare_text, p->text.data + piece->start,
                                 piece->end - piece->start))
            return no_memory(err);
        *piece = (bb_span){ start, p->spare_text.n, false };
    }
    take_spare_text(p);
done:
    return status;
}

/* Append text [n] with each space replaced. prefix: put the replacement in front, unless the text
   begins with it or a space. */
static bool replace_spaces(const step *s, bb_buffer *out, const char *text, size_t n,
                           bool prefix)
{
    unsigned char mark[4];
    const size_t  n_mark = bb_utf8_encode(s->replacement, mark);
    const bool    has_mark = text[0] == ' ' || (n >= n_mark && memcmp(text, mark, n_mark) == 0);

    if (prefix && !has_mark && !bb_buffer_append(out, (const char *)mark, n_mark)) return false;
    for (size_t i = 0; i < n;) {
        const char  *space = memchr(text + i, ' ', n - i);
        const size_t plain = space ? (size_t)(space - text) - i : n - i;
        if (!bb_buffer_append(out, text + i, plain)) return false;
        i += plain + 1;
        if (space && !bb_buffer_append(out, (const char *)mark, n_mark)) return false;
    }
    return true;
}

/* Cut in front of every replacement character; of a run of them, the last begins the piece and
   the others stand alone. */
static bool split_at_mark(const step *s, bb_pieces *p, size_t from)
{
    const unsigned char *u = (const unsigned char *)p->spare_text.data;

    p->found.n = 0;
    size_t done = from;
    for (size_t i = from; i < p->spare_text.n;) {
        const size_t length = bb_utf8_length(u + i, p->spare_text.n - i);
        if (bb_utf8_decode(u + i, length) == s->replacement) {
            if (done < i && !bb_spans_add(&p->found, done, i, false)) return false;
            if (!bb_spans_add(&p->found, i, i + length, true)) return false;
            done = i + length;
        }
        i += length;
    }
    if (done < p->spare_text.n && !bb_spans_add(&p->found, done, p->spare_text.n, false))
        return false;
    return bb_spans_split(&p->spare_piece, BB_MERGED_WITH_NEXT, &p->found);
}

static bb_status run_metaspace(const step *s, bb_matcher *m, bb_pieces *p, bamba_error *err)
{
    (void)m;
    p->spare_text.n = 0;
    p->spare_piece.n = 0;
    for (size_t i = 0; i < p->piece.n; i++) {
        const bb_span in = p->piece.span[i];
        const size_t  from = p->spare_text.n;
        const bool    first = p->at_start && in.start == 0;
        const bool    prefix = !(p->bare && in.start == 0) &&
                               (s->prepend == PREPEND_ALWAYS ||
                                (s->prepend == PREPEND_FIRST && first));
        bool ok = replace_spaces(s, &p->spare_text, p->text.data + in.start, in.end - in.start,
                                 prefix);
        if (ok) ok = s->split ? split_at_mark(s, p, from)
                              : add_piece(&p->spare_piece, from, p->spare_text.n);
        if (!ok) return no_memory(err);
    }
    take_spare_text(p);
    take_spare_pieces(p);
    return BAMBA_OK;
}

bb_status bb_pretokenize(const bb_pretokenizer *z, bb_matcher *m, bb_pieces *p,
                         bamba_error *err)
{
    p->piece.n = 0;
    if (!add_piece(&p->piece, 0, p->text.n)) return no_memory(err);
    for (int i = 0; z && i < z->n; i++) {
        const bb_status status = z->step[i].run(&z->step[i], m, p, err);
        if (status != BAMBA_OK) return status;
    }
    return BAMBA_OK;
}

bb_pieces bb_pieces_begin(const bb_allocator *a)
{
    return (bb_pieces){ .text.a = a, .spare_text.a = a, .piece.a = a, .spare_piece.a = a,
                        .found.a = a };
}

void bb_pieces_free(bb_pieces *p)
{
    const bb_allocator *a = p->text.a;
    bb_buffer_free(&p->text);
    bb_buffer_free(&p->spare_text);
    bb_release(a, p->piece.span);
    bb_release(a, p->spare_piece.span);
    bb_release(a, p->found.span);
    *p = bb_pieces_begin(a);
}

/* -------------------------------------------------------------- loading ------------------ */

static bb_behavior load_behavior(const bb_json *json, const char *fallback)
{
    static const char *const names[] = { "Removed", "Isolated", "MergedWithPrevious",
                                         "MergedWithNext", "Contiguous" };
    const char *name = fallback ? bb_json_text_or(json, "behavior", fallback)
                                : bb_json_text(json, "behavior");

    for (int i = 0; i < 5; i++)
        if (strcmp(names[i], name) == 0) return (bb_behavior)i;
    bb_json_fail_key(json, "behavior", BAMBA_ERR_FORMAT, "'%s' is no behavior of a split",
                     name);
    return BB_REMOVED;
}

static bb_status load_split(step *s, const bb_allocator *a, const bb_json *json,
                            bamba_error *err)
{
    s->behavior = load_behavior(json, NULL);
    s->invert = bb_json_bool_or(json, "invert", false);
    return bb_pattern_load(&s->pattern, a, json, err);
}

static bb_status load_bytelevel(step *s, const bb_allocator *a, const bb_json *json,
                                bamba_error *err)
{
    s->behavior = BB_ISOLATED;
    s->add_space = bb_json_bool_or(json, "add_prefix_space", true);
    if (!bb_json_bool_or(json, "use_regex", true)) return BAMBA_OK;
    return bb_regex_compile(&s->pattern, a, GPT2, sizeof GPT2 - 1, false, err);
}

static bb_status load_digits(step *s, const bb_allocator *a, const bb_json *json,
                             bamba_error *err)
{
    const bool individual = bb_json_bool_or(json, "individual_digits", false);

    (void)a, (void)err;
    s->behavior = individual ? BB_ISOLATED : BB_CONTIGUOUS;
    return BAMBA_OK;
}

static bb_status load_punctuation(step *s, const bb_allocator *a, const bb_json *json,
                                  bamba_error *err)
{
    (void)a, (void)err;
    s->behavior = load_behavior(json, "Isolated");
    return BAMBA_OK;
}

static bb_status load_metaspace(step *s, const bb_allocator *a, const bb_json *json,
                                bamba_error *err)
{
    const char *scheme = bb_json_text_or(json, "prepend_scheme", "always");

    (void)a, (void)err;
    s->split = bb_json_bool_or(json, "split", true);
    s->replacement = bb_load_char(json, "replacement");
    if (strcmp(scheme, "always") == 0) s->prepend = PREPEND_ALWAYS;
    else if (strcmp(scheme, "first") == 0) s->prepend = PREPEND_FIRST;
    else if (strcmp(scheme, "never") == 0) s->prepend = PREPEND_NEVER;
    else bb_json_fail_key(json, "prepend_scheme", BAMBA_ERR_FORMAT,
                          "expected always, first or never, found '%s'", scheme);
    if (!bb_json_bool_or(json, "add_prefix_space", true)) s->prepend = PREPEND_NEVER;
    return BAMBA_OK;
}

typedef bb_status load_fn(step *s, const bb_allocator *a, const bb_json *json,
                          bamba_error *err);

static const struct {
    const char *type;
    step_fn    *run;
    load_fn    *load;                     /* NULL: there are no options; behavior is removing */
    bb_char_fn *matches;
} kinds[] = {
    { "Split", run_split, load_split, NULL },
    { "ByteLevel", run_bytelevel, load_bytelevel, NULL },
    { "Digits", run_split, load_digits, bb_char_is_number },
    { "Punctuation", run_split, load_punctuation, bb_char_is_punctuation },
    { "Metaspace", run_metaspace, load_metaspace, NULL },
    { "Whitespace", run_whitespace, NULL, NULL },
    { "WhitespaceSplit", run_split, NULL, bb_char_is_space },
};

static bb_status load_step(void *into, const bb_json *json, bamba_error *err)
{
    bb_pretokenizer *z = into;
    const char      *type = bb_json_text(json, "type");
    size_t           k = 0;

    if (strcmp(type, "Sequence") == 0)
        return bb_sequence_load(json, "pretokenizers", "pre-tokenizers", load_step, z, err);
    while (k < sizeof kinds / sizeof kinds[0] && strcmp(kinds[k].type, type) != 0) k++;
    if (k == sizeof kinds / sizeof kinds[0])
        bb_json_fail(json, BAMBA_ERR_UNSUPPORTED, "pre-tokenizer '%s' is not supported", type);
    else if (z->n == MOST_STEPS)
        bb_json_fail(json, BAMBA_ERR_UNSUPPORTED, "expected at most %d pre-tokenizers",
                     MOST_STEPS);
    bb_status status = bb_json_status(json->doc, err);
    if (status != BAMBA_OK) return status;
    step *s = &z->step[z->n++];
    *s = (step){ .run = kinds[k].run, .matches = kinds[k].matches, .behavior = BB_REMOVED };
    if (kinds[k].load) status = kinds[k].load(s, &z->alloc, json, err);
    return status == BAMBA_OK ? bb_json_status(json->doc, err) : status;
}

bb_status bb_pretokenizer_load(bb_pretokenizer **out, const bb_allocator *a,
                               const bb_json *json, bamba_error *err)
{
    bb_pretokenizer *z;

    *out = NULL;
    if (!json->node) return BAMBA_OK;
    z = bb_new(a, 1, sizeof *z);
    if (!z) return no_memory(err);
    z->alloc = *a;
    const bb_status status = load_step(z, json, err);
    if (status != BAMBA_OK) {
        bb_pretokenizer_free(z);
        return status;
    }
    *out = z;
    return BAMBA_OK;
}

void bb_pretokenizer_free(bb_pretokenizer *z)
{
    if (!z) return;
    const bb_allocator a = z->alloc;
    for (int i = 0; i < z->n; i++) bb_regex_free(z->step[i].pattern);
    bb_release(&a, z);
}
