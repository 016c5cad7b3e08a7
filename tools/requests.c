/* requests.c - contexts and their continuations, from lines of JSON. */
#include "requests.h"

#include "console.h"
#include "json.h"
#include "json_walk.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_CONTINUATIONS = 1024, MOST_TOKENS = 1 << 20 };        /* of the lines in memory */

int requests_open(requests *r, const setup *s, const text_buffer *in, bool adds_begin, bool parses)
{
    int32_t begin;

    *r = (requests){ .setup = s, .in = in, .begin = -1,
                     .flags = parses ? (unsigned)BAMBA_TOKENIZE_PARSE_SPECIAL : 0u };
    const int code = setup_find_begin(s, &begin);
    if (adds_begin) r->begin = begin;
    r->prefix = begin >= 0 ? begin : s->info.bos >= 0 ? s->info.bos
              : s->info.n_eos > 0 ? s->info.eos[0] : -1;
    return code;
}

static void clear(requests *r)
{
    for (size_t i = 0; i < r->n_contexts; i++) free(r->contexts[i].ids);
    for (size_t i = 0; i < r->n_continuations; i++) {
        bamba_tokens_free(r->setup->tokenizer, r->continuations[i].all);
        free(r->continuations[i].ln);
    }
    r->n_contexts = r->n_continuations = r->n_requests = r->n_tokens = 0;
}

void requests_free(requests *r)
{
    if (r->setup) clear(r);
    free(r->contexts);
    free(r->continuations);
    free(r->requests);
    free(r->text.bytes);
    *r = (requests){ .setup = NULL };
}

/* Room for one more of n items; NULL without memory (reported), the items stay as they are. */
static void *grow(void *items, size_t n, size_t *room, size_t item_bytes)
{
    if (n < *room) return items;
    const size_t wanted = *room ? 2 * *room : 16;
    void *grown = realloc(items, wanted * item_bytes);
    if (grown) *room = wanted;
    else console_fail("out of memory");
    return grown;
}

/* ---- a line ---- */

typedef struct line {
    json_slice context, one, list;        /* values; at is NULL where there is none */
} line;

static int fail(const requests *r, const char *problem)
{
    return problem ? console_fail("line %zu: %s", r->n_lines, problem) : EXIT_FAILURE;
}

static int split_line(const requests *r, const char *bytes, size_t n, line *l)
{
    json_walk   w = JSON_WALK(bytes, n);
    json_slice  key, value;
    const char *problem;

    *l = (line){ .context = { NULL, 0 } };
    while (json_next_member(&w, &key, &value, &problem))
        if (json_is_name(key, "context")) l->context = value;
        else if (json_is_name(key, "continuation")) l->one = value;
        else if (json_is_name(key, "continuations")) l->list = value;
    if (problem) return fail(r, problem);
    if (!l->context.at) return fail(r, "expected a member \"context\"");
    if (!l->one.at == !l->list.at)
        return fail(r, "expected either \"continuation\" or \"continuations\"");
    return EXIT_SUCCESS;
}

static int append_string(requests *r, json_slice value)
{
    const char *problem;
    return json_read_string(&r->text, value.at, value.n, &problem) ? EXIT_SUCCESS
                                                                   : fail(r, problem);
}

/* ---- tokens ---- */

/* Take over the context ids [n] of r->text, begin token and all, unless the line before had it. */
static int add_context(requests *r, const int32_t *ids, size_t n)
{
    const int32_t  before = n > 0 ? r->begin : r->prefix;
    const size_t   n_before = before >= 0 ? 1 : 0;
    const size_t   n_all = n + n_before;
    const context *last = r->n_contexts ? &r->contexts[r->n_contexts - 1] : NULL;

    if (n_all == 0)
        return fail(r, "the context is empty, and the model has no begin token to stand for it");
    int32_t *all = malloc(n_all * sizeof *all);
    if (!all) return console_fail("out of memory");
    if (n_before) all[0] = before;
    if (n) memcpy(all + n_before, ids, n * sizeof *all);
    if (last && last->n == n_all && memcmp(last->ids, all, n_all * sizeof *all) == 0) {
        free(all);
        return EXIT_SUCCESS;
    }
    context *grown = grow(r->contexts, r->n_contexts, &r->contexts_room, sizeof *grown);
    if (!grown) {
        free(all);
        return EXIT_FAILURE;
    }
    r->contexts = grown;
    r->contexts[r->n_contexts++] = (context){ .ids = all, .n = n_all, .first = r->n_continuations,
                                              .end = r->n_continuations };
    r->n_tokens += n_all;
    return EXIT_SUCCESS;
}

