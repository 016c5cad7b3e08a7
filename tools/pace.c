/* pace.c - how many tokens to guess a pass. */
#include "pace.h"

#include <math.h>
#include <stdbool.h>

/* Shares are averages over about so many guesses, costs over so many passes; passes without guesses
   come first; the most that a source may lose of what it has saved, in passes; passes for which a
   cost is believed, measured once or more often; the longest wait. */
enum { MEMORY_GUESSES = 32, MEMORY_PASSES = 8, FIRST_PASSES = 2, MOST_BALANCE = 16,
       DOUBTFUL_PASSES = 32, BELIEVED_PASSES = 256, LONGEST_PAUSE = 1024 };

static const double earned = 0.01;        /* by each pass, of itself */
static const double first_weight = 4.0;

/* What a pass of so many rows is taken to cost until it is measured; that of one row costs 1. */
static double guess_cost(int rows) { return 1.0 + 0.1 * (rows - 1); }

/* Costs are believed for a while: the machine changes, and one measured once may be wrong. */
static bool is_known(const pace *p, int rows)
{
    const size_t n = p->n_measured[rows];

    return n > 0
        && p->n_passes - p->measured_at[rows] < (n == 1 ? DOUBTFUL_PASSES : BELIEVED_PASSES);
}

/* Of a pass of so many rows: measured, or on the line through the measured ones around it. No more
   than any pass of more rows: what disturbed a measurement does not last. */
static double cost_of(const pace *p, int rows)
{
    int below = rows, above = rows;

    while (below > 1 && !is_known(p, below)) below--;
    while (above <= PACE_MOST + 1 && !is_known(p, above)) above++;
    double cost = p->cost[below];
    if (cost == 0.0 && above <= PACE_MOST + 1) return p->cost[above] / guess_cost(above - rows + 1);
    if (above > PACE_MOST + 1) cost *= guess_cost(rows - below + 1);
    else if (above > below)
        cost += (p->cost[above] - cost) * (rows - below) / (double)(above - below);
    for (int i = above; i <= PACE_MOST + 1; i++)
        if (is_known(p, i)) cost = fmin(cost, p->cost[i]);
    return cost;
}

/* Tokens that a pass with k guesses is expected to give: 1 + r + r² + … + r^k. */
static double expect_tokens(double right, int k)
{
    double sum = 1.0, power = 1.0;

    for (int i = 0; i < k; i++) sum += power *= right;
    return sum;
}

static int best_number(const pace *p, const pace_source *s, int most, double first_ms)
{
    int    best = 0;
    double speed = 1.0 / cost_of(p, 1);

    for (int k = 1; k <= most; k++) {
        const double ms = cost_of(p, k + 1) + first_ms + k * s->step_ms;
        const double other = expect_tokens(s->right, k) / ms;
        if (other > speed) speed = other, best = k;
    }
    return best;
}

static int number_that_pays(const pace *p, pace_source *s, int most, double first_ms)
{
    const double one = cost_of(p, 1), credit = s->balance + earned * (double)p->n_passes;

    if (p->n_passes < FIRST_PASSES || most <= 0) return 0;
    if (s->wait > 0 && s->wait-- > 1) return 0;
    int k = best_number(p, s, most, first_ms);
    if (k == 0) {                         /* a trial, and it counts for much */
        k = 1;
        s->wait = s->pause;
        s->pause = s->pause < LONGEST_PAUSE / 2 ? 2 * s->pause : LONGEST_PAUSE;
        s->weight = first_weight;
    } else {
        s->pause = 32;
    }
    while (k > 0 && (cost_of(p, k + 1) + first_ms + k * s->step_ms) / one - 1.0 > credit) k--;
    return k;
}

int pace_number(const pace *p, pace_source *s, int most, double first_ms)
{
    if (most > PACE_MOST) most = PACE_MOST;
    if (most <= s->least) return most;
    const int k = number_that_pays(p, s, most, first_ms);
    return k > s->least ? k : s->least;
}

void pace_learn(pace *p, pace_source *s, int n, int n_right, double pass_ms, double guess_ms)
{
    const int rows = n + 1;
    double   *cost = &p->cost[rows];

    /* The first pass of its kind is often slower than the others. */
    if (p->n_measured[rows] == 0 || (p->n_measured[rows] == 1 && pass_ms < *cost)) *cost = pass_ms;
    else *cost += (fmin(pass_ms, 1.5 * *cost) - *cost) / MEMORY_PASSES;
    p->n_measured[rows]++;
    p->measured_at[rows] = p->n_passes;
    p->n_passes++;
    if (!s) return;

    /* By what such passes cost on average: one that was held up does not count for all. */
    const double spent = (cost_of(p, rows) + guess_ms) / cost_of(p, 1);
    s->balance = fmin(s->balance + 1.0 + n_right - spent, MOST_BALANCE);
    for (int i = 0; i < n && i <= n_right; i++) {
        s->weight = fmin(s->weight + 1.0, MEMORY_GUESSES);
        s->right += ((i < n_right ? 1.0 : 0.0) - s->right) / s->weight;
    }
    s->n_passes++;
    s->n_guessed += (size_t)n;
    s->n_right += (size_t)n_right;
}
