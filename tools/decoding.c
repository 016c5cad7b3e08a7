/* decoding.c - choosing one token after the other until a text ends. */
#include "decoding.h"

#include "console.h"
#include "loops.h"

#include <stdlib.h>
#include <string.h>

int decoding_fail(bamba_status status)
{
    return console_fail("generating: %s", bamba_status_string(status));
}

static int fail_library(bamba_status status, const bamba_error *err)
{
    return status == BAMBA_ERR_CANCELLED ? EXIT_INTERRUPTED : console_fail_library(status, err);
}

static void accept(decoding *d, const int32_t *ids, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        bamba_sampler_accept(d->sampler, ids[i]);
        if (d->strict) bamba_sampler_accept(d->strict, ids[i]);
    }
}

int decoding_tell(decoding *d, const int32_t *ids, size_t n)
{
    bamba_error err = { BAMBA_OK, "" };

    accept(d, ids, n);
    const bamba_status status = d->guesses ? speculation_accept(d->guesses, ids, n, &err)
                                           : BAMBA_OK;
    return status == BAMBA_OK ? EXIT_SUCCESS : console_fail_library(status, &err);
}

static bamba_sampler *chooser(const decoding *d)
{
    return d->out->n_ids < d->back.strict_until ? d->strict : d->sampler;
}

enum { NO_GUESS = -1 };

/* Choose a token, put it into the text and show that. row: number of the guess there. */
static int choose(decoding *d, const float *logits, int row, int32_t *id)
{
    const double start = console_now_ms();
    const size_t place = d->out->n_ids;
    const size_t n_guessed = row == NO_GUESS ? 0 : (size_t)(d->guesses->n - row);
    const size_t room = bamba_session_room(d->setup->session) + n_guessed;   /* may be taken back */

    if (d->allowed
        && backtrack_apply(&d->back, place, logits, (size_t)d->setup->info.n_vocab, d->allowed))
        logits = d->allowed;
    *id = row == NO_GUESS ? bamba_sample(chooser(d), logits)
                          : speculation_choose(d->guesses, chooser(d), logits, row);
    accept(d, id, 1);
    d->sampling_ms += console_now_ms() - start;

    const bamba_status status = generation_put(d->out, *id, room);
    return status == BAMBA_OK ? d->show(d->context) : decoding_fail(status);
}

/* ---- guesses ---- */

/* Feed the token with the guesses behind it; logits: of each of them. *ms: what that took, without
   guessing. */
static int feed_chosen(decoding *d, int32_t id, const float **logits, double *ms)
{
    size_t      room = bamba_session_room(d->setup->session) - 1;
    int32_t     tokens[1 + PACE_MOST] = { id };
    bamba_error err = { BAMBA_OK, "" };
    bamba_feed_item item = { .session = d->setup->session, .tokens = tokens, .n = 1 };
    bamba_status status = BAMBA_OK;

    if (d->out->limit >= 0 && (size_t)d->out->limit - d->out->n_ids - 1 < room)
        room = (size_t)d->out->limit - d->out->n_ids - 1;     /* one more is chosen behind them */
    if (d->guesses)
        status = speculation_guess(d->guesses, item.session, id, chooser(d), room, &err);
    if (d->guesses) item.n += (size_t)d->guesses->n;
    if (item.n > 1) memcpy(tokens + 1, d->guesses->guess, (item.n - 1) * sizeof *tokens);
    item.n_logits = item.n;

    const double start = console_now_ms();
    if (status == BAMBA_OK) status = bamba_feed_batch(d->setup->engine, &item, 1, &err);
    *logits = item.logits;
    *ms = console_now_ms() - start;
    return status == BAMBA_OK ? EXIT_SUCCESS : fail_library(status, &err);
}

/* Let the session forget the last n guesses. */
static bamba_status take_back(decoding *d, size_t n, bamba_error *err)
{
    bamba_session *s = d->setup->session;

    return n == 0 ? BAMBA_OK
         : bamba_session_rewind(d->setup->engine, s, bamba_session_position(s) - n, err);
}

/* Choose tokens from the rows of logits, as long as they are the guesses; then the session forgets
   the guesses that are not. ms: the pass took. *id: the last one chosen. */
static int choose_all(decoding *d, const float *logits, double ms, int32_t *id)
{
    speculation *g = d->guesses;
    const int    n = g ? g->n : 0;
    const size_t V = (size_t)d->setup->info.n_vocab;
    bamba_error  err = { BAMBA_OK, "" };
    int          row = 0, code;

    for (;; row++) {
        code = choose(d, logits + (size_t)row * V, n > 0 ? row : NO_GUESS, id);
        if (code != EXIT_SUCCESS || row == n || d->out->end != GENERATION_RUNNING
            || d->out->is_banned || *id != g->guess[row]) break;
        const bamba_status status = speculation_accept(g, id, 1, &err);
        if (status != BAMBA_OK) return console_fail_library(status, &err);
    }
    d->n_eval += 1 + (size_t)row;
    const double start = console_now_ms();
    const bamba_status status = take_back(d, (size_t)(n - row), &err);
    ms += console_now_ms() - start;
    d->eval_ms += ms + (g ? g->guess_ms : 0.0);
    if (g) speculation_learn(g, row, ms);
    if (code != EXIT_SUCCESS) return code;
    return status == BAMBA_OK ? EXIT_SUCCESS : fail_library(status, &err);
}

