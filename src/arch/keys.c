/* keys.c - readings of config.json that several families share.
 * Source: transformers modeling_rope_utils.py, configuration_utils.py; which of several spellings
 * wins was found by running 5.23.0. */
#include "arch/keys.h"

#include <limits.h>
#include <math.h>
#include <string.h>

void bb_key_limits(const bb_json *config, const char *key, float *lo, float *hi)
{
    const bb_json list = bb_json_get(config, key);

    *lo = 0.0f;
    *hi = INFINITY;
    if (!list.node) return;
    if (bb_json_length(&list) != 2) {
        bb_json_fail(&list, BAMBA_ERR_FORMAT, "expected a list of two numbers");
        return;
    }
    const bb_json first = bb_json_at(&list, 0);
    const bb_json second = bb_json_at(&list, 1);
    *lo = (float)bb_json_value_float(&first);
    *hi = (float)bb_json_value_float(&second);
    if (!(*lo >= 0 && *lo <= *hi && isfinite(*lo)))
        bb_json_fail(&list, BAMBA_ERR_FORMAT, "expected 0 <= lower <= upper, found %g and %g",
                     (double)*lo, (double)*hi);
}

double bb_key_epsilon(const bb_json *config, const char *key, double fallback)
{
    const double epsilon = bb_json_float_or(config, key, fallback);

    if (!(epsilon >= 0 && epsilon < 1))
        bb_json_fail_key(config, key, BAMBA_ERR_FORMAT, "expected 0 <= eps < 1, found %g",
                         epsilon);
    return epsilon;
}

/* -------------------------------------------------------------- rotary positions --------- */

/* The object that holds the rotary settings; absent if there is none. */
static bb_json rope_object(const bb_json *config)
{
    const bb_json old = bb_json_get(config, "rope_scaling");
    const bool    is_empty = bb_json_is_object(&old) && bb_json_members(&old) == 0;

    return old.node && !is_empty ? old : bb_json_get(config, "rope_parameters");
}

bb_rope_keys bb_key_rope(const bb_json *config, double partial_fallback)
{
    const bb_json  object = rope_object(config);
    const bb_json *r = &object;
    bb_rope_keys   keys;

    keys.theta = bb_json_float_or(r, "rope_theta", bb_json_float_or(config, "rope_theta", 10000.0));
    if (!(keys.theta > 1.0 && isfinite(keys.theta)))
        bb_json_fail_key(config, "rope_theta", BAMBA_ERR_FORMAT,
                         "expected a number above 1, found %g", keys.theta);
    keys.partial = bb_json_float_or(r, "partial_rotary_factor",
                                    bb_json_float_or(config, "partial_rotary_factor",
                                                     partial_fallback));
    if (!(keys.partial >= 0.0 && keys.partial <= 1.0))
        bb_json_fail_key(config, "partial_rotary_factor", BAMBA_ERR_FORMAT,
                         "expected a number from 0 to 1, found %g", keys.partial);
    return keys;
}

static bb_rope_kind rope_kind(const bb_json *r)
{
    static const struct { const char *name; bb_rope_kind kind; } known[] = {
        { "default", BB_ROPE_DEFAULT }, { "linear", BB_ROPE_LINEAR },
        { "dynamic", BB_ROPE_DYNAMIC }, { "llama3", BB_ROPE_LLAMA3 }, { "yarn", BB_ROPE_YARN },
        { "longrope", BB_ROPE_LONG },   { "su", BB_ROPE_LONG },   /* its name in early Phi-3 */
    };
    const char  *type = bb_json_text_or(r, "type", "default");
    const char  *name = bb_json_text_or(r, "rope_type", type);
    bb_json_walk walk = { 0 };
    bb_json      member;

    while (bb_json_next(r, &walk, &member))
        if (bb_json_is_object(&member))
            bb_json_fail(&member, BAMBA_ERR_UNSUPPORTED,
                         "rotary settings for each kind of layer are not implemented");
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(name, known[i].name) == 0) return known[i].kind;
    bb_json_fail_key(r, bb_json_has(r, "rope_type") ? "rope_type" : "type", BAMBA_ERR_UNSUPPORTED,
                     "rope scaling '%.40s' is not implemented", name);
    return BB_ROPE_DEFAULT;
}

