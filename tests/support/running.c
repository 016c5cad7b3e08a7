/* running.c - options, engines and sessions of a test's models; how far apart two rows are. */
#include "support/running.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

bamba_model_options running_model_options(bamba_type weight_type)
{
    bamba_model_options o = BAMBA_MODEL_OPTIONS;

    o.weight_type = weight_type;
    o.kv_type = BAMBA_TYPE_F32;
    return o;
}

bamba_engine *running_engine(const bamba_model *m, const bamba_engine_options *o)
{
    bamba_engine *e;
    bamba_error   err;

    if (bamba_engine_create(&e, m, o, &err) != BAMBA_OK) fail_msg("%s", err.message);
    return e;
}

bamba_session *running_session(const bamba_model *m, const bamba_session_options *o)
{
    bamba_session *s;
    bamba_error    err;

    if (bamba_session_create(&s, m, o, &err) != BAMBA_OK) fail_msg("%s", err.message);
    return s;
}

bool running_is_exact(const bamba_model *m)
{
    bamba_model_info info = BAMBA_MODEL_INFO;

    assert_int_equal(bamba_model_info_get(m, &info), BAMBA_OK);
    return strcmp(info.cpu, "c") != 0;
}

float running_largest(const float *x, size_t n)
{
    float most = 0;

    for (size_t i = 0; i < n; i++) {
        if (isnan(x[i])) return NAN;
        most = fmaxf(most, fabsf(x[i]));
    }
    return most;
}

float running_distance(const float *x, const float *y, size_t n)
{
    float most = 0;

    for (size_t i = 0; i < n; i++) {
        const float apart = fabsf(x[i] - y[i]);
        if (isnan(apart)) return NAN;
        most = fmaxf(most, apart);
    }
    return most;
}
