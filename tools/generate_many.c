/* generate_many.c - many continuations of one prompt, generated together. */
#include "generate.h"

#include "batch.h"
#include "console.h"
#include "json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct continuation {
    batch_text text;
    sampling   how;                       /* the run's, with a seed of its own */
} continuation;

typedef struct many {
    generate_run *r;
    batch         batch;
    continuation *item;                   /* [n] */
    size_t        n;
} many;

static const continuation *find_best(const many *m)
{
    const continuation *best = &m->item[0];

    for (size_t i = 1; i < m->n; i++)
        if (batch_mean(&m->item[i].text) > batch_mean(&best->text)) best = &m->item[i];
    return best;
}

/* ---- generating ---- */

/* A text's context, as setup_create_for_text makes it for one text alone. */
static int find_context(const generate_run *r, size_t *n_context)
{
    const int limit = r->out.limit;

    *n_context = setup_find_context(&r->setup, &r->flags->setup, r->flags->n_context);
    if (*n_context == 0) return EXIT_SUCCESS;
    if (r->n_prompt > *n_context)
        return console_fail("the prompt has %zu tokens, the context holds %zu; -c N makes it "
                            "longer", r->n_prompt, *n_context);
    if (r->flags->n_context == 0 && limit >= 0 && (size_t)limit < *n_context - r->n_prompt)
        *n_context = r->n_prompt + (size_t)limit;
    return EXIT_SUCCESS;
}

static int prepare(many *m)
{
    generate_run *r = m->r;
    size_t n_context;

    int code = find_context(r, &n_context);
    if (code == EXIT_SUCCESS)
        code = setup_create_engine(&r->setup, &r->flags->setup, BATCH_MOST, 0, true);
    if (code != EXIT_SUCCESS) return code;
    batch_open(&m->batch, &r->setup, &r->flags->setup, n_context,
               m->n < BATCH_MOST ? m->n : BATCH_MOST);
    for (size_t i = 0; i < m->n && code == EXIT_SUCCESS; i++) {
        continuation *c = &m->item[i];
        c->how = r->sampling;             /* borrows what it points to */
        c->how.options.seed += i;
        c->text = (batch_text){ .prompt = r->fed, .n_prompt = r->n_prompt, .how = &c->how,
                                .out = r->out };
        code = batch_add(&m->batch, &c->text);
    }
    return code;
}

static int generate(many *m)
{
    size_t n_done = 0;
    int code = EXIT_SUCCESS;

    setup_begin_prompt(m->r->n_prompt);
    while (code == EXIT_SUCCESS && n_done < m->n) {
        code = batch_step(&m->batch);
        for (n_done = 0; n_done < m->n && m->item[n_done].text.done;) n_done++;
    }
    console_progress_clear();
    for (size_t i = 0; i < m->n && code == EXIT_INTERRUPTED; i++)
        if (!m->item[i].text.done &&
            generation_finish(&m->item[i].text.out, GENERATION_INTERRUPT) != BAMBA_OK)
            return console_fail("out of memory");
    return code;
}

/* ---- printing ---- */

static void print_text(const many *m, const continuation *c)
{
    const generate_run *r = m->r;
    const generation *out = &c->text.out;

    if (!r->flags->best)
        printf("--- %zu of %zu: seed %" PRIu64 ", mean log-probability %.4f, %s ---\n",
               (size_t)(c - m->item) + 1, m->n, c->how.options.seed, batch_mean(&c->text),
               generation_end_name(out->end));
    else if (r->flags->show_prompt && !r->flags->chat && r->prompt.n > 0)
        fwrite(r->prompt.bytes, 1, r->prompt.n, stdout);
    if (out->n_text > 0) fwrite(out->text, 1, out->n_text, stdout);
    if (out->n_text == 0 || out->text[out->n_text - 1] != '\n') putchar('\n');
}

static void print_object(const continuation *c)
{
    const generation *out = &c->text.out;

    printf("{ \"seed\": %" PRIu64 ", \"text\": ", c->how.options.seed);
    json_write_text(stdout, out->text ? out->text : "", out->n_text);
    printf(", \"ids\": ");
    json_write_ids(stdout, out->ids, out->n_ids);
    printf(", \"finish\": \"%s\", \"mean_log_probability\": %.6f }", generation_end_name(out->end),
           batch_mean(&c->text));
}

/* The object is written piece by piece: a list of any length takes no memory. */
static int print_json(const many *m, const continuation *best)
{
    const generate_run *r = m->r;
    json rest = JSON_OBJECT, parameters = JSON_OBJECT, timings = JSON_OBJECT;

    sampling_add_json(&r->sampling, &parameters);
    json_add_object(&rest, "parameters", &parameters);
    json_add_uint(&timings, "n_prompt", m->batch.n_prompt);
    json_add_uint(&timings, "n_eval", m->batch.n_eval);
    json_add_fixed(&timings, "load_ms", r->times.load, 3);
    json_add_fixed(&timings, "prompt_ms", m->batch.prompt_ms, 3);
    json_add_fixed(&timings, "eval_ms", m->batch.eval_ms, 3);
    json_add_fixed(&timings, "total_ms", r->times.total, 3);
    json_add_object(&rest, "timings", &timings);
    if (rest.failed) return json_finish(&rest);

    printf("{ \"model\": ");
    json_write_text(stdout, r->setup.dir, strlen(r->setup.dir));
    printf(", \"prompt\": ");
    json_write_text(stdout, r->prompt.bytes ? r->prompt.bytes : "", r->prompt.n);
    printf(", \"prompt_ids\": ");
    json_write_ids(stdout, r->fed, r->n_prompt);
    printf(", \"continuations\": [ ");
    for (size_t i = 0; i < m->n; i++) {
        if (best && &m->item[i] != best) continue;
        if (i > 0 && !best) printf(", ");
        print_object(&m->item[i]);
    }
    printf(" ], ");
    json_write_members(stdout, rest.object);
    printf(" }\n");
    return json_finish(&rest);
}

static int print(const many *m)
{
    const continuation *best = m->r->flags->best ? find_best(m) : NULL;
    const batch *b = &m->batch;
    int code = EXIT_SUCCESS;

    if (m->r->flags->json) code = print_json(m, best);
    else if (best) print_text(m, best);
    else
        for (size_t i = 0; i < m->n; i++) print_text(m, &m->item[i]);
    if (code != EXIT_SUCCESS) return code;
    console_say("seed = %" PRIu64 " and on, prompt: %zu tokens, %zu texts: %zu tokens, %.1f per "
                "second", m->r->sampling.options.seed, b->n_prompt, m->n, b->n_eval,
                console_per_second(b->n_eval, b->eval_ms));
    return EXIT_SUCCESS;
}

int generate_many(generate_run *r)
{
    many m = { .r = r, .n = (size_t)r->flags->n_texts };
    const double start = console_now_ms();

    m.item = calloc(m.n, sizeof *m.item);
    if (!m.item) return console_fail("out of memory");
    if (!sampling_draws(&r->sampling))
        console_warn("-np %zu: nothing is drawn (--temp, --top-k), all texts are the same", m.n);
    int code = prepare(&m);
    if (code == EXIT_SUCCESS) code = generate(&m);
    r->times.total = console_now_ms() - start;
    if (code == EXIT_SUCCESS || code == EXIT_INTERRUPTED) {
        if (print(&m) != EXIT_SUCCESS) code = EXIT_FAILURE;
        code = console_finish(code);
    }
    for (size_t i = 0; i < m.n; i++) generation_free(&m.item[i].text.out);
    if (m.batch.setup) batch_close(&m.batch);
    free(m.item);
    return code;
}