/* A finite number of at least lo; missing or null: fallback. */
static double number_from(const bb_json *r, const char *key, double lo, double fallback)
{
    const double value = bb_json_float_or(r, key, fallback);

    if (!(value >= lo && isfinite(value)))
        bb_json_fail_key(r, key, BAMBA_ERR_FORMAT, "expected a number of at least %g, found %g",
                         lo, value);
    return value;
}

/* Read a list of exactly n positive numbers. */
static void read_factors(const bb_json *r, const char *key, int n, double *out)
{
    const bb_json list = bb_json_get(r, key);

    if (!bb_json_is_array(&list) || bb_json_length(&list) != (size_t)n) {
        bb_json_fail_key(r, key, BAMBA_ERR_FORMAT,
                         "expected a list of %d numbers, one for each rotated pair, found %zu", n,
                         bb_json_length(&list));
        return;
    }
    for (int i = 0; i < n; i++) {
        const bb_json element = bb_json_at(&list, (size_t)i);
        out[i] = bb_json_value_float(&element);
        if (!(out[i] > 0 && isfinite(out[i])))
            bb_json_fail(&element, BAMBA_ERR_FORMAT, "expected a number above 0, found %g",
                         out[i]);
    }
}

static void read_llama3(const bb_json *r, bb_rope_dims *dims)
{
    dims->low = bb_json_float(r, "low_freq_factor");
    dims->high = bb_json_float(r, "high_freq_factor");
    if (!(dims->low > 0 && dims->low < dims->high && isfinite(dims->high)))
        bb_json_fail_key(r, "high_freq_factor", BAMBA_ERR_FORMAT,
                         "expected 0 < low_freq_factor < high_freq_factor, found %g and %g",
                         dims->low, dims->high);
}

static void read_yarn(const bb_json *r, bb_rope_dims *dims)
{
    dims->low = number_from(r, "beta_slow", 0.0, 1.0);
    dims->high = number_from(r, "beta_fast", 0.0, 32.0);
    if (dims->low == 0.0) dims->low = 1.0;            /* transformers takes 0 for missing */
    if (dims->high == 0.0) dims->high = 32.0;
    if (dims->low > dims->high)
        bb_json_fail_key(r, "beta_fast", BAMBA_ERR_FORMAT,
                         "expected at least beta_slow = %g, found %g", dims->low, dims->high);
    dims->truncate = bb_json_bool_or(r, "truncate", true);
    dims->mscale = number_from(r, "mscale", 0.0, 0.0);
    dims->mscale_all = number_from(r, "mscale_all_dim", 0.0, 0.0);
}

static void read_long(const bb_json *r, bb_rope_dims *dims, bb_rope_factors *factors)
{
    read_factors(r, "short_factor", dims->d / 2, factors->shorter);
    read_factors(r, "long_factor", dims->d / 2, factors->longer);
    dims->shorter = factors->shorter;
    dims->longer = factors->longer;
}

/* Positions before scaling. A key at the top level beats the one among the rotary settings. */
static int original_context(const bb_json *config, const bb_json *r, int n_context)
{
    static const char key[] = "original_max_position_embeddings";
    const int inner = bb_json_int_or(r, key, 2, INT_MAX, n_context);

    return bb_json_int_or(config, key, 2, INT_MAX, inner);
}

/* The factor of the scaling. Where yarn gives null, or longrope nothing, it is the ratio of the
   contexts after and before scaling. */
static double read_factor(const bb_json *r, const bb_rope_dims *dims, int n_context)
{
    const bool may_infer = dims->kind == BB_ROPE_LONG
                        || (dims->kind == BB_ROPE_YARN && bb_json_is_member(r, "factor"));

    if (may_infer && !bb_json_has(r, "factor")) return n_context / dims->context;
    const double factor = bb_json_float(r, "factor");
    if (!(factor >= 1 && isfinite(factor)))
        bb_json_fail_key(r, "factor", BAMBA_ERR_FORMAT,
                         "expected a number of at least 1, found %g", factor);
    return factor;
}