static bool are_known(const requests *r, const int32_t *ids, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (ids[i] >= r->setup->info.n_vocab) return false;
    return true;
}

/* Add what r->text has behind the n_context tokens of its context, begin token aside. */
static int add_continuation(requests *r, size_t n_context)
{
    continuation  c = { .is_greedy = true };
    size_t        n = 0, n_skipped = n_context;
    continuation *grown = grow(r->continuations, r->n_continuations, &r->continuations_room,
                               sizeof *grown);

    if (!grown) return EXIT_FAILURE;
    r->continuations = grown;
    const int code = setup_tokenize(r->setup, r->text.bytes, r->text.n, r->flags, &c.all, &n);
    if (code != EXIT_SUCCESS) return code;
    if (n_context == 0 && n > 0 && c.all[0] == r->prefix) n_skipped = 1;
    const bool fits = are_known(r, c.all, n);
    if (fits && n > n_skipped) {
        c.ids = c.all + n_skipped;
        c.n = n - n_skipped;
        c.ln = calloc(c.n, sizeof *c.ln);
    }
    if (!c.ln) {
        bamba_tokens_free(r->setup->tokenizer, c.all);
        return !fits ? fail(r, "expected tokens that the model knows: it has fewer than "
                               "its tokenizer")
             : c.n ? console_fail("out of memory")
                   : fail(r, "expected a continuation that adds a token to its context");
    }
    r->continuations[r->n_continuations++] = c;
    r->contexts[r->n_contexts - 1].end = r->n_continuations;
    r->n_tokens += c.n;
    return EXIT_SUCCESS;
}

static int add_list(requests *r, json_slice list, size_t n_context)
{
    const size_t before = r->text.n, first = r->n_continuations;
    json_walk    w = JSON_WALK(list.at, list.n);
    json_slice   value;
    const char  *problem;
    int          code = EXIT_SUCCESS;

    while (code == EXIT_SUCCESS && json_next_element(&w, &value, &problem)) {
        r->text.n = before;
        code = append_string(r, value);
        if (code == EXIT_SUCCESS) code = add_continuation(r, n_context);
    }
    if (code == EXIT_SUCCESS && !problem && r->n_continuations == first)
        problem = "expected a continuation in the list";
    return code == EXIT_SUCCESS && problem ? fail(r, problem) : code;
}

static int read_line(requests *r, const char *bytes, size_t n)
{
    const size_t first = r->n_continuations;
    int32_t     *ids = NULL;
    size_t       n_ids = 0;
    line         l;

    request *grown = grow(r->requests, r->n_requests, &r->requests_room, sizeof *grown);
    if (!grown) return EXIT_FAILURE;
    r->requests = grown;
    r->text.n = 0;
    int code = split_line(r, bytes, n, &l);
    if (code == EXIT_SUCCESS) code = append_string(r, l.context);
    if (code == EXIT_SUCCESS)
        code = setup_tokenize(r->setup, r->text.bytes, text_strip_end(r->text.bytes, r->text.n),
                              r->flags, &ids, &n_ids);
    if (code == EXIT_SUCCESS) code = add_context(r, ids, n_ids);
    bamba_tokens_free(r->setup->tokenizer, ids);
    if (code == EXIT_SUCCESS && l.list.at) code = add_list(r, l.list, n_ids);
    else if (code == EXIT_SUCCESS) {
        code = append_string(r, l.one);
        if (code == EXIT_SUCCESS) code = add_continuation(r, n_ids);
    }
    if (code == EXIT_SUCCESS)
        r->requests[r->n_requests++] = (request){ first, r->n_continuations, l.list.at != NULL };
    return code;
}

int requests_read(requests *r)
{
    const char *bytes;
    size_t      n;
    int         code = EXIT_SUCCESS;

    clear(r);
    while (code == EXIT_SUCCESS && r->n_continuations < MOST_CONTINUATIONS
           && r->n_tokens < MOST_TOKENS && text_next_line(r->in, &r->at, &bytes, &n)) {
        r->n_lines++;
        code = read_line(r, bytes, n);
    }
    return code;
}
