/* rope.c - rotary positions: the angle by which each pair of columns turns at a position.
 *
 * All in double: positions reach 10^6, where a float32 angle has hardly a fraction left. */
#include "mixer/rope.h"

#include <math.h>

static const double TWO_PI = 6.283185307179586476925;

/* -------------------------------------------------------------- inverse frequencies ------ */

/* Pairs that turn more than `high` times within the context stay, those that turn less than
   `low` times are slowed down by factor; in between the share of w that stays grows evenly. */
static double blend_llama3(const bb_rope_dims *d, double w)
{
    const double turns = d->context * w / TWO_PI;

    if (turns < d->low) return w / d->factor;
    if (turns > d->high) return w;
    const double share = (turns - d->low) / (d->high - d->low);
    return (1.0 - share) * w / d->factor + share * w;
}

/* The pair, as a fraction, that turns `turns` times within the context. */
static double pair_of_turns(const bb_rope_dims *d, double turns)
{
    return d->d * log(d->context / (turns * TWO_PI)) / (2.0 * log(d->theta));
}

/* Between the pairs that turn `high` and `low` times within the context, the share of w that stays
   falls evenly with the pair's number; earlier pairs stay, later ones are slowed down by factor. */
static double blend_yarn(const bb_rope_dims *d, double w, int i)
{
    double first = pair_of_turns(d, d->high);
    double last = pair_of_turns(d, d->low);

    if (d->truncate) {
        first = floor(first);
        last = ceil(last);
    }
    first = fmax(first, 0.0);
    last = fmin(last, d->d - 1.0);
    if (first == last) last += 0.001;
    const double ramp = fmin(fmax((i - first) / (last - first), 0.0), 1.0);
    return w * (1.0 - ramp) + w / d->factor * ramp;
}

static double scaled(const bb_rope_dims *d, double w, int i)
{
    switch (d->kind) {
    case BB_ROPE_LINEAR: return w / d->factor;
    case BB_ROPE_LLAMA3: return blend_llama3(d, w);
    case BB_ROPE_YARN:   return blend_yarn(d, w, i);
    case BB_ROPE_LONG:   return w / d->shorter[i];
    case BB_ROPE_DYNAMIC:
    case BB_ROPE_DEFAULT: break;
    }
    return w;
}

/* -------------------------------------------------------------- magnitude ---------------- */

static double yarn_magnitude(double factor, double mscale)
{
    return factor <= 1.0 ? 1.0 : 0.1 * mscale * log(factor) + 1.0;
}

static double magnitude(const bb_rope_dims *d)
{
    if (d->attention != 0.0) return d->attention;
    if (d->kind == BB_ROPE_YARN && d->mscale != 0.0 && d->mscale_all != 0.0)
        return yarn_magnitude(d->factor, d->mscale) / yarn_magnitude(d->factor, d->mscale_all);
    if (d->kind == BB_ROPE_YARN) return yarn_magnitude(d->factor, 1.0);
    if (d->kind == BB_ROPE_LONG && d->factor > 1.0)
        return sqrt(1.0 + log(d->factor) / log(d->context));
    return 1.0;
}

/* -------------------------------------------------------------- the table ---------------- */

size_t bb_rope_table_size(const bb_rope_dims *dims)
{
    return (size_t)dims->d / 2 * (dims->kind == BB_ROPE_LONG ? 2 : 1);
}

void bb_rope_init(bb_rope *r, const bb_rope_dims *dims, double *table)
{
    const int half = dims->d / 2;

    *r = (bb_rope){ .kind = dims->kind, .d = dims->d, .factor = dims->factor,
                    .context = dims->context, .scale = magnitude(dims), .inverse = table };
    for (int i = 0; i < half; i++) {
        const double w = pow(dims->theta, -2.0 * i / dims->d);
        table[i] = scaled(dims, w, i);
        if (dims->kind == BB_ROPE_LONG) table[half + i] = w / dims->longer[i];
    }
}

void bb_rope_angles(const bb_rope *r, int pos, int length, float *cosine, float *sine)
{
    const int     half = r->d / 2;
    const bool    is_long = length > r->context;
    const double *inverse = r->inverse + (r->kind == BB_ROPE_LONG && is_long ? half : 0);
    double        step = 1.0;             /* dynamic: pair i turns slower by step^i */
    double        slower = 1.0;

    /* theta' = theta · s^(d/(d-2)), so theta'^(-2i/d) = theta^(-2i/d) · (s^(-2/(d-2)))^i */
    if (r->kind == BB_ROPE_DYNAMIC && is_long)
        step = pow(r->factor * length / r->context - (r->factor - 1.0), -2.0 / (r->d - 2));
    for (int i = 0; i < half; i++) {
        const double angle = pos * (inverse[i] * slower);
        cosine[i] = (float)(cos(angle) * r->scale);
        sine[i] = (float)(sin(angle) * r->scale);
        slower *= step;
    }
}

/* -------------------------------------------------------------- print -------------------- */

void bb_rope_print(const bb_rope_dims *dims, int d_head, bb_printer *p)
{
    static const char *const name[] = { "", "linear", "dynamic", "llama3", "yarn", "longrope" };

    if (dims->d == 0) return;
    bb_print(p, ", rope %d of %d, theta %g", dims->d, d_head, dims->theta);
    if (dims->kind == BB_ROPE_DEFAULT) return;
    bb_print(p, ", %s x %g", name[dims->kind], dims->factor);
    if (dims->kind != BB_ROPE_LINEAR) bb_print(p, " from %g", dims->context);
}
