/* sampling.c - how the next token is chosen: flags, else what the model's makers say, else
 * defaults. */
#include "sampling.h"

#include "console.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* A random seed of 32 bits, short enough for the user to type it again. */
uint64_t sampling_make_seed(void)
{
    uint32_t seed;
    if (getentropy(&seed, sizeof seed) != 0) seed = (uint32_t)time(NULL);
    return seed;
}

static void choose_float(float *value, double flag)
{
    if (!isnan(flag)) *value = (float)flag;
}

/* text is an id, a sign and a number: "15043+1.5", "15043-inf". */
static bool parse_bias(bamba_logit_bias *out, const char *text)
{
    const size_t digits = strspn(text, "0123456789");
    char id[12];
    int64_t whole;
    double bias;

    if (digits == 0 || digits >= sizeof id || (text[digits] != '+' && text[digits] != '-'))
        return false;
    memcpy(id, text, digits);
    id[digits] = '\0';
    if (!args_parse_int(id, &whole) || whole > INT32_MAX) return false;
    if (!args_parse_float(text + digits, &bias)) return false;
    *out = (bamba_logit_bias){ (int32_t)whole, (float)bias };
    return true;
}

static int collect_biases(sampling *c, const command *self, const sampling_flags *f,
                          const setup *s)
{
    const size_t most = f->bias.n + (size_t)s->info.n_eos + 1;
    size_t n = 0;

    c->bias = malloc(most * sizeof *c->bias);
    if (!c->bias) return console_fail("out of memory");
    for (; n < f->bias.n; n++)
        if (!parse_bias(&c->bias[n], f->bias.items[n]))
            return args_wrong(self, "--logit-bias: expected ID+BIAS or ID-BIAS, found '%s'",
                              f->bias.items[n]);
    if (f->ignore_end) {
        const int32_t end = bamba_tokenizer_eos(s->tokenizer);
        for (int i = 0; i < s->info.n_eos; i++)
            c->bias[n++] = (bamba_logit_bias){ s->info.eos[i], -INFINITY };
        if (end >= 0 && end < s->info.n_vocab)
            c->bias[n++] = (bamba_logit_bias){ end, -INFINITY };
    }
    c->options.bias = c->bias;
    c->options.n_bias = n;
    return EXIT_SUCCESS;
}

/* As in llama.cpp the first breaker given replaces the usual ones, and "none" those before it. */
static int collect_breakers(sampling *c, const command *self, const sampling_flags *f,
                            bool escapes)
{
    arg_list given = f->dry_breakers;

    if (given.n == 0) return EXIT_SUCCESS;
    for (size_t i = given.n; i-- > 0;)
        if (strcmp(given.items[i], "none") == 0) {
            given.items += i + 1;
            given.n -= i + 1;
            break;
        }
    const int code = option_texts_read(&c->breakers, self, "--dry-sequence-breaker", &given,
                                       escapes);
    c->options.dry_breakers = c->breakers.items;
    c->options.n_dry_breakers = c->breakers.n;
    return code;
}

static int read_order(sampling *c, const command *self, const sampling_flags *f)
{
    int code;

    if (!f->samplers && !f->letters) return EXIT_SUCCESS;
    if (f->samplers && f->letters)
        return args_wrong(self, "either --samplers or --sampler-seq, not both");
    code = f->samplers ? sampler_order_read_names(&c->order, self, f->samplers)
                       : sampler_order_read_letters(&c->order, self, f->letters);
    c->options.stages = c->order.stages;
    c->options.n_stages = c->order.n;
    return code;
}

static void choose_numbers(bamba_sampler_options *o, const sampling_flags *f)
{
    choose_float(&o->temperature, f->temperature);
    choose_float(&o->top_p, f->top_p);
    choose_float(&o->min_p, f->min_p);
    choose_float(&o->typical_p, f->typical);
    choose_float(&o->top_n_sigma, f->n_sigma);
    choose_float(&o->xtc_probability, f->xtc_probability);
    choose_float(&o->xtc_threshold, f->xtc_threshold);
    choose_float(&o->repetition_penalty, f->repetition);
    choose_float(&o->presence_penalty, f->presence);
    choose_float(&o->frequency_penalty, f->frequency);
    choose_float(&o->dry_multiplier, f->dry_multiplier);
    choose_float(&o->dry_base, f->dry_base);
    if (f->dry_length != INT_MIN) o->dry_allowed_length = f->dry_length;
    if (f->dry_last_n != INT_MIN) o->dry_penalty_last_n = f->dry_last_n;
    if (f->top_k != INT_MIN) o->top_k = f->top_k;
}