static double read_attention_factor(const bb_json *r)
{
    const double attention = bb_json_float(r, "attention_factor");

    if (!(attention > 0 && isfinite(attention)))
        bb_json_fail_key(r, "attention_factor", BAMBA_ERR_FORMAT,
                         "expected a number above 0, found %g", attention);
    return attention;
}

bb_rope_dims bb_key_rope_dims(const bb_json *config, int d, int n_context, bb_rope_factors *factors)
{
    const bb_json object = rope_object(config);
    const bb_json *r = &object;
    bb_rope_dims  dims = { .d = d, .kind = rope_kind(r),
                           .theta = bb_key_rope(config, 1.0).theta };
    const bool    is_dynamic = dims.kind == BB_ROPE_DYNAMIC;

    if (d % 2 != 0 || d > 2 * BB_ROPE_PAIRS || dims.kind == BB_ROPE_DEFAULT) return dims;
    dims.context = is_dynamic ? n_context : original_context(config, r, n_context);
    dims.factor = read_factor(r, &dims, n_context);
    if (is_dynamic && d == 2)
        bb_json_fail_key(r, "rope_type", BAMBA_ERR_UNSUPPORTED,
                         "'dynamic' is not defined for 2 rotated columns");
    if (dims.kind == BB_ROPE_LLAMA3) read_llama3(r, &dims);
    if (dims.kind == BB_ROPE_YARN) read_yarn(r, &dims);
    if (dims.kind == BB_ROPE_LONG) read_long(r, &dims, factors);
    if ((dims.kind == BB_ROPE_YARN || dims.kind == BB_ROPE_LONG)
        && bb_json_has(r, "attention_factor")) dims.attention = read_attention_factor(r);
    return dims;
}

/* -------------------------------------------------------------- decoders ----------------- */

void bb_key_tied(const bb_json *config, const char *key, bool fallback, bb_facts *f)
{
    f->tied = bb_json_bool_or(config, key, fallback);
    f->tie_key = key;
}

void bb_key_decoder(const bb_json *c, const bb_key_defaults *known, bb_facts *f)
{
    f->d_model = bb_json_int_or(c, "hidden_size", 1, BB_MAX_DIM, 4096);
    f->n_vocab = f->n_rows = bb_json_int_or(c, "vocab_size", 1, BB_MAX_DIM, known->n_vocab);
    f->n_layers = bb_json_int_or(c, "num_hidden_layers", 1, BB_MAX_LAYERS, 32);
    f->n_context = bb_json_int_or(c, "max_position_embeddings", 1, INT_MAX, known->n_context);
    f->epsilon = bb_key_epsilon(c, "rms_norm_eps", known->epsilon);
    bb_key_tied(c, "tie_word_embeddings", false, f);
    f->mlp.d_ff = bb_json_int_or(c, "intermediate_size", 1, BB_MAX_DIM, known->d_ff);
    f->mlp.bias = bb_json_bool_or(c, "mlp_bias", false);
    bb_key_expect(c, "hidden_act", "silu");
}

static int read_rotary(const bb_json *c, const bb_key_defaults *known, int d_head)
{
    const double partial = bb_key_rope(c, known->partial).partial;
    const char  *key = known->rotary ? known->rotary : "head_dim";
    const int    d = known->rotary ? bb_json_int_or(c, key, 0, d_head, (int)(d_head * partial))
                                   : d_head;

    if (d % 2 != 0)
        bb_json_fail_key(c, key, BAMBA_ERR_UNSUPPORTED,
                         "expected an even number of rotated columns, found %d", d);
    if (!known->rotary && partial < 1.0)
        bb_json_fail_key(c, "partial_rotary_factor", BAMBA_ERR_UNSUPPORTED,
                         "expected 1, this family rotates whole heads; found %g", partial);
    return d;
}

