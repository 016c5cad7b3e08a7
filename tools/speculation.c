/* speculation.c - guesses at the next tokens: from the text itself, from a draft model. */
#include "speculation.h"

#include "console.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- opening ---- */

bamba_status speculation_open(speculation *s, const speculation_flags *f, bamba_error *err)
{
    *s = (speculation){ .draft = DRAFT, .of = { PACE_SOURCE, PACE_SOURCE } };
    s->most[SPECULATION_LOOKUP] = f->n_lookup;
    s->most[SPECULATION_DRAFT] = f->draft.dir ? f->draft.most : 0;
    s->of[SPECULATION_DRAFT].least = f->draft.least;
    for (int i = 0; i < SPECULATION_SOURCES; i++)
        if (s->most[i] > s->most_rows) s->most_rows = s->most[i];
    return f->n_lookup > 0 ? bamba_speculator_create(&s->lookup, err) : BAMBA_OK;
}

int speculation_open_draft(speculation *s, const speculation_flags *f, const setup *target,
                           const setup_flags *how, const sampling *choice, bool is_seeded)
{
    if (!f->draft.dir) return EXIT_SUCCESS;
    s->has_draft = true;
    return draft_open(&s->draft, &f->draft, target, how, choice, is_seeded);
}

void speculation_close(speculation *s)
{
    bamba_speculator_free(s->lookup);
    if (s->has_draft) draft_close(&s->draft);
}

bamba_status speculation_forget(speculation *s, bamba_error *err)
{
    if (!s->lookup) return BAMBA_OK;
    bamba_speculator_free(s->lookup);
    s->lookup = NULL;
    return bamba_speculator_create(&s->lookup, err);
}

bamba_status speculation_accept(speculation *s, const int32_t *ids, size_t n, bamba_error *err)
{
    return s->lookup ? bamba_speculator_accept(s->lookup, ids, n, err) : BAMBA_OK;
}

/* ---- guessing ---- */

bamba_status speculation_begin(speculation *s, const bamba_session *session, bamba_error *err)
{
    const double start = console_now_ms();

    if (!s->has_draft) return BAMBA_OK;
    const bamba_status status = draft_read(&s->draft, bamba_session_tokens(session),
                                           bamba_session_position(session), err);
    s->draft_prompt_ms = console_now_ms() - start;
    return status;
}

static void guess_by_lookup(speculation *s, size_t room)
{
    const int most = s->most[SPECULATION_LOOKUP];
    int32_t   found;

    if (!s->lookup || room == 0 || bamba_speculator_propose(s->lookup, &found, 1) == 0) return;
    const int k = pace_number(&s->pace, &s->of[SPECULATION_LOOKUP],
                              room < (size_t)most ? (int)room : most, 0.0);
    s->n = (int)bamba_speculator_propose(s->lookup, s->guess, (size_t)k);
    s->source = SPECULATION_LOOKUP;
}

/* What reading the text takes before the first guess, if it is more than usual. */
static double count_reading(const speculation *s, size_t n_text)
{
    const size_t behind = draft_behind(&s->draft, n_text);

    return behind > 2 ? (double)(behind - 1) * s->draft.token_ms : 0.0;
}

/* The time of a guess moves slowly. first_ms of it went before the first one. */
static void measure_step(speculation *s, double first_ms)
{
    double *step = &s->of[SPECULATION_DRAFT].step_ms;

    if (s->n == 0 || first_ms > 0.0) return;
    const double ms = s->guess_ms / s->n;
    *step += (ms - *step) * (*step > 0.0 ? 0.125 : 1.0);
}

static bamba_status guess_by_draft(speculation *s, const bamba_session *session, int32_t id,
                                   const bamba_sampler *chooser, size_t room, bamba_error *err)
{
    pace_source *source = &s->of[SPECULATION_DRAFT];
    const int    most = s->most[SPECULATION_DRAFT];
    const size_t n_text = bamba_session_position(session);
    const double start = console_now_ms();
    double       first_ms;

    s->n = pace_number(&s->pace, source, room < (size_t)most ? (int)room : most,
                       count_reading(s, n_text));
    s->source = SPECULATION_DRAFT;
    if (s->n == 0) return BAMBA_OK;
    const bamba_status status = draft_guess(&s->draft, bamba_session_tokens(session), n_text, id,
                                            chooser, s->guess, &s->n, &first_ms, err);
    s->guess_ms = console_now_ms() - start;
    s->draft_ms += s->guess_ms;
    measure_step(s, first_ms);
    return status;
}

