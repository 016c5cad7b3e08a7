/* keys.c - readings of config.json that several families share.
 * Source: transformers modeling_rope_utils.py, configuration_utils.py; what wins was found by
 * running 5.23.0. */
#include "arch/keys.h"

#include <math.h>
#include <string.h>

void bb_key_time_step_limit(const bb_json *config, float *lo, float *hi)
{
    const bb_json list = bb_json_get(config, "time_step_limit");

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

bb_rope_keys bb_key_rope(const bb_json *config, double partial_fallback)
{
    const bb_json old = bb_json_get(config, "rope_scaling");
    const bb_json fresh = bb_json_get(config, "rope_parameters");
    const bb_json *r = old.node ? &old : &fresh;
    bb_rope_keys  keys;

    const char *kind = bb_json_text_or(r, "rope_type", bb_json_text_or(r, "type", "default"));
    if (strcmp(kind, "default") != 0)
        bb_json_fail_key(r, "rope_type", BAMBA_ERR_UNSUPPORTED,
                         "rope scaling '%.40s' is not implemented", kind);

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

bool bb_key_list_has(const bb_json *config, const char *key, int lo, int hi, int value)
{
    const bb_json list = bb_json_get(config, key);
    bool          found = false;

    if (list.node && !bb_json_is_array(&list)) {
        bb_json_fail(&list, BAMBA_ERR_FORMAT, "expected a list of integers");
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
