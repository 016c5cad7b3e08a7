/* pace.c - how many tokens to guess a pass. */
#include "pace.h"

#include <math.h>
#include <stdbool.h>

/* Shares are averages over about so many guesses, costs over so many passes; the most that a source
   may lose of what it has saved, in passes; passes for which a cost is believed, measured once or
   more often; measurements after which a cost is certain; the longest wait. */
enum { MEMORY_GUESSES = 64, MEMORY_PASSES = 8, MOST_BALANCE = 16, DOUBTFUL_PASSES = 8,
       BELIEVED_PASSES = 256, CERTAIN = 3, LONGEST_PAUSE = 1024 };

static const double earned = 0.01;        /* by each pass, of itself */
static const double first_weight = 4.0;
static const double row_cost = 0.05;      /* of each row after the first, until it is measured */
static const double nearly = 0.96;        /* of the best speed: worth measuring */
static const double close_call = 1.3;     /* times the speed of one row: it must be known well */

/* What a pass of so many rows is taken to cost until it is measured; that of one row costs 1. */
static double guess_cost(int rows) { return 1.0 + row_cost * (rows - 1); }

/* Costs are believed for a while: the machine changes, and one measured once may be wrong. */
static bool is_known(const pace *p, int rows)
{
    const size_t n = p->n_measured[rows];

    return n > 0
        && p->n_passes - p->measured_at[rows] < (n == 1 ? DOUBTFUL_PASSES : BELIEVED_PASSES);
}

/* Of each row more than `top`, the most that are known: from the fewest rows after the first on, as
   a second row may cost much and those after it little. The guess counts like one row. */
static double slope_at(const pace *p, int top)
{
    int low = 2;

    while (low < top && !is_known(p, low)) low++;
    const double rise = low < top ? p->cost[top] - p->cost[low] : 0.0;
    const double guess = row_cost * p->cost[top] / guess_cost(top);
    return fmax(0.0, (rise + guess) / (low < top ? top - low + 1 : 1));
}

/* Of a pass of so many rows: measured, on the line through the measured ones around it, or beyond
   them. No more than any pass of more rows: what disturbed a measurement does not last. */
static double cost_of(const pace *p, int rows)
{
    int below = rows, above = rows;

    while (below > 1 && !is_known(p, below)) below--;
    while (above <= PACE_MOST + 1 && !is_known(p, above)) above++;
    double cost = p->cost[below];
    if (cost == 0.0 && above <= PACE_MOST + 1)
        return p->cost[above] * guess_cost(rows) / guess_cost(above);
    if (cost == 0.0) return guess_cost(rows);
    if (above > PACE_MOST + 1) cost += slope_at(p, below) * (rows - below);
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

/* Of a pass with k guesses. */
static double time_of(const pace *p, const pace_source *s, int k, double first_ms)
{
    return cost_of(p, k + 1) + (k > 0 ? first_ms + k * s->step_ms : 0.0);
}

static double speed_of(const pace *p, const pace_source *s, int k, double first_ms)
{
    return expect_tokens(s->right, k) / time_of(p, s, k, first_ms);
}

static int best_number(const pace *p, const pace_source *s, int least, int most, double first_ms)
{
    int best = least;

    for (int k = least + 1; k <= most; k++)
        if (speed_of(p, s, k, first_ms) > speed_of(p, s, best, first_ms)) best = k;
    return best;
}

/* Of the numbers whose speed is nearly the best, one whose cost is not certain: to measure it costs
   next to nothing, and only so is it found that more rows cost less than was guessed. */
static int number_to_measure(const pace *p, const pace_source *s, int best, int most,
                             double first_ms)
{
    const double enough = nearly * speed_of(p, s, best, first_ms);
    int    found = best;
    size_t fewest = CERTAIN;

    for (int k = best; k <= most; k++) {
        const size_t n = is_known(p, k + 1) ? p->n_measured[k + 1] : 0;
        if (n < fewest && speed_of(p, s, k, first_ms) >= enough) fewest = n, found = k;
    }
    return found;
}

/* One row is measured in the second pass, as the first of all is slow, and again where it decides
   whether guesses pay. */
static bool is_first_row_due(const pace *p, const pace_source *s, int best, double first_ms)
{
    if (p->n_measured[1] == 0) return p->n_passes > 0;
    return p->n_measured[1] < CERTAIN
        && speed_of(p, s, best, first_ms) < close_call * speed_of(p, s, 0, 0.0);
}

static int number_that_pays(const pace *p, pace_source *s, int most, double first_ms)
{
    const double one = cost_of(p, 1), credit = s->balance + earned * (double)p->n_passes;

    if (most <= 0) return 0;
    if (s->wait > 0 && s->wait-- > 1) return 0;
    int k = best_number(p, s, 0, most, first_ms);
    if (is_first_row_due(p, s, k, first_ms)) return 0;
    if (k == 0) {                         /* a trial, and it counts for much */
        k = best_number(p, s, 1, most, first_ms);
        s->wait = s->pause;
        s->pause = s->pause < LONGEST_PAUSE / 2 ? 2 * s->pause : LONGEST_PAUSE;
        s->weight = first_weight;
    } else {
        k = number_to_measure(p, s, k, most, first_ms);
        s->pause = 32;
    }
    while (k > 0 && time_of(p, s, k, first_ms) / one - 1.0 > credit) k--;
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
    else *cost += (fmin(pass_ms, 1.25 * *cost) - *cost) / MEMORY_PASSES;
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
    if (n_right > 0) s->wait = 0;         /* a trial that succeeds is followed by another */
    s->n_passes++;
    s->n_guessed += (size_t)n;
    s->n_right += (size_t)n_right;
}
