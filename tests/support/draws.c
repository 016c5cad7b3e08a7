/* draws.c - samplers whose draws are counted and compared with probabilities. */
#include "draws.h"

#include "tempdir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

bamba_sampler_options draws_plain(void)
{
    bamba_sampler_options o = BAMBA_SAMPLER_OPTIONS;
    o.temperature = 1.0f;
    o.top_k = 0;
    o.top_p = 1.0f;
    o.min_p = 0.0f;
    return o;
}

bamba_sampler *draws_sampler(int n_vocab, const bamba_sampler_options *o)
{
    bamba_sampler *s = NULL;
    bamba_error err = { BAMBA_OK, "" };
    if (bamba_sampler_create(&s, n_vocab, o, &err) != BAMBA_OK) fail_msg("%s", err.message);
    assert_non_null(s);
    return s;
}

void draws_count(bamba_sampler *s, const float *logits, int n, int *counts)
{
    memset(counts, 0, (size_t)n * sizeof *counts);
    for (int i = 0; i < N_DRAWS; i++) {
        const int32_t id = bamba_sample(s, logits);
        assert_in_range(id, 0, n - 1);
        counts[id]++;
    }
}

/* Chi-square of counts against probabilities; a token of probability 0 must never come. The
   bound is about the 1 - 1e-6 quantile for up to 15 degrees of freedom. */
void draws_compare(const int *counts, const double *p, int n)
{
    double chi = 0.0;
    for (int i = 0; i < n; i++) {
        const double expected = p[i] * N_DRAWS;
        if (p[i] == 0.0) assert_int_equal(counts[i], 0);
        else chi += (counts[i] - expected) * (counts[i] - expected) / expected;
    }
    if (chi > 56.5) fail_msg("chi-square %g", chi);
}

void draws_check(const bamba_sampler_options *o, const float *logits, const double *p, int n)
{
    int counts[64];
    bamba_sampler *s = draws_sampler(n, o);
    draws_count(s, logits, n, counts);
    draws_compare(counts, p, n);
    bamba_sampler_free(s);
}

void draws_check_set(const bamba_sampler_options *options, const float *logits, const char *kept,
                     int n)
{
    bamba_sampler_options o = *options;
    char *seen = calloc((size_t)n, 1);
    int n_kept = 0, n_seen = 0;

    o.temperature = 1e30f;                /* uniform over what is left: each shows up */
    bamba_sampler *s = draws_sampler(n, &o);
    assert_non_null(seen);
    for (int i = 0; i < n; i++) n_kept += kept[i];
    for (int i = 0; i < 20 * n_kept; i++) {
        const int32_t id = bamba_sample(s, logits);
        if (!kept[id]) fail_msg("%d was drawn", (int)id);
        n_seen += !seen[id];
        seen[id] = 1;
    }
    assert_int_equal(n_seen, n_kept);
    bamba_sampler_free(s);
    free(seen);
}

bamba_tokenizer *draws_tokenizer(const char *vocab)
{
    char            *dir = tempdir_make();
    char             text[200];
    bamba_tokenizer *t = NULL;
    bamba_error      err = { BAMBA_OK, "" };

    snprintf(text, sizeof text, "{\"model\": {\"type\": \"BPE\", \"vocab\": {%s},"
             " \"merges\": []}}", vocab);
    tempdir_write_text(dir, "tokenizer.json", text);
    if (bamba_tokenizer_open(&t, dir, NULL, &err) != BAMBA_OK) fail_msg("%s", err.message);
    tempdir_remove(dir);
    return t;
}
