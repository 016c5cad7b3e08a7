/* draft.c - a smaller model of the same vocabulary, which guesses what the model will choose. */
#include "draft.h"

#include "console.h"
#include "pace.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { REWIND = 64, USUAL_BEHIND = 4 };   /* tokens; after a pass it is one or two behind */

const char *const draft_samplings[] = { "auto", "rejection", "same", NULL };

/* ---- opening ---- */

/* A token for a message of one line. */
static const char *show_token(char *out, size_t size, const char *text, size_t n)
{
    const size_t most = n < size - 3 ? n : size - 3;
    size_t       end = 0;

    if (!text) return "none";
    out[end++] = '\'';
    for (size_t i = 0; i < most; i++) {
        const unsigned char c = (unsigned char)text[i];
        out[end++] = c < 0x20 || c > 0x7e ? '?' : (char)c;
    }
    out[end++] = '\'';
    out[end] = '\0';
    return out;
}

static int check_vocabulary(const draft *d, const setup *target)
{
    const bamba_tokenizer *ours = target->tokenizer, *its = d->setup.tokenizer;
    const int n = bamba_tokenizer_size(ours), n_found = bamba_tokenizer_size(its);

    if (n_found != n)
        return console_fail("%s: a draft model needs the model's vocabulary: expected %d ids, "
                            "found %d", d->setup.dir, n, n_found);
    for (int32_t id = 0; id < n; id++) {
        size_t      n_ours = 0, n_its = 0;
        const char *a = bamba_token_text(ours, id, &n_ours), *b = bamba_token_text(its, id, &n_its);
        char        expected[32], found[32];
        if (!a == !b && n_ours == n_its && (!a || memcmp(a, b, n_ours) == 0)
            && bamba_token_is_special(ours, id) == bamba_token_is_special(its, id)) continue;
        if (a && b && n_ours == n_its && memcmp(a, b, n_ours) == 0)
            return console_fail("%s: a draft model needs the model's vocabulary: token %d, %s, is "
                                "special in one of the two", d->setup.dir, (int)id,
                                show_token(expected, sizeof expected, a, n_ours));
        return console_fail("%s: a draft model needs the model's vocabulary: token %d: "
                            "expected %s, found %s", d->setup.dir, (int)id,
                            show_token(expected, sizeof expected, a, n_ours),
                            show_token(found, sizeof found, b, n_its));
    }
    return EXIT_SUCCESS;
}

/* Ids that a model of n_rows rows can be fed, of those that the tokenizer has. */
static int count_ids(const setup *s)
{
    const int n = bamba_tokenizer_size(s->tokenizer);
    return n < s->info.n_vocab ? n : s->info.n_vocab;
}

/* A session as long as the target's, if there is memory. */
static int create_session(draft *d, const setup *target, const setup_flags *flags)
{
    const size_t position = bamba_session_position(target->session);
    const size_t room = bamba_session_room(target->session);
    size_t       n = room < SETUP_MOST_CONTEXT - position ? position + room : 0;

    if (n > 0) n = setup_fitting(&d->setup, n);
    d->setup.n_rewind = REWIND;
    const int code = setup_create(&d->setup, flags, n, n, 1);
    if (code == EXIT_SUCCESS) d->limit = bamba_session_room(d->setup.session);
    return code;
}

/* Its sampler is the model's without what looks back at the text: guesses are taken back. */
static int create_sampler(draft *d, const draft_flags *f, const sampling *choice, bool is_seeded)
{
    const bool is_same = f->sampling == DRAFT_AUTO ? is_seeded : f->sampling == DRAFT_SAME;
    sampling   its = *choice;

    its.options.repetition_penalty = 1.0f;
    its.options.presence_penalty = its.options.frequency_penalty = 0.0f;
    its.options.dry_multiplier = 0.0f;
    its.options.seed = ~choice->options.seed;         /* its draws are not the model's */
    d->least_p = f->least_p;
    if (!is_same && sampling_draws(choice)) {
        d->q = malloc((size_t)f->most * d->n_vocab * sizeof *d->q);
        if (!d->q) return console_fail("out of memory");
    }
    return sampling_create(&d->sampler, &its, &d->setup);
}

int draft_open(draft *d, const draft_flags *f, const setup *target, const setup_flags *how,
               const sampling *choice, bool is_seeded)
{
    setup_flags flags = *how;

    flags.dir = f->dir;
    flags.weight_type = f->weight_type;
    flags.calibration = NULL;
    flags.adapter = flags.type_of = (arg_list){ NULL, 0 };
    int code = setup_open_tokenizer(&d->setup, &flags);
    if (code == EXIT_SUCCESS) code = check_vocabulary(d, target);
    if (code == EXIT_SUCCESS) code = setup_open_model(&d->setup, &flags);
    if (code != EXIT_SUCCESS) return code;
    d->n_vocab = (size_t)count_ids(&d->setup);
    if (d->n_vocab != (size_t)count_ids(target))
        return console_fail("%s: a draft model needs the model's vocabulary: expected logits of %d "
                            "tokens, found %d", d->setup.dir, count_ids(target), (int)d->n_vocab);
    code = create_session(d, target, &flags);
    return code == EXIT_SUCCESS ? create_sampler(d, f, choice, is_seeded) : code;
}

