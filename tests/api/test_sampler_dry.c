/* test_sampler_dry.c - DRY against its definition, counted out place by place. */
#include "bamba.h"

#include "support/draws.h"
#include "support/fault.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { V = 8, REFERENCE = V - 1 };        /* the reference is never in the text */

static const char vocab[] = "\"a\": 0, \"b\": 1, \"c\": 2, \"d\": 3, \":\": 4, \"x:y\": 5,"
                            " \"\\n\": 6, \"r\": 7";
static const bool breaks[V] = { false, false, false, false, true, true, true, false };

/* The penalty of a token behind text [n], of which the last `window` count. */
static double find_penalty(const bamba_sampler_options *o, const int32_t *text, int n, int32_t id)
{
    const int window = o->dry_penalty_last_n < n ? o->dry_penalty_last_n : n;
    int limit = 0, longest = -1;

    text += n - window;
    while (limit < window && !breaks[text[window - 1 - limit]]) limit++;
    if (window <= o->dry_allowed_length || breaks[id]) return 0.0;
    for (int place = 1; place < window; place++) {
        int same = 0;
        if (text[place] != id) continue;
        while (same < place && text[place - 1 - same] == text[window - 1 - same]) same++;
        if (same > limit) same = limit;
        if (same > longest) longest = same;
    }
    if (longest < o->dry_allowed_length) return 0.0;
    return (double)o->dry_multiplier * pow((double)o->dry_base, longest - o->dry_allowed_length);
}

/* The token is chosen if its logit is above its penalty, else the reference, whose logit is 0. */
static bool is_chosen(bamba_sampler *s, int32_t id, double logit)
{
    float logits[V];

    for (int i = 0; i < V; i++) logits[i] = -INFINITY;
    logits[REFERENCE] = 0.0f;
    logits[id] = (float)logit;
    return bamba_sample(s, logits) == id;
}

static void check_penalty(bamba_sampler *s, int32_t id, double penalty)
{
    const double little = 1e-5 * (1.0 + penalty);

    if (!is_chosen(s, id, penalty + little)) fail_msg("%d: more than %g", (int)id, penalty);
    if (is_chosen(s, id, penalty - little)) fail_msg("%d: less than %g", (int)id, penalty);
}

static bamba_sampler_options dry_options(const bamba_tokenizer *t)
{
    bamba_sampler_options o = draws_plain();
    o.temperature = 0.0f;
    o.tokenizer = t;
    o.dry_multiplier = 0.8f;
    return o;
}

static void penalties_are_those_of_the_definition(void **state)
{
    static const struct {
        int last_n, allowed;
        float base, multiplier;
        uint32_t breakers;
    } cases[] = {
        { 64, 2, 1.75f, 0.8f, 0 },  { 64, 2, 1.75f, 0.8f, 6 },  { 12, 1, 1.2f, 1.0f, 12 },
        { 5, 2, 2.0f, 0.5f, 9 },    { 40, 0, 1.0f, 0.7f, 8 },   { 30, 4, 1.5f, 2.0f, 20 },
        { 1, 0, 2.0f, 1.0f, 0 },    { 2, 1, 2.0f, 1.0f, 7 },
    };
    bamba_tokenizer *t = draws_tokenizer(vocab);
    uint32_t r = 7;
    int n_penalties = 0;
    (void)state;

    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        bamba_sampler_options o = dry_options(t);
        int32_t text[200];
        o.dry_penalty_last_n = cases[c].last_n;
        o.dry_allowed_length = cases[c].allowed;
        o.dry_base = cases[c].base;
        o.dry_multiplier = cases[c].multiplier;
        bamba_sampler *s = draws_sampler(V, &o);
        for (int n = 0; n < 200; n++) {
            for (int32_t id = 0; id < REFERENCE; id++) {
                const double penalty = find_penalty(&o, text, n, id);
                check_penalty(s, id, penalty);
                n_penalties += penalty > 0.0;
            }
            r = r * 1664525u + 1013904223u;
            text[n] = (r >> 10) % 20 < cases[c].breakers / 4 ? 4 + (int32_t)((r >> 20) % 3)
                    : (r >> 16) % 8 < 3 && n >= 5 ? text[n - 5] : (int32_t)((r >> 24) % 3);
            bamba_sampler_accept(s, text[n]);
        }
        bamba_sampler_free(s);
    }
    assert_true(n_penalties > 500);
    bamba_tokenizer_free(t);
}

