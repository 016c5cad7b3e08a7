/* speculation.c - how many tokens to guess, and what came of it. */
#include "speculation.h"

#include <string.h>

/* Shares are averages over about so many guesses, costs over so many passes; guessing that does not
   pay is tried again after so many passes. */
enum { MEMORY_GUESSES = 32, MEMORY_PASSES = 8, WAIT = 96 };

bamba_status speculation_open(speculation *s, int most, bamba_error *err)
{
    memset(s, 0, sizeof *s);
    s->most = most < SPECULATION_MOST ? most : SPECULATION_MOST;
    s->right = 0.6;                       /* until something is known */
    return most > 0 ? bamba_speculator_create(&s->lookup, err) : BAMBA_OK;
}

void speculation_close(speculation *s) { bamba_speculator_free(s->lookup); }

bamba_status speculation_forget(speculation *s, bamba_error *err)
{
    if (!s->lookup) return BAMBA_OK;
    bamba_speculator_free(s->lookup);
    s->lookup = NULL;
    return bamba_speculator_create(&s->lookup, err);
}

bamba_status speculation_accept(speculation *s, const int32_t *ids, size_t n, bamba_error *err)
{
    return s->lookup ? bamba_speculator_accept(s->lookup, ids, n, err) : BAMBA_OK;
}

/* Milliseconds of a pass of so many rows: measured, or on the line through the measured ones around it.
   Without a measurement of several rows a row more is taken to cost a tenth of a pass. */
static double cost_of(const speculation *s, int rows)
{
    int below = rows, above = rows;

    while (below > 1 && s->cost[below] == 0.0) below--;
    while (above <= s->most + 1 && s->cost[above] == 0.0) above++;
    const double one = s->cost[1] > 0.0 ? s->cost[1] : 1.0, low = below > 1 ? s->cost[below] : one;
    if (above > s->most + 1) return low * (1.0 + 0.1 * (rows - below));
    return below == above ? low
         : low + (s->cost[above] - low) * (rows - below) / (double)(above - below);
}

/* Tokens that a pass with k guesses is expected to give: 1 + r + r² + … + r^k. */
static double expected_tokens(double right, int k)
{
    double sum = 1.0, power = 1.0;

    for (int i = 0; i < k; i++) sum += power *= right;
    return sum;
}

static int best_number(const speculation *s, int most)
{
    int    best = 0;
    double speed = 1.0 / cost_of(s, 1);

    for (int k = 1; k <= most; k++) {
        const double other = expected_tokens(s->right, k) / cost_of(s, k + 1);
        if (other > speed) speed = other, best = k;
    }
    return best;
}

bamba_status speculation_guess(speculation *s, int32_t id, size_t room, bamba_error *err)
{
    const int most = room < (size_t)s->most ? (int)room : s->most;

    s->n = 0;
    if (!s->lookup) return BAMBA_OK;
    const bamba_status status = bamba_speculator_accept(s->lookup, &id, 1, err);
    if (status != BAMBA_OK || most == 0 || (s->wait > 0 && s->wait-- > 1)) return status;
    int k = best_number(s, most);
    if (k == 0 && s->wait == 0) s->wait = WAIT;       /* a single guess now and then */
    else if (k == 0) k = 1, s->wait = WAIT;
    if (k > 0) s->n = (int)bamba_speculator_propose(s->lookup, s->guess, (size_t)k);
    return BAMBA_OK;
}

static void average(double *mean, double value, double share)
{
    *mean = *mean == 0.0 ? value : *mean + share * (value - *mean);
}

void speculation_learn(speculation *s, int n_right, double ms)
{
    average(&s->cost[s->n + 1], ms, 1.0 / MEMORY_PASSES);
    for (int i = 0; i < s->n && i <= n_right; i++)
        s->right += ((i < n_right ? 1.0 : 0.0) - s->right) / MEMORY_GUESSES;
    s->n_passes++;
    s->n_guessed += (size_t)s->n;
    s->n_right += (size_t)n_right;
}