int sampling_resolve(sampling *c, const command *self, const sampling_flags *f, const setup *s,
                     bool escapes)
{
    const bamba_sampler_options defaults = BAMBA_SAMPLER_OPTIONS;
    bamba_sampler_options *o = &c->options;

    *o = defaults;
    bamba_model_sampler_defaults(s->model, o);
    o->seed = f->seed < 0 ? sampling_make_seed() : (uint64_t)f->seed;
    choose_numbers(o, f);
    /* The makers' penalty looks at all tokens, one given as a flag at the last 64. */
    if (!isnan(f->repetition)) o->penalty_last_n = defaults.penalty_last_n;
    if (f->last_n != INT_MIN) o->penalty_last_n = f->last_n;
    int code = read_order(c, self, f);
    if (code == EXIT_SUCCESS) code = collect_breakers(c, self, f, escapes);
    if (code == EXIT_SUCCESS) code = collect_biases(c, self, f, s);
    return code;
}

bamba_status sampling_try(bamba_sampler **out, const sampling *c, const setup *s, bamba_error *err)
{
    /* Rows of the model's matrices beyond the tokenizer's ids are padding: never to be chosen. */
    const int n_tokens = bamba_tokenizer_size(s->tokenizer);
    bamba_sampler_options o = c->options;

    o.tokenizer = s->tokenizer;
    return bamba_sampler_create(out, n_tokens < s->info.n_vocab ? n_tokens : s->info.n_vocab, &o,
                                err);
}

int sampling_create(bamba_sampler **out, const sampling *c, const setup *s)
{
    bamba_error err = { BAMBA_OK, "" };
    const bamba_status status = sampling_try(out, c, s, &err);

    return status == BAMBA_OK ? EXIT_SUCCESS : console_fail_library(status, &err);
}

/* What is not named in an order of stages is not done. */
static bool does(const bamba_sampler_options *o, bamba_sampler_stage stage)
{
    for (size_t i = 0; o->stages && i < o->n_stages; i++)
        if (o->stages[i] == stage) return true;
    return !o->stages;
}

bool sampling_draws(const sampling *c)
{
    const bamba_sampler_options *o = &c->options;

    return !(o->temperature <= 0.0f && does(o, BAMBA_STAGE_TEMPERATURE))
        && !(o->top_k == 1 && does(o, BAMBA_STAGE_TOP_K));
}

void sampling_print(const sampling *c, const char *before)
{
    const bamba_sampler_options *o = &c->options;

    console_say("%stemp = %.3f, top_k = %d, top_p = %.3f, min_p = %.3f, "
                "repeat_penalty = %.3f, repeat_last_n = %d, presence_penalty = %.3f, "
                "frequency_penalty = %.3f", before, (double)o->temperature, o->top_k,
                (double)o->top_p, (double)o->min_p, (double)o->repetition_penalty,
                o->penalty_last_n, (double)o->presence_penalty, (double)o->frequency_penalty);
    console_say("typical = %.3f, top_n_sigma = %.3f, xtc_probability = %.3f, xtc_threshold = %.3f, "
                "dry_multiplier = %.3f, dry_base = %.3f, dry_allowed_length = %d, "
                "dry_penalty_last_n = %d", (double)o->typical_p, (double)o->top_n_sigma,
                (double)o->xtc_probability, (double)o->xtc_threshold, (double)o->dry_multiplier,
                (double)o->dry_base, o->dry_allowed_length, o->dry_penalty_last_n);
}

void sampling_add_json(const sampling *c, json *to)
{
    const bamba_sampler_options *o = &c->options;

    json_add_uint(to, "seed", o->seed);
    json_add_int(to, "top_k", o->top_k);
    json_add_int(to, "penalty_last_n", o->penalty_last_n);
    json_add_float(to, "temperature", o->temperature);
    json_add_float(to, "top_p", o->top_p);
    json_add_float(to, "min_p", o->min_p);
    json_add_float(to, "repetition_penalty", o->repetition_penalty);
    json_add_float(to, "presence_penalty", o->presence_penalty);
    json_add_float(to, "frequency_penalty", o->frequency_penalty);
    json_add_float(to, "typical_p", o->typical_p);
    json_add_float(to, "top_n_sigma", o->top_n_sigma);
    json_add_float(to, "xtc_probability", o->xtc_probability);
    json_add_float(to, "xtc_threshold", o->xtc_threshold);
    json_add_float(to, "dry_multiplier", o->dry_multiplier);
    json_add_float(to, "dry_base", o->dry_base);
    json_add_int(to, "dry_allowed_length", o->dry_allowed_length);
    json_add_int(to, "dry_penalty_last_n", o->dry_penalty_last_n);
}

void sampling_free_flags(sampling_flags *f)
{
    free(f->bias.items);
    free(f->dry_breakers.items);
}

void sampling_free(sampling *c)
{
    free(c->bias);
    option_texts_free(&c->breakers);
}