void draft_close(draft *d)
{
    bamba_sampler_free(d->sampler);
    free(d->q);
    setup_close(&d->setup);
}

/* ---- guessing ---- */

size_t draft_behind(const draft *d, size_t n)
{
    const size_t position = bamba_session_position(d->setup.session);
    return position < n ? n - position : 1;
}

/* Take back what it has read that is not of the text. Rarely more than its own last guesses. */
static bamba_status go_back(draft *d, const int32_t *text, size_t n, bamba_error *err)
{
    bamba_session *s = d->setup.session;
    const int32_t *read = bamba_session_tokens(s);
    const size_t   position = bamba_session_position(s), most = position < n ? position : n;
    size_t         same = 0;

    if (most > 0 && memcmp(read, text, most * sizeof *text) == 0) same = most;
    while (same < most && read[same] == text[same]) same++;
    return bamba_session_rewind(d->setup.engine, s, same, err);
}

bamba_status draft_read(draft *d, const int32_t *text, size_t n, bamba_error *err)
{
    bamba_status status = go_back(d, text, n, err);
    const size_t from = bamba_session_position(d->setup.session);
    const size_t most = n < d->limit ? n : d->limit;
    const double start = console_now_ms();

    if (status != BAMBA_OK || from >= most) return status;
    status = bamba_feed(d->setup.engine, d->setup.session, text + from, most - from, NULL, err);
    d->token_ms = (console_now_ms() - start) / (double)(most - from);
    return status;
}

/* Read what is left of the text, and the last token. */
static bamba_status keep_up(draft *d, const int32_t *text, size_t n, int32_t last,
                            const float **logits, bamba_error *err)
{
    int32_t      rest[USUAL_BEHIND + 1];
    bamba_status status = go_back(d, text, n, err);
    size_t       behind = n - bamba_session_position(d->setup.session);

    if (status == BAMBA_OK && behind > USUAL_BEHIND) {
        status = draft_read(d, text, n, err);
        behind = 0;
    }
    if (status != BAMBA_OK) return status;
    if (behind > 0) memcpy(rest, text + n - behind, behind * sizeof *rest);
    rest[behind] = last;
    return bamba_feed(d->setup.engine, d->setup.session, rest, behind + 1, logits, err);
}

/* Whether its likeliest token is likely enough. That must not depend on the token it draws, or
   rejection sampling would not keep the probabilities. */
static bool is_sure(const draft *d, const float *logits)
{
    float best = -INFINITY;
    double sum = 0.0;

    if (d->least_p <= 0.0) return true;
    for (size_t i = 0; i < d->n_vocab; i++) best = fmaxf(best, logits[i]);
    for (size_t i = 0; i < d->n_vocab; i++)
        if (logits[i] > best - 20.0f) sum += (double)expf(logits[i] - best);
    return 1.0 >= d->least_p * sum;
}

static int32_t choose(draft *d, const float *logits, int number)
{
    return d->q ? bamba_sample_distribution(d->sampler, logits, d->q + (size_t)number * d->n_vocab)
                : bamba_sample(d->sampler, logits);
}

bamba_status draft_guess(draft *d, const int32_t *text, size_t n_text, int32_t last,
                         const bamba_sampler *chooser, int32_t *guess, int *n, double *first_ms,
                         bamba_error *err)
{
    const double        start = console_now_ms();
    const size_t        room = n_text < d->limit ? d->limit - n_text : 0;
    const int           most = (size_t)*n < room ? *n : (int)room;
    const bool          is_behind = draft_behind(d, n_text) > USUAL_BEHIND;
    bamba_sampler_state state;
    const float        *logits = NULL;
    bamba_status        status = BAMBA_OK;

    *n = 0;
    if (most > 0) status = keep_up(d, text, n_text, last, &logits, err);
    *first_ms = is_behind ? console_now_ms() - start : 0.0;
    if (!d->q) {                          /* the draws that the model's sampler will make */
        bamba_sampler_get_state(chooser, &state);
        bamba_sampler_set_state(d->sampler, &state);
    }
    while (status == BAMBA_OK && *n < most && is_sure(d, logits)) {
        const int32_t id = guess[*n] = choose(d, logits, *n);
        if (++*n == most || bamba_model_is_end(d->setup.model, id)) break;
        status = bamba_feed(d->setup.engine, d->setup.session, &id, 1, &logits, err);
    }
    return status;
}