bamba_status speculation_guess(speculation *s, const bamba_session *session, int32_t id,
                               const bamba_sampler *chooser, size_t room, bamba_error *err)
{
    s->n = 0;
    s->guess_ms = 0.0;
    const bamba_status status = speculation_accept(s, &id, 1, err);
    if (status != BAMBA_OK) return status;
    guess_by_lookup(s, room);
    if (s->n > 0 || !s->has_draft) return BAMBA_OK;
    return guess_by_draft(s, session, id, chooser, room, err);
}

int32_t speculation_choose(const speculation *s, bamba_sampler *chooser, const float *logits, int i)
{
    const float *q = i < s->n && s->source == SPECULATION_DRAFT ? s->draft.q : NULL;

    return q ? bamba_sample_guess(chooser, logits, s->guess[i], q + (size_t)i * s->draft.n_vocab)
             : bamba_sample(chooser, logits);
}

void speculation_learn(speculation *s, int n_right, double ms)
{
    pace_learn(&s->pace, s->n > 0 ? &s->of[s->source] : NULL, s->n, n_right, ms, s->guess_ms);
}

/* ---- reporting ---- */

static pace_source sum(const speculation *s)
{
    pace_source all = s->of[SPECULATION_LOOKUP];

    all.n_guessed += s->of[SPECULATION_DRAFT].n_guessed;
    all.n_right += s->of[SPECULATION_DRAFT].n_right;
    return all;
}

static double share(const pace_source *s)
{
    return s->n_guessed ? (double)s->n_right / (double)s->n_guessed : 0.0;
}

const char *speculation_summary(const speculation *s, char *out, size_t size)
{
    const pace_source all = sum(s);

    *out = '\0';
    if (s->most_rows > 0)
        snprintf(out, size, ", %zu of %zu guesses right (%.0f %%) in %zu passes", all.n_right,
                 all.n_guessed, 100.0 * share(&all), s->pace.n_passes);
    return out;
}

void speculation_print(const speculation *s)
{
    static const char *const names[SPECULATION_SOURCES] = { "lookup guesses  ",
                                                            "draft guesses   " };

    for (int i = 0; i < SPECULATION_SOURCES; i++)
        if (s->most[i] > 0)
            console_say("%s = %10zu right of %zu (%.1f %%) in %zu passes", names[i],
                        s->of[i].n_right, s->of[i].n_guessed, 100.0 * share(&s->of[i]),
                        s->of[i].n_passes);
    if (s->most_rows > 0) console_say("passes           = %10zu", s->pace.n_passes);
    if (s->has_draft)
        console_say("draft time       = %10.2f ms, %.2f ms for the prompt", s->draft_ms,
                    s->draft_prompt_ms);
}

static void add_source(json *to, const char *key, const pace_source *s, bool is_used)
{
    json of = JSON_OBJECT;

    if (!is_used) return;
    json_add_uint(&of, "n_passes", s->n_passes);
    json_add_uint(&of, "n_guessed", s->n_guessed);
    json_add_uint(&of, "n_right", s->n_right);
    json_add_fixed(&of, "acceptance", share(s), 4);
    json_add_object(to, key, &of);
}

void speculation_add_json(const speculation *s, json *timings)
{
    const pace_source all = sum(s);

    if (s->most_rows == 0) return;
    json_add_uint(timings, "n_passes", s->pace.n_passes);
    json_add_uint(timings, "n_guessed", all.n_guessed);
    json_add_uint(timings, "n_right", all.n_right);
    json_add_fixed(timings, "acceptance", share(&all), 4);
    add_source(timings, "lookup", &s->of[SPECULATION_LOOKUP], s->lookup != NULL);
    add_source(timings, "draft", &s->of[SPECULATION_DRAFT], s->has_draft);
    if (!s->has_draft) return;
    json_add_fixed(timings, "draft_ms", s->draft_ms, 3);
    json_add_fixed(timings, "draft_prompt_ms", s->draft_prompt_ms, 3);
}
