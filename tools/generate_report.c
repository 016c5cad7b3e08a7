/* generate_report.c - what bamba generate says about a text: one line, a table, a JSON object. */
#include "generate.h"

#include "args.h"
#include "console.h"
#include "json.h"

#include <stdio.h>

static const char *format_seed(const generate_run *r, char *out, size_t size)
{
    *out = '\0';
    if (sampling_draws(&r->sampling) && !r->guesses.draft.q)      /* it gives the text again */
        snprintf(out, size, "seed = %llu, ", (unsigned long long)r->sampling.options.seed);
    return out;
}

static const char *format_cached(const generate_run *r, char *out, size_t size)
{
    *out = '\0';
    if (r->cache) snprintf(out, size, ", %zu of them from the cache", r->n_cached);
    return out;
}

static void print_summary(const generate_run *r)
{
    const generate_times *t = &r->times;
    const decoding *d = &r->decoding;
    char seed[40], cached[60], guesses[90];

    console_say("%sprompt: %zu tokens, %.1f per second%s; text: %zu tokens, %.1f per second%s; "
                "end: %s", format_seed(r, seed, sizeof seed), r->n_prompt,
                console_per_second(r->n_prompt, t->prompt),
                format_cached(r, cached, sizeof cached), r->out.n_ids,
                console_per_second(d->n_eval, d->eval_ms),
                speculation_summary(&r->guesses, guesses, sizeof guesses),
                generation_end_name(r->out.end));
}

static void print_times(const generate_run *r)
{
    const generate_times *t = &r->times;
    const decoding *d = &r->decoding;
    char seed[40];
    const double per_token = r->n_prompt ? t->prompt / (double)r->n_prompt : 0.0;
    const double per_run = d->n_eval ? d->eval_ms / (double)d->n_eval : 0.0;

    sampling_print(&r->sampling, format_seed(r, seed, sizeof seed));
    console_say("finish reason    = %s", generation_end_name(r->out.end));
    console_say("load time        = %10.2f ms", t->load);
    console_say("prompt eval time = %10.2f ms / %5zu tokens (%8.2f ms per token, %8.2f tokens "
                "per second)", t->prompt, r->n_prompt, per_token,
                console_per_second(r->n_prompt, t->prompt));
    console_say("eval time        = %10.2f ms / %5zu runs   (%8.2f ms per token, %8.2f tokens "
                "per second)", d->eval_ms, d->n_eval, per_run,
                console_per_second(d->n_eval, d->eval_ms));
    speculation_print(&r->guesses);
    console_say("sampling time    = %10.2f ms / %5zu runs", d->sampling_ms, r->out.n_ids);
    console_say("total time       = %10.2f ms / %5zu tokens", t->total,
                r->n_prompt + d->n_eval);
}

void generate_print_report(const generate_run *r)
{
    if (r->flags->perf || args_verbose()) print_times(r);
    else print_summary(r);
}

int generate_print_json(const generate_run *r)
{
    const generate_times *t = &r->times;
    const decoding *d = &r->decoding;
    json all = JSON_OBJECT, parameters = JSON_OBJECT, timings = JSON_OBJECT;

    json_add_string(&all, "model", r->setup.dir);
    json_add_text(&all, "prompt", r->prompt.bytes, r->prompt.n);
    json_add_ids(&all, "prompt_ids", r->fed, r->n_prompt);
    json_add_text(&all, "text", r->out.text, r->out.n_text);
    json_add_ids(&all, "ids", r->out.ids, r->out.n_ids);
    json_add_string(&all, "finish", generation_end_name(r->out.end));

    sampling_add_json(&r->sampling, &parameters);
    json_add_object(&all, "parameters", &parameters);

    json_add_uint(&timings, "n_prompt", r->n_prompt);
    json_add_uint(&timings, "n_eval", d->n_eval);
    if (r->cache) json_add_uint(&timings, "n_cached", r->n_cached);
    speculation_add_json(&r->guesses, &timings);
    json_add_fixed(&timings, "load_ms", t->load, 3);
    json_add_fixed(&timings, "prompt_ms", t->prompt, 3);
    json_add_fixed(&timings, "eval_ms", d->eval_ms, 3);
    json_add_fixed(&timings, "sampling_ms", d->sampling_ms, 3);
    json_add_fixed(&timings, "total_ms", t->total, 3);
    json_add_fixed(&timings, "prompt_per_second", console_per_second(r->n_prompt, t->prompt), 3);
    json_add_fixed(&timings, "eval_per_second", console_per_second(d->n_eval, d->eval_ms), 3);
    json_add_object(&all, "timings", &timings);
    return json_print(&all);
}