/* a b c a b: c would make a repeat of two into one of three. */
static void penalty_by_hand(void **state)
{
    static const int32_t text[] = { 0, 1, 2, 0, 1 };
    bamba_tokenizer *t = draws_tokenizer(vocab);
    bamba_sampler_options o = dry_options(t);
    bamba_sampler *s = draws_sampler(V, &o);
    (void)state;

    for (int i = 0; i < 5; i++) bamba_sampler_accept(s, text[i]);
    check_penalty(s, 2, 0.8);
    check_penalty(s, 0, 0.0);
    bamba_sampler_accept(s, 2);
    check_penalty(s, 0, 0.8 * 1.75);
    bamba_sampler_accept(s, 0);
    check_penalty(s, 1, 0.8 * 1.75 * 1.75);
    bamba_sampler_reset(s, 0);
    check_penalty(s, 1, 0.0);
    bamba_sampler_free(s);
    bamba_tokenizer_free(t);
}

/* All tokens the same: each place repeats what is before it, up to the whole window. */
static void one_token_over_and_over(void **state)
{
    bamba_tokenizer *t = draws_tokenizer(vocab);
    bamba_sampler_options o = dry_options(t);
    (void)state;

    o.dry_base = 1.01f;
    bamba_sampler *s = draws_sampler(V, &o);
    for (int i = 0; i < 100; i++) bamba_sampler_accept(s, 3);
    check_penalty(s, 3, (double)o.dry_multiplier * pow((double)o.dry_base, 63 - 2));
    bamba_sampler_free(s);
    o.dry_base = 1e30f;                   /* as large as a float, no more */
    s = draws_sampler(V, &o);
    for (int i = 0; i < 100; i++) bamba_sampler_accept(s, 3);
    assert_false(is_chosen(s, 3, 1e29));
    bamba_sampler_free(s);
    bamba_tokenizer_free(t);
}

/* "ab" begins at the end of the token "a" and goes on with "b"; "b" alone breaks nothing. */
static void breakers_of_several_tokens(void **state)
{
    static const char *const breakers[] = { "abd" };
    static const int32_t split[] = { 2, 3, 2, 0, 1, 3, 2, 3, 2 };     /* c d c|a b d|c d c */
    static const int32_t whole[] = { 2, 3, 2, 0, 1, 1, 2, 3, 2 };
    bamba_tokenizer *t = draws_tokenizer(vocab);
    bamba_sampler_options o = dry_options(t);
    (void)state;

    o.dry_breakers = breakers;
    o.n_dry_breakers = 1;
    o.dry_allowed_length = 1;
    for (int k = 0; k < 2; k++) {
        bamba_sampler *s = draws_sampler(V, &o);
        for (int i = 0; i < 9; i++) bamba_sampler_accept(s, (k ? whole : split)[i]);
        check_penalty(s, 0, 0.8 * 1.75 * 1.75);       /* c d c stands behind the breaker */
        bamba_sampler_accept(s, 0);
        bamba_sampler_accept(s, 1);
        check_penalty(s, k ? 1 : 3, 0.8 * pow(1.75, 4.0));    /* not yet a whole breaker */
        bamba_sampler_accept(s, k ? 1 : 3);
        check_penalty(s, 2, k ? 0.8 * pow(1.75, 5.0) : 0.0);
        bamba_sampler_free(s);
    }
    bamba_tokenizer_free(t);
}

/* The second half of a character is no text by itself, so no token's end begins it. */
static void breakers_beyond_ascii(void **state)
{
    static const char *const breakers[] = { "\xC3\xA9", "none of the tokens holds this" };
    bamba_tokenizer *t = draws_tokenizer("\"a\": 0, \"\xC3\xA9\": 1, \"x\xC3\xA9\": 2, \"b\": 3");
    bamba_sampler_options o = dry_options(t);
    static const int32_t text[] = { 0, 3, 0, 3 };
    (void)state;

    o.dry_breakers = breakers;
    o.n_dry_breakers = 2;
    o.dry_allowed_length = 1;
    bamba_sampler *s = draws_sampler(4, &o);
    const float logits[4] = { 0.5f, -1.0f, -1.0f, 0.0f };
    for (int i = 0; i < 4; i++) bamba_sampler_accept(s, text[i]);
    assert_int_equal(bamba_sample(s, logits), 3);
    bamba_sampler_accept(s, 2);
    assert_int_equal(bamba_sample(s, logits), 0);
    bamba_sampler_free(s);
    bamba_tokenizer_free(t);
}

