/* batch.c - many texts generated together. */
#include "batch.h"

#include "batch_idle.h"
#include "batch_prefix.h"
#include "console.h"
#include "decoding.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

/* ---- lists ---- */

static int append(batch_list *l, batch_text *t)
{
    if (l->n == l->capacity) {
        const size_t capacity = l->capacity ? 2 * l->capacity : 64;
        batch_text **grown = realloc(l->text, capacity * sizeof *grown);
        if (!grown) return console_fail("out of memory");
        l->text = grown;
        l->capacity = capacity;
    }
    l->text[l->n++] = t;
    return EXIT_SUCCESS;
}

static void take_out(batch_list *l, const batch_text *t)
{
    size_t i = 0;

    while (i < l->n && l->text[i] != t) i++;
    if (i == l->n) return;
    l->n--;
    memmove(l->text + i, l->text + i + 1, (l->n - i) * sizeof *l->text);
}

/* ---- texts ---- */

static void let_go(batch *b, batch_text *t)
{
    batch_put_idle(b, t);
    bamba_sampler_free(t->sampler);
    t->sampler = NULL;
}

static int finish(batch *b, batch_text *t)
{
    const bamba_status status = generation_finish(&t->out, GENERATION_LENGTH);

    let_go(b, t);
    take_out(&b->going, t);
    t->done = true;
    return status == BAMBA_OK ? EXIT_SUCCESS : decoding_fail(status);
}

/* Values that compilers put side by side into vectors; gcc only where comparisons may be made early
   (CMakeLists.txt). */
enum { SIDE_BY_SIDE = 16 };

static float find_largest(const float *x, int n)
{
    float most[SIDE_BY_SIDE], largest = x[0];
    int i = 0;

    for (int j = 0; j < SIDE_BY_SIDE; j++) most[j] = largest;
    for (; i + SIDE_BY_SIDE <= n; i += SIDE_BY_SIDE)
        for (int j = 0; j < SIDE_BY_SIDE; j++) most[j] = x[i + j] > most[j] ? x[i + j] : most[j];
    for (; i < n; i++) largest = x[i] > largest ? x[i] : largest;
    for (int j = 0; j < SIDE_BY_SIDE; j++) largest = most[j] > largest ? most[j] : largest;
    return largest;
}

/* exp(x) for x <= 0, without a branch: 2^k · 2^f, |f| <= 1/2, by six terms of the series. Its error
   is below 2e-7 of it down to e^-80, which is what all below gives. */
static float quick_exp(float x)
{
    const float round = 0x1.8p23f;        /* added, it leaves a whole number in the low bits */
    const float y = (x > -80.0f ? x : -80.0f) * 1.44269504f, k = y + round;
    const float f = (y - (k - round)) * 0.693147181f;
    uint32_t bits;
    float scale;

    memcpy(&bits, &k, sizeof bits);
    bits = (bits + 127) << 23;
    memcpy(&scale, &bits, sizeof scale);
    return scale * (1.0f + f * (1.0f + f * (0.5f + f * (1.0f / 6 + f * (1.0f / 24 + f * (1.0f / 120
           + f * (1.0f / 720)))))));
}

/* ln of the probability of a token, within 1e-5: it is printed with 6 digits, as a mean. That of
   score.h, in double precision, would take a twentieth of the time of a small model's step. */
static double log_probability(const float *logits, int n, int32_t id)
{
    const float largest = find_largest(logits, n);
    float sums[SIDE_BY_SIDE] = { 0.0f };
    double sum = 0.0;
    int i = 0;

    for (; i + SIDE_BY_SIDE <= n; i += SIDE_BY_SIDE)
        for (int j = 0; j < SIDE_BY_SIDE; j++) sums[j] += quick_exp(logits[i + j] - largest);
    for (; i < n; i++) sum += (double)quick_exp(logits[i] - largest);
    for (int j = 0; j < SIDE_BY_SIDE; j++) sum += (double)sums[j];
    return (double)logits[id] - (double)largest - log(sum);
}

double batch_mean(const batch_text *t)
{
    return t->out.n_ids > 0 ? t->log_probability / (double)t->out.n_ids : 0.0;
}

static int choose(batch *b, batch_text *t, const float *logits)
{
    if (t->out.limit == 0) return finish(b, t);
    t->id = bamba_sample(t->sampler, logits);
    bamba_sampler_accept(t->sampler, t->id);
    t->log_probability += log_probability(logits, b->setup->info.n_vocab, t->id);
    const bamba_status status = generation_put(&t->out, t->id, bamba_session_room(t->session));
    if (status != BAMBA_OK) return decoding_fail(status);
    return t->out.end == GENERATION_RUNNING ? EXIT_SUCCESS : finish(b, t);
}

/* The prompt has been read, logits are behind it. */
static int start(batch *b, batch_text *t, const float *logits)
{
    take_out(&b->reading, t);
    const int code = append(&b->going, t);
    return code == EXIT_SUCCESS ? choose(b, t, logits) : code;
}