/* ---- going back ---- */

static void forget(bamba_sampler *sampler)            /* the tokens, not the generator */
{
    bamba_sampler_state state;

    if (!sampler) return;
    bamba_sampler_get_state(sampler, &state);
    bamba_sampler_reset(sampler, 0);
    bamba_sampler_set_state(sampler, &state);
}

/* Let samplers and guesses know of the tokens that are left, and of no others. */
static int tell_again(decoding *d)
{
    const int32_t *before = bamba_session_tokens(d->setup->session);
    const size_t   n = d->out->n_ids;
    bamba_error    err = { BAMBA_OK, "" };

    forget(d->sampler);
    forget(d->strict);
    bamba_status status = d->guesses ? speculation_forget(d->guesses, &err) : BAMBA_OK;
    if (status != BAMBA_OK) return console_fail_library(status, &err);
    const int code = decoding_tell(d, before, d->start);
    if (code != EXIT_SUCCESS || n == 0) return code;
    const int rest = decoding_tell(d, d->out->ids, n - 1);
    accept(d, d->out->ids + n - 1, 1);    /* guesses are told of it when it is fed */
    return rest;
}

/* Take back all tokens from number `place` on, and choose another one there. */
static int go_back(decoding *d, size_t place, int32_t *id)
{
    bamba_session *s = d->setup->session;
    const size_t   position = d->start + place - 1;   /* before the token before it */
    bamba_error    err = { BAMBA_OK, "" };
    const float   *logits;

    generation_cut(d->out, place);
    const int32_t last = bamba_session_tokens(s)[position];
    bamba_status  status = bamba_session_rewind(d->setup->engine, s, position, &err);
    if (status == BAMBA_OK) status = bamba_feed(d->setup->engine, s, &last, 1, &logits, &err);
    if (status != BAMBA_OK) return fail_library(status, &err);
    const int code = tell_again(d);
    return code == EXIT_SUCCESS ? choose(d, logits, NO_GUESS, id) : code;
}

/* The place to go back to if a banned text or a circle stands at the end; else the end. */
static int find_place(decoding *d, size_t *place)
{
    enum { MOST_LOOPS = 16 };             /* each makes the sampler strict for twice as long */
    const generation *g = d->out;
    backtrack        *b = &d->back;

    *place = g->n_ids;
    if (g->is_banned) {
        *place = generation_banned_token(g);
        if (!backtrack_ban(b, *place, g->ids[*place]))
            return console_fail("--ban: too many tokens are banned at one place of the text");
        b->n_bans++;
    } else if (d->strict && g->end == GENERATION_RUNNING && b->n_loops < MOST_LOOPS
               && g->n_ids > b->strict_until) {
        *place = loops_find(g->ids, g->n_ids);
        if (*place < g->n_ids) b->strict_until = g->n_ids + ((size_t)LOOPS_LONGEST << b->n_loops++);
    }
    return EXIT_SUCCESS;
}

static int leave_bad_ways(decoding *d, int32_t *id)
{
    size_t place;
    int    code = EXIT_SUCCESS;

    while (code == EXIT_SUCCESS) {
        code = find_place(d, &place);
        if (code != EXIT_SUCCESS || place == d->out->n_ids) return code;
        code = go_back(d, place, id);
    }
    return code;
}

/* ---- the loop ---- */

static int run(decoding *d, const float *logits)
{
    bamba_error  err = { BAMBA_OK, "" };
    bamba_status status = BAMBA_OK;
    int32_t      id;
    double       ms;

    if (console_interrupted()) return EXIT_INTERRUPTED;
    if (d->guesses) status = speculation_begin(d->guesses, d->setup->session, &err);
    if (status != BAMBA_OK) return fail_library(status, &err);
    int code = choose(d, logits, NO_GUESS, &id);
    if (code == EXIT_SUCCESS) code = leave_bad_ways(d, &id);
    while (code == EXIT_SUCCESS && d->out->end == GENERATION_RUNNING) {
        if (console_interrupted()) return EXIT_INTERRUPTED;
        code = feed_chosen(d, id, &logits, &ms);
        if (code == EXIT_SUCCESS) code = choose_all(d, logits, ms, &id);
        if (code == EXIT_SUCCESS) code = leave_bad_ways(d, &id);
    }
    return code;
}

int decoding_run(decoding *d, const float *logits)
{
    if (d->out->limit == 0) return EXIT_SUCCESS;
    d->start = bamba_session_position(d->setup->session);
    if (d->out->n_bans > 0) {
        d->allowed = malloc((size_t)d->setup->info.n_vocab * sizeof *d->allowed);
        if (!d->allowed) return console_fail("out of memory");
    }
    if (d->strict) d->out->n_open = LOOPS_TIMES * LOOPS_LONGEST;
    const int code = run(d, logits);
    free(d->allowed);
    d->allowed = NULL;
    return code;
}
