/* generation_config.c - what the files of a model say about generating text. */
#include "objects.h"

#include "base/file.h"

#include <float.h>
#include <limits.h>
#include <math.h>

void bb_generation_config_init(bb_generation_config *g, int n_vocab)
{
    *g = (bb_generation_config){
        .n_vocab = n_vocab, .bos = -1, .temperature = NAN, .top_p = NAN, .min_p = NAN,
        .typical_p = NAN, .repetition_penalty = NAN, .top_k = INT_MIN,
    };
}

/* -------------------------------------------------------------- begin and end ------------ */

static void add_eos(bb_generation_config *g, const bb_json *j, const bb_log *log)
{
    const int64_t id = bb_json_value_int(j);

    if (bb_json_status(j->doc, NULL) != BAMBA_OK) return;
    if (id < 0 || id >= g->n_vocab) {
        bb_json_log(j, log, "end token %lld is ignored, the model has %d tokens", (long long)id,
                    g->n_vocab);
        return;
    }
    for (int i = 0; i < g->n_eos; i++)
        if (g->eos[i] == id) return;
    if (g->n_eos < BB_MAX_EOS) g->eos[g->n_eos++] = (int32_t)id;
    else bb_json_log(j, log, "end token %lld is ignored, at most %d are kept", (long long)id,
                     BB_MAX_EOS);
}

void bb_generation_config_tokens(bb_generation_config *g, const bb_json *config,
                                 const bb_log *log)
{
    const bb_json eos = bb_json_get(config, "eos_token_id");

    g->bos = bb_json_int_or(config, "bos_token_id", -1, INT_MAX, g->bos);
    if (eos.node && !bb_json_is_array(&eos)) add_eos(g, &eos, log);
    for (size_t i = 0; i < bb_json_length(&eos); i++) {
        const bb_json id = bb_json_at(&eos, i);
        add_eos(g, &id, log);
    }
}

/* -------------------------------------------------------------- how to choose ------------ */

static float read_float(const bb_json *config, const char *key, double lo, double hi)
{
    if (!bb_json_has(config, key)) return NAN;

    const double value = bb_json_float(config, key);
    if (!(value >= lo && value <= hi))
        bb_json_fail_key(config, key, BAMBA_ERR_FORMAT, "expected a number from %g to %g, found %g",
                         lo, hi, value);
    return (float)value;
}

static void read_choice(bb_generation_config *g, const bb_json *config)
{
    g->temperature = read_float(config, "temperature", 0.0, (double)FLT_MAX);
    g->top_p = read_float(config, "top_p", 0.0, 1.0);
    g->min_p = read_float(config, "min_p", 0.0, 1.0);
    g->typical_p = read_float(config, "typical_p", 0.0, 1.0);
    g->repetition_penalty = read_float(config, "repetition_penalty", (double)FLT_MIN,
                                       (double)FLT_MAX);
    if (bb_json_has(config, "top_k")) g->top_k = bb_json_int(config, "top_k", -1, INT_MAX);
    if (!bb_json_bool_or(config, "do_sample", true)) g->temperature = 0.0f;
    const int n = bb_json_int_or(config, "max_new_tokens", -1, INT_MAX, 0);
    g->max_new_tokens = n > 0 ? n : 0;
}

/* Keys of transformers' GenerationConfig that change the text and that we cannot follow, with the
   number at which they do nothing. */
static const struct ignored_key { const char *key; double neutral; } ignored_keys[] = {
    { "bad_words_ids", 0 }, { "begin_suppress_tokens", 0 }, { "encoder_repetition_penalty", 1 },
    { "epsilon_cutoff", 0 }, { "eta_cutoff", 0 }, { "forced_bos_token_id", -1 },
    { "forced_eos_token_id", -1 }, { "guidance_scale", 1 }, { "min_length", 0 },
    { "min_new_tokens", 0 }, { "no_repeat_ngram_size", 0 }, { "num_beams", 1 },
    { "penalty_alpha", 0 }, { "sequence_bias", 0 }, { "stop_strings", 0 },
    { "suppress_tokens", 0 },
};

static bool says_something(const bb_json *value, double neutral)
{
    if (bb_json_is_number(value)) return bb_json_value_float(value) != neutral;
    if (bb_json_is_array(value)) return bb_json_length(value) > 0;
    return value->node && !bb_json_is_bool(value);
}

static void log_ignored(const bb_json *config, const bb_log *log)
{
    for (size_t i = 0; i < sizeof ignored_keys / sizeof *ignored_keys; i++) {
        const bb_json value = bb_json_get(config, ignored_keys[i].key);
        if (says_something(&value, ignored_keys[i].neutral))
            bb_json_log(&value, log, "is not implemented and ignored");
    }
}

bb_status bb_generation_config_read(bb_generation_config *g, const bb_allocator *a,
                                    const char *dir, const bb_log *log, bamba_error *err)
{
    bb_json_doc *doc = NULL;
    bb_status    status = BAMBA_OK;
    bb_path_kind kind;
    char        *path = bb_path_join(a, dir, "generation_config.json");

    if (!path) return bb_fail(err, BAMBA_ERR_MEMORY, "%s: out of memory", dir);
    BB_TRY(bb_path_find(path, &kind, err));
    if (kind) {
        BB_TRY(bb_json_open(&doc, a, path, 0, err));
        const bb_json config = bb_json_root(doc);
        bb_generation_config_tokens(g, &config, log);
        read_choice(g, &config);
        BB_TRY(bb_json_status(doc, err));
        log_ignored(&config, log);
    }
done:
    bb_json_close(doc);
    bb_release(a, path);
    return status;
}

/* -------------------------------------------------------------- asking ------------------- */

static void choose(float *value, float said)
{
    if (!isnan(said)) *value = said;
}

bamba_status bamba_model_sampler_defaults(const bamba_model *m, bamba_sampler_options *o)
{
    if (!m || !o || o->struct_bytes < offsetof(bamba_sampler_options, tokenizer))
        return BAMBA_ERR_ARGUMENT;

    const bb_generation_config *g = &m->generation;
    choose(&o->temperature, g->temperature);
    choose(&o->top_p, g->top_p);
    choose(&o->min_p, g->min_p);
    if (o->struct_bytes >= offsetof(bamba_sampler_options, top_n_sigma))
        choose(&o->typical_p, g->typical_p);
    choose(&o->repetition_penalty, g->repetition_penalty);
    if (!isnan(g->repetition_penalty)) o->penalty_last_n = -1;
    if (g->top_k != INT_MIN) o->top_k = g->top_k;
    return BAMBA_OK;
}

int bamba_model_is_end(const bamba_model *m, int32_t id)
{
    if (!m) return 0;
    for (int i = 0; i < m->generation.n_eos; i++)
        if (m->generation.eos[i] == id) return 1;
    return 0;
}
