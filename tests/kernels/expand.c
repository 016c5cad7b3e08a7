/* expand.c - checks of what low-rank terms add: any first row, rows that share a call. */
#include "check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TILE = BB_EXPAND_ROWS, PAD = 3 };

/* An adapter's second factor of `all` rows, and rows of u. */
typedef struct expansion {
    int      type, n;
    typed    B;                           /* [tiles of all][n][TILE] */
    float   *u;                           /* [T, n] row stride n + PAD */
} expansion;

static expansion make_expansion(check *c, int type, int T, int all, int n, int fill)
{
    const size_t tiles = (size_t)((all + TILE - 1) / TILE);

    return (expansion){ type, n, check_typed(c, type, fill, tiles * TILE * (size_t)n),
                        check_input(c, fill, (size_t)T * (size_t)(n + PAD)) };
}

static void run(const check *c, const expansion *x, int t, int T, int first, int rows, float *y,
                size_t ldy)
{
    c->k->expand[x->type](T, rows, x->n, x->B.data, first, x->u + t * (x->n + PAD),
                          (size_t)(x->n + PAD), y, ldy);
}

static void compare(check *c, const expansion *x, int T, int first, int rows, const float *old,
                    const float *y)
{
    const double eps = (double)FLT_EPSILON;

    for (int t = 0; t < T; t++)
        for (int r = 0; r < rows; r++) {
            const size_t  at = (size_t)t * (size_t)(rows + PAD) + (size_t)r;
            const double *B = x->B.value + (first + r) / TILE * x->n * TILE + (first + r) % TILE;
            double        want = (double)old[at], size = fabs(want);
            for (int i = 0; i < x->n; i++) {
                const double p = B[i * TILE] * (double)x->u[t * (x->n + PAD) + i];
                want += p;
                size += fabs(p);
            }
            check_near(c, at, y[at], want, (x->n + 2) * eps * size);
        }
}

/* Rows and columns one by one have the bits that they have together. */
static void check_cut(check *c, int type, int T, int first, int rows, int n, int fill)
{
    check_case(c, "T %d first %d rows %d n %d fill %d", T, first, rows, n, fill);
    const size_t    ldy = (size_t)(rows + PAD), size = (size_t)T * ldy;
    const expansion x = make_expansion(c, type, T, first + rows, n, fill);
    const float    *old = check_input(c, FILL_RANDOM, size);
    float          *y = check_floats(c, size), *single = check_floats(c, size);

    if (size > 0) memcpy(y, old, size * sizeof *y);
    if (size > 0) memcpy(single, old, size * sizeof *y);
    run(c, &x, 0, T, first, rows, y, ldy);
    compare(c, &x, T, first, rows, old, y);
    for (int t = 0; t < T; t++)
        for (int r = 0; r < rows; r++)
            run(c, &x, t, 1, first + r, 1, single + (size_t)t * ldy + (size_t)r, ldy);
    check_bits(c, size, y, single);
    free(x.B.value);
    check_done(c);
}

static void check_type(check *c, int type)
{
    static const int T[] = { 0, 1, 3, 4, 7, 32 }, rows[] = { 0, 1, 15, 16, 17, 48, 100 };
    static const int first[] = { 0, 5, 16, 31 }, n[] = { 0, 1, 16, 33 };

    for (int i = 0; i < 6; i++)
        for (int j = 0; j < 7; j++)
            for (int k = 0; k < 4; k++)
                check_cut(c, type, T[i], first[k], rows[j], n[(i + j + k) % 4], FILL_RANDOM);
    for (int fill = 0; fill < N_FILLS; fill++) check_cut(c, type, 5, 7, 37, 16, fill);
}

void check_expand(check *c)
{
    if (CHECK_BEGIN(c, "expand f32", expand[BB_TYPE_F32])) {
        check_type(c, BB_TYPE_F32);
        check_end(c);
    }
    if (CHECK_BEGIN(c, "expand f16", expand[BB_TYPE_F16])) {
        check_type(c, BB_TYPE_F16);
        check_end(c);
    }
}