/* ---- admission ---- */

/* What the session will take, beside what it shares with a trunk. */
static uint64_t count_bytes(const batch *b, const batch_text *t, const batch_trunk *k)
{
    const bamba_model *m = b->setup->model;
    const bamba_session_options *o = &b->setup->session_options;
    const size_t most = b->n_context ? b->n_context : SIZE_MAX, limit = (size_t)t->out.limit;
    const bool   ends = t->out.limit >= 0 && limit < most - t->n_prompt;
    const size_t n = ends ? t->n_prompt + limit : b->n_context ? b->n_context : t->n_prompt;
    const uint64_t shared = k ? bamba_session_bytes(m, o, bamba_session_position(k->session))
                                    - bamba_session_bytes(m, o, 0) : 0;

    return bamba_session_bytes(m, o, n) - shared;
}

static int create_session(batch *b, batch_text *t, const batch_trunk *k)
{
    bamba_session_options o = b->setup->session_options;
    bamba_error err = { BAMBA_OK, "" };
    bamba_status status;

    o.n_context = b->n_context;
    if (k) {
        o.n_adapters = 0;                 /* it has those of the trunk */
        status = bamba_session_fork(&t->session, k->session, &o, &err);
        b->n_shared += bamba_session_position(k->session);
    } else if (batch_take_idle(b, t)) {
        status = BAMBA_OK;
    } else {
        status = bamba_session_create(&t->session, b->setup->model, &o, &err);
    }
    return status == BAMBA_OK ? EXIT_SUCCESS : console_fail_library(status, &err);
}

static int tell_prompt(batch_text *t)
{
    for (size_t i = 0; i < t->n_prompt; i++) bamba_sampler_accept(t->sampler, t->prompt[i]);
    const bamba_status status = generation_skip(&t->out, t->prompt, t->n_prompt);
    return status == BAMBA_OK ? EXIT_SUCCESS : decoding_fail(status);
}

/* A waiting text gets a session. */
static int admit(batch *b, batch_text *t, const batch_trunk *k)
{
    t->bytes = count_bytes(b, t, k);
    b->bytes += t->bytes;
    take_out(&b->waiting, t);
    int code = append(&b->reading, t);
    if (code == EXIT_SUCCESS) code = sampling_create(&t->sampler, t->how, b->setup);
    if (code == EXIT_SUCCESS) code = tell_prompt(t);
    if (code == EXIT_SUCCESS) code = create_session(b, t, k);
    if (code != EXIT_SUCCESS) return code;
    if (k && k->logits) code = start(b, t, k->logits);
    else batch_plan_stop(b, t);
    batch_drop_trunks(b, false);
    return code;
}

/* The first waiting text that need not wait for another's prompt; NULL: there is none. */
static batch_text *find_next(const batch *b)
{
    for (size_t i = 0; i < b->waiting.n; i++)
        if (!batch_should_wait(b, b->waiting.text[i])) return b->waiting.text[i];
    return NULL;
}

/* Give sessions to waiting texts: as many as make a full pass, and there is room for. */
static int admit_all(batch *b)
{
    int code = EXIT_SUCCESS;
    size_t rows = 0;

    for (size_t i = 0; i < b->reading.n; i++)
        rows += b->reading.text[i]->n_prompt - bamba_session_position(b->reading.text[i]->session);
    while (code == EXIT_SUCCESS) {
        const size_t n = b->reading.n + b->going.n;
        batch_text *t = rows < b->n_batch && n < 2 * b->n_parallel ? find_next(b) : NULL;
        if (!t) break;
        const batch_trunk *k = batch_find_trunk(b, t);
        if (!batch_make_room(b, count_bytes(b, t, k)) && n > 0) break;
        rows += t->n_prompt - (k ? bamba_session_position(k->session) : 0);
        code = admit(b, t, k);
    }
    return code;
}

/* ---- passes ---- */

typedef struct pass {
    batch_text     *text[BATCH_MOST];
    bamba_feed_item item[BATCH_MOST];     /* [n] */
    size_t          n, n_rows;
} pass;

static void add_item(pass *p, batch_text *t, const int32_t *tokens, size_t n, bool wants_logits)
{
    p->text[p->n] = t;
    p->item[p->n++] = (bamba_feed_item){ .session = t->session, .tokens = tokens, .n = n,
                                       .n_logits = wants_logits };
    p->n_rows += n;
}

/* Add n tokens of the prompt. */
static void add_prompt(pass *p, batch_text *t, size_t n)
{
    const size_t position = bamba_session_position(t->session);
    add_item(p, t, t->prompt + position, n, position + n == t->n_prompt);
}