void bb_key_attention(const bb_json *c, const bb_key_defaults *known, bb_facts *f)
{
    const int          D = f->d_model;
    const int          A = bb_json_int_or(c, "num_attention_heads", 1, BB_MAX_DIM, 32);
    bb_attention_dims *a = &f->attention;
    /* null means as many as query heads, whatever the default of a missing key is */
    const bool as_queries = !known->n_kv_heads || bb_json_is_member(c, "num_key_value_heads");

    a->n_heads = A;
    a->n_kv_heads = bb_json_int_or(c, "num_key_value_heads", 1, BB_MAX_DIM,
                                   as_queries ? A : known->n_kv_heads);
    a->d_head = bb_json_int_or(c, "head_dim", 1, 4096, D / A);
    a->bias = a->out_bias = bb_json_bool_or(c, "attention_bias", false);
    if (D % A != 0 && !bb_json_has(c, "head_dim"))
        bb_json_fail_key(c, "num_attention_heads", BAMBA_ERR_FORMAT,
                         "expected a divisor of hidden_size = %d, found %d", D, A);
    if (A % a->n_kv_heads != 0)
        bb_json_fail_key(c, "num_key_value_heads", BAMBA_ERR_FORMAT,
                         "expected a divisor of num_attention_heads = %d, found %d", A,
                         a->n_kv_heads);
    if (!known->no_rope)
        a->rope = bb_key_rope_dims(c, read_rotary(c, known, a->d_head), f->n_context, &f->rope);
}

/* -------------------------------------------------------------- Mamba -------------------- */

int bb_key_inner_width(const bb_json *config, const char *key, int d_model)
{
    const int64_t inner = (int64_t)bb_json_int_or(config, key, 1, 64, 2) * d_model;

    if (inner <= BB_MAX_DIM / 2) return (int)inner;
    bb_json_fail_key(config, key, BAMBA_ERR_UNSUPPORTED, "more than %d inner columns",
                     BB_MAX_DIM / 2);
    return 1;
}

int bb_key_dt_rank(const bb_json *config, const char *key, int d_model)
{
    const bb_json rank = bb_json_get(config, key);

    if (bb_json_is_text(&rank)) bb_key_expect(config, key, "auto");
    return bb_json_is_text(&rank) ? (d_model + 15) / 16
                                  : bb_json_int_or(config, key, 1, BB_MAX_DIM, (d_model + 15) / 16);
}

bool bb_key_is_mamba_ssm(const bb_json *c)
{
    return bb_json_has(c, "d_model") && bb_json_has(c, "n_layer") && !bb_json_has(c, "hidden_size");
}

void bb_key_padded_vocabulary(const bb_json *c, bb_facts *f)
{
    const int64_t multiple = bb_json_int_or(c, "pad_vocab_size_multiple", 1, BB_MAX_DIM, 8);

    f->n_vocab = bb_json_int(c, "vocab_size", 1, BB_MAX_DIM);
    const int64_t rows = (f->n_vocab + multiple - 1) / multiple * multiple;
    if (rows > BB_MAX_DIM)
        bb_json_fail_key(c, "pad_vocab_size_multiple", BAMBA_ERR_UNSUPPORTED,
                         "more than %d rows of the embedding", BB_MAX_DIM);
    else f->n_rows = (int)rows;
}

/* -------------------------------------------------------------- Mamba-2 ------------------ */

static const char expanded[] = "mamba_expand * hidden_size";

/* The inner columns: mamba_d_ssm, in a family that has the key, or a multiple of d_model; *what:
   that in words. */
static int read_inner(const bb_json *c, int d_ssm, int D, const char **what)
{
    const int  expand = bb_json_int_or(c, "mamba_expand", 1, 64, 2);
    const bool is_null = bb_json_is_member(c, "mamba_d_ssm") && !bb_json_has(c, "mamba_d_ssm");

    *what = d_ssm > 0 && !is_null ? "mamba_d_ssm" : expanded;
    if (*what != expanded) return bb_json_int_or(c, "mamba_d_ssm", 1, BB_MAX_DIM, d_ssm);
    if ((int64_t)expand * D <= BB_MAX_DIM) return expand * D;
    bb_json_fail_key(c, "mamba_expand", BAMBA_ERR_UNSUPPORTED, "%s is above %d", expanded,
                     BB_MAX_DIM);
    return D;
}

