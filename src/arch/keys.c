/* keys.c - readings of config.json that several families share.
 * Source: transformers modeling_rope_utils.py, configuration_utils.py; what wins was found by
 * running 5.23.0. */
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

void bb_key_time_step_limit(const bb_json *config, float *lo, float *hi)
{
    bb_key_limits(config, "time_step_limit", lo, hi);
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

/* The object the settings are in; absent if there is none. */
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

/* Exactly n positive numbers. */
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
    if (dims->low == 0.0) dims->low = 1.0;            /* 0 counts as not said */
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

/* Positions before scaling: what stands at the top level wins. */
static int original_context(const bb_json *config, const bb_json *r, int n_context)
{
    static const char key[] = "original_max_position_embeddings";
    const int inner = bb_json_int_or(r, key, 2, INT_MAX, n_context);

    return bb_json_int_or(config, key, 2, INT_MAX, inner);
}

/* yarn may say null and longrope nothing: then the ratio of the contexts. */
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

bb_rope_dims bb_key_rope_dims(const bb_json *config, int d, int n_context,
                              bb_rope_factors *factors)
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

/* -------------------------------------------------------------- lists and texts ---------- */

bool bb_key_list_has(const bb_json *config, const char *key, int lo, int hi, int value)
{
    const bb_json list = bb_json_get(config, key);
    bool          found = false;

    if (list.node && !bb_json_is_array(&list)) {
        bb_json_fail(&list, BAMBA_ERR_FORMAT, "expected a list of integers");
        return false;
    }
    if (bb_json_length(&list) > (size_t)(hi - lo + 1)) {  /* also bounds the time of all calls */
        bb_json_fail(&list, BAMBA_ERR_FORMAT, "expected at most %d integers, found %zu",
                     hi - lo + 1, bb_json_length(&list));
        return false;
    }
    for (size_t i = 0; i < bb_json_length(&list); i++) {
        const bb_json element = bb_json_at(&list, i);
        const int64_t v = bb_json_value_int(&element);
        if (v < lo || v > hi)
            bb_json_fail(&element, BAMBA_ERR_FORMAT, "expected an integer from %d to %d, found %lld",
                         lo, hi, (long long)v);
        if (v == value) found = true;
    }
    return found;
}

void bb_key_expect(const bb_json *config, const char *key, const char *expected)
{
    const char *found = bb_json_text_or(config, key, expected);

    if (strcmp(found, expected) != 0)
        bb_json_fail_key(config, key, BAMBA_ERR_UNSUPPORTED, "expected '%s', found '%.60s'",
                         expected, found);
}