/* How many of the prompt's next tokens go into `room` rows of a pass of many. */
static size_t count_next(const batch *b, const batch_text *t, size_t room)
{
    const size_t position = bamba_session_position(t->session), N = b->n_batch;
    const size_t long_end = batch_long_end(b, t->n_prompt);
    size_t end = least((position / N + 1) * N, long_end);

    if (position >= long_end) return 0;
    if (t->stop > position && t->stop < end) end = t->stop;
    if (end - position <= room) return end - position;
    if (!b->is_free) return 0;
    size_t cut = (position + room) / BATCH_EDGE * BATCH_EDGE;
    if (end - cut <= BATCH_MOST && cut > position) cut -= BATCH_EDGE;
    return cut > position ? cut - position : 0;
}

/* A pass of many rows, of prompts alone; p->n is 0 if none has such rows to come. */
static void gather_prompts(const batch *b, pass *p)
{
    for (size_t i = 0; i < b->reading.n && p->n < BATCH_MOST; i++) {
        const size_t n = count_next(b, b->reading.text[i], b->n_batch - p->n_rows);
        if (n > 0) add_prompt(p, b->reading.text[i], n);
        if (p->n > 0 && !b->is_free) return;
    }
}

/* A pass of few rows: the token that was chosen of each text, and ends of prompts. */
static void gather_tokens(const batch *b, pass *p)
{
    for (size_t i = 0; i < least(b->going.n, b->n_parallel); i++)
        add_item(p, b->going.text[i], &b->going.text[i]->id, 1, true);
    for (size_t i = 0; i < b->reading.n && p->n_rows < BATCH_MOST; i++) {
        batch_text *t = b->reading.text[i];
        const size_t position = bamba_session_position(t->session);
        if (position >= batch_long_end(b, t->n_prompt))
            add_prompt(p, t, least(t->n_prompt - position, BATCH_MOST - p->n_rows));
    }
}

/* The text has been fed an item of its prompt. */
static int go_on_reading(batch *b, batch_text *t, const bamba_feed_item *item)
{
    const bool stops = t->stop > 0 && bamba_session_position(t->session) == t->stop;
    int code = EXIT_SUCCESS;

    b->n_prompt += item->n;
    if (item->logits || stops) code = batch_keep_trunk(b, t, item->logits);
    if (stops) batch_plan_stop(b, t);
    return item->logits && code == EXIT_SUCCESS ? start(b, t, item->logits) : code;
}

/* Feed the pass, whose first n_tokens items are tokens that were chosen. */
static int feed(batch *b, pass *p, size_t n_tokens)
{
    bamba_error err = { BAMBA_OK, "" };
    const double begin = console_now_ms();
    const bamba_status status = bamba_feed_batch(b->setup->engine, p->item, p->n, &err);
    int code = EXIT_SUCCESS;

    if (status == BAMBA_ERR_CANCELLED) return EXIT_INTERRUPTED;
    if (status != BAMBA_OK) return console_fail_library(status, &err);
    b->n_eval += n_tokens;
    for (size_t i = 0; i < p->n && code == EXIT_SUCCESS; i++)
        code = i < n_tokens ? choose(b, p->text[i], p->item[i].logits)
                            : go_on_reading(b, p->text[i], &p->item[i]);
    const double ms = console_now_ms() - begin, part = (double)n_tokens / (double)p->n_rows;
    b->eval_ms += part * ms;
    b->prompt_ms += (1.0 - part) * ms;
    return code;
}

/* ---- the batch ---- */

void batch_open(batch *b, const setup *s, const setup_flags *f, size_t n_context, size_t n_parallel)
{
    *b = (batch){ .setup = s, .n_context = n_context, .n_parallel = n_parallel };
    b->n_batch = f->n_batch > 0 ? (size_t)f->n_batch : SETUP_USUAL_BATCH;
    b->budget = bamba_free_memory() / 4 * 3;
    b->is_free = b->n_batch % BATCH_EDGE == 0 && strcmp(s->info.cpu, "c") != 0;
}

int batch_add(batch *b, batch_text *t)
{
    return append(&b->waiting, t);
}

/* As long as fewer texts go on than may, prompts are read first: so that passes of one token a
   text, which read all weights, are of as many texts as possible. */
int batch_step(batch *b)
{
    const bool reads = b->going.n < b->n_parallel;
    pass p = { .n = 0 };
    int code = EXIT_SUCCESS;

    if (console_interrupted()) return EXIT_INTERRUPTED;
    if (reads) code = admit_all(b);
    if (code != EXIT_SUCCESS) return code;
    if (reads) gather_prompts(b, &p);
    if (p.n > 0) return feed(b, &p, 0);
    gather_tokens(b, &p);
    return p.n > 0 ? feed(b, &p, least(b->going.n, b->n_parallel)) : EXIT_SUCCESS;
}

void batch_close(batch *b)
{
    batch_list *const lists[] = { &b->waiting, &b->reading, &b->going };

    for (size_t i = 0; i < 3; i++) {
        for (size_t j = 0; j < lists[i]->n; j++) let_go(b, lists[i]->text[j]);
        free(lists[i]->text);
        *lists[i] = (batch_list){ .n = 0 };
    }
    batch_drop_trunks(b, true);
    batch_free_idle(b);
}