/* Columns of a head of n_heads. "mamba_d_head" is a number, "auto", or missing. */
static int head_width(const bb_json *c, const char *what, int d_inner, int n_heads)
{
    const bb_json key = bb_json_get(c, "mamba_d_head");

    if (d_inner % n_heads != 0)
        bb_json_fail_key(c, "mamba_n_heads", BAMBA_ERR_FORMAT,
                         "expected a divisor of %s = %d, found %d", what, d_inner, n_heads);
    if (bb_json_is_text(&key)) bb_key_expect(c, "mamba_d_head", "auto");
    if (!key.node || bb_json_is_text(&key)) return d_inner / n_heads;

    const int d_head = bb_json_int(c, "mamba_d_head", 1, BB_MAX_DIM);
    if ((int64_t)d_head * n_heads != d_inner)
        bb_json_fail(&key, BAMBA_ERR_FORMAT, "expected %s / mamba_n_heads = %d / %d, found %d",
                     what, d_inner, n_heads, d_head);
    return d_head;
}

void bb_key_mamba2(const bb_json *c, int d_ssm, bb_facts *f)
{
    const char     *what;
    const int       inner = read_inner(c, d_ssm, f->d_model, &what);
    const int       H = bb_json_int_or(c, "mamba_n_heads", 1, BB_MAX_DIM, 128);
    const bool      proj_bias = bb_json_bool_or(c, "mamba_proj_bias", false);
    bb_mamba2_dims *m = &f->mamba2;

    *m = (bb_mamba2_dims){
        .n_heads   = H,
        .d_head    = head_width(c, what, inner, H),
        .d_state   = bb_json_int_or(c, "mamba_d_state", 1, BB_MAX_DIM, 256),
        .n_groups  = bb_json_int_or(c, "mamba_n_groups", 1, BB_MAX_DIM, 1),
        .d_conv    = bb_json_int_or(c, "mamba_d_conv", 1, 64, 4),
        .conv_bias = bb_json_bool_or(c, "mamba_conv_bias", true),
        .in_bias   = proj_bias,
        .out_bias  = proj_bias,
        .epsilon   = (float)f->epsilon,
    };
    if (H % m->n_groups != 0)
        bb_json_fail_key(c, "mamba_n_groups", BAMBA_ERR_FORMAT,
                         "expected a divisor of mamba_n_heads = %d, found %d", H, m->n_groups);
    bb_key_limits(c, "time_step_limit", &m->dt_min, &m->dt_max);
}

/* -------------------------------------------------------------- multipliers -------------- */

static double check_multiplier(const bb_json *value)
{
    const double v = bb_json_value_float(value);

    if (v == 0.0 || !isfinite(v))
        bb_json_fail(value, BAMBA_ERR_FORMAT, "expected a number that is not 0, found %g", v);
    return v;
}

double bb_key_multiplier(const bb_json *config, const char *key)
{
    const bb_json value = bb_json_get(config, key);
    return value.node ? check_multiplier(&value) : 1.0;
}

void bb_key_multipliers(const bb_json *config, const char *key, int n, double *out)
{
    const bb_json list = bb_json_get(config, key);

    for (int i = 0; i < n; i++) out[i] = 1.0;
    if (!list.node) return;
    if (!bb_json_is_array(&list) || bb_json_length(&list) != (size_t)n) {
        bb_json_fail(&list, BAMBA_ERR_FORMAT, "expected a list of %d numbers, found %zu", n,
                     bb_json_length(&list));
        return;
    }
    for (int i = 0; i < n; i++) {
        const bb_json element = bb_json_at(&list, (size_t)i);
        out[i] = check_multiplier(&element);
    }
}

