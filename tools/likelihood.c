/* likelihood.c - the probabilities of continuations. */
#include "likelihood.h"

#include "console.h"
#include "score.h"

#include <stdlib.h>

enum { CONTEXT, CONTINUATION };           /* kinds of sequences */

/* Contexts are fed in order. Those before `turn` are done with, those from n_fed on not fed. */
typedef struct work {
    pack     *p;
    requests *r;
    size_t    turn, n_fed, n_begun;       /* contexts                                        */
    size_t    next;                       /* continuation of the one whose turn it is        */
    sequence *rest;                       /* what the last call took a part of, or NULL      */
} work;

/* What is to be fed of each: the last token of a continuation need not be. */
static void prepare(requests *r)
{
    for (size_t i = 0; i < r->n_contexts; i++) {
        context *c = &r->contexts[i];
        size_t   longest = 0;

        for (size_t k = c->first; k < c->end; k++)
            if (r->continuations[k].n > longest) longest = r->continuations[k].n;
        c->fed = (sequence){ .ids = c->ids, .n = c->n, .n_skipped = c->n - 1, .owner = c,
                             .n_context = c->n + longest - 1, .kind = CONTEXT };
        for (size_t k = c->first; k < c->end; k++) {
            continuation *o = &r->continuations[k];
            o->fed = (sequence){ .ids = o->ids, .n = o->n - 1, .owner = o,
                                 .n_context = c->fed.n_context, .kind = CONTINUATION };
        }
    }
}

/* ---- what is fed next ---- */

/* Go to the next continuation of a context that is fed; of one token nothing is left to feed. NULL:
   there is none. */
static continuation *find_continuation(work *w)
{
    for (; w->turn < w->n_fed; w->turn++) {
        context *c = &w->r->contexts[w->turn];
        if (w->next < c->first) w->next = c->first;
        while (w->next < c->end && w->r->continuations[w->next].n == 1) w->next++;
        if (w->next < c->end) return &w->r->continuations[w->next];
        pack_end(w->p, &c->fed);
    }
    return NULL;
}

static bool is_last(const work *w)
{
    for (size_t k = w->next + 1; k < w->r->contexts[w->turn].end; k++)
        if (w->r->continuations[k].n > 1) return false;
    return true;
}

/* Put a sequence into the call, as far as it fits; *fits: whether anything did. */
static int put(work *w, sequence *s, const bamba_session *from, bool *fits)
{
    const size_t n = pack_fit(w->p, s);
    int          code = EXIT_SUCCESS;

    *fits = n > 0;
    if (n == 0) return code;
    if (!s->session) code = from ? pack_fork(w->p, s, from) : pack_open(w->p, s);
    if (code != EXIT_SUCCESS) return code;
    pack_put(w->p, s, n);
    w->rest = s->n_fed < s->n ? s : NULL;
    return code;
}

static int put_continuation(work *w, continuation *o, bool *fits)
{
    sequence *context_fed = &w->r->contexts[w->turn].fed;

    if (is_last(w) && context_fed->session) {         /* the last goes on with the session */
        o->fed.session = context_fed->session;
        context_fed->session = NULL;
    }
    const int code = put(w, &o->fed, context_fed->session, fits);
    if (*fits) w->next++;
    return code;
}

static int fill_call(work *w)
{
    bool fits = true;
    int  code = EXIT_SUCCESS;

    pack_clear(w->p);
    if (w->rest) code = put(w, w->rest, NULL, &fits);
    while (code == EXIT_SUCCESS && fits && !w->rest) {
        continuation *o = find_continuation(w);
        if (o) code = put_continuation(w, o, &fits);
        else if (w->n_begun < w->r->n_contexts) {
            code = put(w, &w->r->contexts[w->n_begun].fed, NULL, &fits);
            w->n_begun += fits;
        } else break;
    }
    return code;
}

/* ---- what a call gave ---- */

static void note(const work *w, continuation *o, size_t i, const float *logits)
{
    int32_t top;

    o->ln[i] = score_log_probability(logits, (int)w->p->width, o->ids[i], &top);
    o->is_greedy = o->is_greedy && top == o->ids[i];
}

/* The row behind a context predicts the first token of all its continuations, one behind a token of
   a continuation the token after it. */
static void use_call(work *w)
{
    for (size_t i = 0; i < w->p->n; i++) {
        sequence    *s = w->p->of[i];
        size_t       first, n;
        const float *rows = pack_rows(w->p, i, &first, &n);
        const bool   is_done = s->n_fed == s->n;

        if (s->kind == CONTEXT) {
            const context *c = s->owner;
            for (size_t k = c->first; n > 0 && k < c->end; k++)
                note(w, &w->r->continuations[k], 0, rows);
            w->n_fed += is_done;
            continue;
        }
        for (size_t t = 0; t < n; t++) note(w, s->owner, first + t + 1, rows + t * w->p->width);
        if (is_done) pack_end(w->p, s);
    }
}

static void end_sessions(work *w)
{
    for (size_t i = 0; i < w->r->n_contexts; i++) pack_end(w->p, &w->r->contexts[i].fed);
    for (size_t i = 0; i < w->r->n_continuations; i++)
        pack_end(w->p, &w->r->continuations[i].fed);
}

int likelihood_find(pack *p, requests *r)
{
    work w = { .p = p, .r = r };
    int  code = EXIT_SUCCESS;

    prepare(r);
    while (code == EXIT_SUCCESS) {
        code = fill_call(&w);
        if (code != EXIT_SUCCESS || p->n == 0) break;
        code = pack_run(p);
        if (code == EXIT_SUCCESS) use_call(&w);
    }
    end_sessions(&w);
    return code;
}