static void no_breakers_need_no_tokenizer(void **state)
{
    static const char *const none[] = { "" };
    bamba_sampler_options o = dry_options(NULL);
    bamba_sampler *s;
    bamba_error err = { BAMBA_OK, "" };
    (void)state;

    assert_int_equal(bamba_sampler_create(&s, V, &o, &err), BAMBA_ERR_ARGUMENT);
    assert_non_null(strstr(err.message, "dry_breakers"));
    o.dry_breakers = none;
    s = draws_sampler(V, &o);
    for (int i = 0; i < 3; i++) {
        bamba_sampler_accept(s, 4);
        bamba_sampler_accept(s, 5);
    }
    bamba_sampler_accept(s, V + 100);     /* ids beyond the logits are text like others */
    bamba_sampler_accept(s, -1);
    for (int i = 0; i < 2; i++) bamba_sampler_accept(s, 4), bamba_sampler_accept(s, 5);
    check_penalty(s, 4, 0.8 * 1.75 * 1.75);
    bamba_sampler_free(s);
}

static void neutral_values_turn_it_off(void **state)
{
    bamba_tokenizer *t = draws_tokenizer(vocab);
    (void)state;

    for (int k = 0; k < 3; k++) {
        bamba_sampler_options o = dry_options(t);
        if (k == 0) o.dry_multiplier = 0.0f;
        if (k == 1) o.dry_base = 0.99f;
        if (k == 2) o.dry_penalty_last_n = 0;
        bamba_sampler *s = draws_sampler(V, &o);
        for (int i = 0; i < 30; i++) bamba_sampler_accept(s, 1);
        check_penalty(s, 1, 0.0);
        bamba_sampler_free(s);
    }
    bamba_tokenizer_free(t);
}

static void wrong_values_are_refused(void **state)
{
    static const char *const empty[] = { ":", "" };
    static const char *const null[] = { NULL };
    static const char *const forty_one[] = { "12345678901234567890123456789012345678901" };
    bamba_tokenizer *t = draws_tokenizer(vocab);
    (void)state;

    for (int k = 0; k < 8; k++) {
        bamba_sampler_options o = dry_options(t);
        bamba_sampler *s;
        bamba_error err = { BAMBA_OK, "" };
        if (k == 0) o.dry_multiplier = NAN;
        if (k == 1) o.dry_multiplier = -0.5f;
        if (k == 2) o.dry_base = INFINITY;
        if (k == 3) o.dry_allowed_length = -1;
        if (k == 4) o.dry_penalty_last_n = -1;
        if (k >= 5) o.dry_breakers = k == 5 ? empty : k == 6 ? null : forty_one;
        o.n_dry_breakers = k == 5 ? 2 : 1;
        assert_int_equal(bamba_sampler_create(&s, V, &o, &err), BAMBA_ERR_ARGUMENT);
        assert_null(s);
        if (!strstr(err.message, "dry_")) fail_msg("%s", err.message);
    }
    bamba_tokenizer_free(t);
}

static void memory_is_asked_for_at_creation_alone(void **state)
{
    bamba_tokenizer *t = draws_tokenizer(vocab);
    bamba_status status = BAMBA_ERR_MEMORY;
    const float logits[V] = { 1.0f, 2.0f, 0.5f, 1.5f, 0.1f, 0.2f, 0.3f, 0.4f };
    (void)state;

    for (long k = 1; status != BAMBA_OK; k++) {
        fault f = { .fail_at = (size_t)k };
        bamba_sampler_options o = dry_options(t);
        bamba_sampler *s = NULL;
        bamba_error err = { BAMBA_OK, "" };
        o.temperature = 1.0f;
        o.typical_p = 0.9f;
        o.xtc_probability = 0.5f;
        o.top_n_sigma = 2.0f;
        o.allocator = fault_allocator(&f);
        status = bamba_sampler_create(&s, V, &o, &err);
        if (status != BAMBA_OK) assert_int_equal(err.code, BAMBA_ERR_MEMORY);
        else assert_int_equal(k, 12);     /* object, 2 of logits, DRY: object, 4 arrays, breakers,
                                             tails, heads; and none failed */
        f.armed = true;
        for (int i = 0; s && i < 300; i++) bamba_sampler_accept(s, bamba_sample(s, logits));
        f.armed = false;
        bamba_sampler_free(s);
        assert_int_equal(f.n_live, 0);
    }
    bamba_tokenizer_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(penalties_are_those_of_the_definition),
        cmocka_unit_test(penalty_by_hand),
        cmocka_unit_test(one_token_over_and_over),
        cmocka_unit_test(breakers_of_several_tokens),
        cmocka_unit_test(breakers_beyond_ascii),
        cmocka_unit_test(no_breakers_need_no_tokenizer),
        cmocka_unit_test(neutral_values_turn_it_off),
        cmocka_unit_test(wrong_values_are_refused),
        cmocka_unit_test(memory_is_asked_for_at_creation_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
