/* score.c - how well logits predict a text, and how far they are from those of a base. */
#include "score.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const double score_fractions[SCORE_PERCENTILES] = { 0.5, 0.9, 0.95, 0.99, 0.999 };

bool score_create(score *s, size_t capacity, bool compares)
{
    const size_t n_columns = compares ? SCORE_COLUMNS : SCORE_NATS + 1;

    *s = (score){ .capacity = capacity, .compares = compares };
    for (size_t i = 0; i < n_columns; i++) {
        s->column[i] = calloc(capacity, sizeof(double));
        if (!s->column[i]) return false;
    }
    return true;
}

void score_free(score *s)
{
    for (size_t i = 0; i < SCORE_COLUMNS; i++) free(s->column[i]);
    *s = (score){ .n = 0 };
}

/* ---- a token ---- */

typedef struct distribution {
    const float *logits;                  /* [n]                                             */
    int          n, top;                  /* top: the likeliest token                        */
    double       largest, log_sum;        /* its logit; ln of the sum of e^(logit - largest) */
} distribution;

static distribution distribute(const float *logits, int n)
{
    distribution d = { .logits = logits, .n = n };
    double sum = 0.0;

    for (int i = 1; i < n; i++)
        if (logits[i] > logits[d.top]) d.top = i;
    d.largest = (double)logits[d.top];
    for (int i = 0; i < n; i++) sum += exp((double)logits[i] - d.largest);
    d.log_sum = log(sum);
    return d;
}

static double log_probability(const distribution *d, int id)
{
    return (double)d->logits[id] - d->largest - d->log_sum;
}

double score_log_probability(const float *logits, int n_vocab, int32_t id, int32_t *top)
{
    const distribution d = distribute(logits, n_vocab);

    *top = d.top;
    return log_probability(&d, id);
}

/* The Kullback-Leibler divergence. Rounding could make it negative, which no divergence is. */
static double diverge(const distribution *q, const distribution *base)
{
    double sum = 0.0;

    for (int i = 0; i < base->n; i++) {
        const double base_log = log_probability(base, i), p = exp(base_log);
        if (p != 0.0) sum += p * (base_log - log_probability(q, i));
    }
    return sum < 0.0 ? 0.0 : sum;
}

void score_add(score *s, const float *logits, const float *base, int n_vocab, int32_t id)
{
    const size_t at = s->n++;
    const distribution q = distribute(logits, n_vocab);
    const double nats = -log_probability(&q, id);

    s->column[SCORE_NATS][at] = nats;
    if (!s->compares) return;
    const distribution b = distribute(base, n_vocab);
    const double base_nats = -log_probability(&b, id);
    const double dp = exp(-nats) - exp(-base_nats);
    s->column[SCORE_BASE_NATS][at] = base_nats;
    s->column[SCORE_LN_RATIO][at] = nats - base_nats;
    s->column[SCORE_KLD][at] = diverge(&q, &b);
    s->column[SCORE_DP][at] = dp;
    s->column[SCORE_DP_SQUARED][at] = dp * dp;
    s->column[SCORE_SAME_TOP][at] = q.top == b.top ? 1.0 : 0.0;
}

/* ---- figures ---- */

static score_value average(const score *s, int column)
{
    const double *x = s->column[column], n = (double)s->n;
    double sum = 0.0, squares = 0.0;

    for (size_t i = 0; i < s->n; i++) sum += x[i];
    const double mean = sum / n;
    for (size_t i = 0; i < s->n; i++) squares += (x[i] - mean) * (x[i] - mean);
    return (score_value){ mean, s->n > 1 ? sqrt(squares / n / (n - 1.0)) : 0.0 };
}

/* e to the value, with the error that its slope makes of the value's error. */
static score_value raise(score_value v)
{
    return (score_value){ exp(v.mean), exp(v.mean) * v.error };
}

/* The root of a mean of squares. */
static score_value take_root(score_value v)
{
    const double root = sqrt(v.mean);
    return (score_value){ root, root > 0.0 ? 0.5 / root * v.error : 0.0 };
}

static int compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sorts the divergences. A percentile between two of them is interpolated. */
static void take_percentiles(const score *s, score_figures *f)
{
    double *x = s->column[SCORE_KLD];

    qsort(x, s->n, sizeof *x, compare_doubles);
    for (size_t i = 0; i < SCORE_PERCENTILES; i++) {
        const double place = score_fractions[i] * (double)(s->n - 1);
        const size_t below = (size_t)place;
        const size_t above = below + 1 < s->n ? below + 1 : below;
        f->percentile[i] = x[below] + (place - (double)below) * (x[above] - x[below]);
    }
    f->largest_kld = x[s->n - 1];
}

void score_figure(const score *s, score_figures *f)
{
    memset(f, 0, sizeof *f);
    f->nats = average(s, SCORE_NATS);
    f->ppl = raise(f->nats);
    if (!s->compares) return;

    const score_value base = average(s, SCORE_BASE_NATS);
    f->base_ppl = raise(base);
    f->ln_ratio = average(s, SCORE_LN_RATIO);
    f->ratio = raise(f->ln_ratio);
    /* Tokens that are hard for one are hard for the other: the covariance of the means follows from
       the error of their difference. */
    const double covariance = 0.5 * (f->nats.error * f->nats.error + base.error * base.error
                                     - f->ln_ratio.error * f->ln_ratio.error);
    const double errors = f->nats.error * base.error;
    f->correlation = errors > 0.0 ? covariance / errors : 1.0;
    const double variance = f->ppl.error * f->ppl.error + f->base_ppl.error * f->base_ppl.error
                            - 2.0 * f->ppl.mean * f->base_ppl.mean * covariance;
    f->difference.mean = f->ppl.mean - f->base_ppl.mean;
    f->difference.error = variance > 0.0 ? sqrt(variance) : 0.0;
    f->dp = average(s, SCORE_DP);
    f->rms_dp = take_root(average(s, SCORE_DP_SQUARED));
    f->same_top = average(s, SCORE_SAME_TOP);
    f->kld = average(s, SCORE_KLD);
    take_percentiles(s, f);
}