void bb_key_granite(const bb_json *c, bb_facts *f)
{
    const double residual = bb_key_multiplier(c, "residual_multiplier");

    f->times = (bb_multipliers){
        .embed = bb_key_multiplier(c, "embedding_multiplier"),
        .mamba2 = residual, .attention = residual, .mlp = residual,
        .logits = 1.0 / bb_key_multiplier(c, "logits_scaling"),
    };
    f->attention.scale = (float)bb_key_multiplier(c, "attention_multiplier");
}

/* -------------------------------------------------------------- lists and texts ---------- */

void bb_key_mark(const bb_json *config, const char *key, int n, bool *marked)
{
    const bb_json list = bb_json_get(config, key);

    if (list.node && !bb_json_is_array(&list))
        bb_json_fail(&list, BAMBA_ERR_FORMAT, "expected a list of integers");
    if (bb_json_length(&list) > (size_t)n)
        bb_json_fail(&list, BAMBA_ERR_FORMAT, "expected at most %d integers, found %zu", n,
                     bb_json_length(&list));
    for (size_t i = 0; i < bb_json_length(&list); i++) {
        const bb_json element = bb_json_at(&list, i);
        const int64_t v = bb_json_value_int(&element);
        if (v >= 0 && v < n) marked[v] = true;
        else bb_json_fail(&element, BAMBA_ERR_FORMAT,
                          "expected an integer from 0 to %d, found %lld", n - 1, (long long)v);
    }
}

/* "mamba" and "attention" have other names in files of transformers 5. */
static bool is_kind(const char *name, const char *kind)
{
    return strcmp(name, kind) == 0
        || (strcmp(kind, "mamba") == 0 && strcmp(name, "linear_attention") == 0)
        || (strcmp(kind, "attention") == 0 && strcmp(name, "full_attention") == 0);
}

bool bb_key_layer_kinds(const bb_json *config, int n, const char *kind, bool *is_marked)
{
    const char   *key = bb_json_has(config, "layer_types") ? "layer_types" : "layers_block_type";
    const bb_json list = bb_json_get(config, key);
    const size_t  count = bb_json_length(&list);

    if (!list.node) return false;
    if (!bb_json_is_array(&list) || count != (size_t)n)
        bb_json_fail(&list, BAMBA_ERR_FORMAT, "expected a list of num_hidden_layers = %d names, "
                     "found %zu", n, count);
    for (size_t i = 0; i < count && count == (size_t)n; i++) {
        const bb_json element = bb_json_at(&list, i);
        const char   *name = bb_json_value_text(&element, NULL);
        is_marked[i] = is_kind(name, kind);
        if (!is_marked[i] && !is_kind(name, "mamba"))
            bb_json_fail(&element, BAMBA_ERR_UNSUPPORTED, "expected 'mamba' or '%s', found '%.40s'",
                         kind, name);
    }
    return true;
}

bb_activation bb_key_gated_activation(const bb_json *config, const char *key,
                                      bb_activation fallback)
{
    const char *fallback_name = fallback == BB_ACT_GELU_GATED ? "gelu" : "silu";
    const char *name = bb_json_text_or(config, key, fallback_name);

    if (strcmp(name, "silu") != 0 && strcmp(name, "gelu") != 0)
        bb_json_fail_key(config, key, BAMBA_ERR_UNSUPPORTED, "expected 'silu' or 'gelu', found "
                         "'%.60s'", name);
    return strcmp(name, "gelu") == 0 ? BB_ACT_GELU_GATED : BB_ACT_SILU_GATED;
}

void bb_key_expect(const bb_json *config, const char *key, const char *expected)
{
    const char *found = bb_json_text_or(config, key, expected);

    if (strcmp(found, expected) != 0)
        bb_json_fail_key(config, key, BAMBA_ERR_UNSUPPORTED, "expected '%s', found '%.60s'",
                         expected, found);
}

void bb_key_expect_switch(const bb_json *config, const char *key, bool expected)
{
    if (bb_json_bool_or(config, key, expected) != expected)
        bb_json_fail_key(config, key, BAMBA_ERR_UNSUPPORTED, "expected %s, found %s",
                         expected ? "true" : "false", expected ? "false" : "true");
}
