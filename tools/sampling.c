/* sampling.c - how the next token is chosen: flags, else what the model's makers say, else
 * defaults. */
#include "sampling.h"

#include "console.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* A random seed of 32 bits, short enough for the user to type it again. */
static uint64_t make_seed(void)
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

static int collect_biases(bamba_sampler_options *o, const command *self,
                          const sampling_flags *f, const setup *s)
{
    const size_t most = f->bias.n + (size_t)s->info.n_eos + 1;
    bamba_logit_bias *bias = malloc(most * sizeof *bias);
    size_t n = 0;

    o->bias = bias;
    if (!bias) return console_fail("out of memory");
    for (; n < f->bias.n; n++)
        if (!parse_bias(&bias[n], f->bias.items[n]))
            return args_wrong(self, "--logit-bias: expected ID+BIAS or ID-BIAS, found '%s'",
                              f->bias.items[n]);
    if (f->ignore_end) {
        const int32_t end = bamba_tokenizer_eos(s->tokenizer);
        for (int i = 0; i < s->info.n_eos; i++)
            bias[n++] = (bamba_logit_bias){ s->info.eos[i], -INFINITY };
        if (end >= 0 && end < s->info.n_vocab)
            bias[n++] = (bamba_logit_bias){ end, -INFINITY };
    }
    o->n_bias = n;
    return EXIT_SUCCESS;
}

int sampling_resolve(bamba_sampler_options *o, const command *self, const sampling_flags *f,
                     const setup *s)
{
    const bamba_sampler_options defaults = BAMBA_SAMPLER_OPTIONS;

    *o = defaults;
    bamba_model_sampler_defaults(s->model, o);
    o->seed = f->seed < 0 ? make_seed() : (uint64_t)f->seed;
    choose_float(&o->temperature, f->temperature);
    choose_float(&o->top_p, f->top_p);
    choose_float(&o->min_p, f->min_p);
    choose_float(&o->repetition_penalty, f->repetition);
    choose_float(&o->presence_penalty, f->presence);
    choose_float(&o->frequency_penalty, f->frequency);
    if (f->top_k != INT_MIN) o->top_k = f->top_k;
    /* The makers' penalty looks at all tokens, one given as a flag at the last 64. */
    if (!isnan(f->repetition)) o->penalty_last_n = defaults.penalty_last_n;
    if (f->last_n != INT_MIN) o->penalty_last_n = f->last_n;
    return collect_biases(o, self, f, s);
}
