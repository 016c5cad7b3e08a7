/* encode.c - checks of what formats with scales choose: the weighted error against a search over
   many more scales, codes nearest to the weights, the same bytes at every level, blocks that have
   no good scale. */
#include "check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* -------------------------------------------------------------- the format, once more ---- */

typedef struct blocks {
    const bb_format *f;
    double           value[256];          /* what codes mean before the scale */
    int              n;
    double           most;                /* of them */
} blocks;

static blocks describe(const bb_format *f)
{
    blocks b = { .f = f, .most = 127.0 };

    if (f->type == BB_TYPE_Q4)
        for (; b.n < 16; b.n++) b.value[b.n] = bb_q4_values[b.n];
    else
        for (; b.n < 255; b.n++) b.value[b.n] = b.n - 127;
    return b;
}

static double distance(const blocks *b, double w, double scale)
{
    double least = HUGE_VAL;

    for (int i = 0; i < b->n; i++) least = fmin(least, fabs(w - scale * b->value[i]));
    return least;
}

/* The weighted error of n weights with that scale and the nearest codes. */
static double error_of(const blocks *b, int n, const float *w, const float *h, double scale)
{
    double sum = 0.0;

    for (int i = 0; i < n; i++) {
        const double d = distance(b, w[i], scale);
        sum += (h ? (double)h[i] : 1.0) * d * d;
    }
    return sum;
}

/* The least error of many scales: the largest weight lies at each of 400 places, on either side. */
static double search(const blocks *b, int n, const float *w, const float *h)
{
    double most = 0.0, least;

    for (int i = 0; i < n; i++) most = fmax(most, fabs((double)w[i]));
    least = error_of(b, n, w, h, 0.0);
    for (int i = 0; i < 400; i++) {
        const double scale = most / (b->most * (0.4 + 0.65 * i / 400.0));
        least = fmin(least, error_of(b, n, w, h, scale));
        if (b->n == 16) least = fmin(least, error_of(b, n, w, h, -scale));
    }
    return least;
}

/* -------------------------------------------------------------- checks ------------------- */

/* w [rows, cols] encoded and decoded. */
static float *there_and_back(check *c, const bb_format *f, int rows, int cols, const float *w,
                             const float *importance)
{
    uint16_t *W = check_halves(c, f->bytes(rows, cols) / 2);
    float    *back = check_floats(c, (size_t)rows * (size_t)cols);

    f->encode(rows, cols, w, (size_t)cols, importance, W, 0);
    f->decode(rows, cols, W, 0, back, (size_t)cols);
    return back;
}

static double normal(check *c)
{
    double sum = 0.0;

    for (int i = 0; i < 12; i++) sum += check_uniform(c) / 2;
    return sum;
}

static double weighted(int n, const float *w, const float *back, const float *h)
{
    double sum = 0.0;

    for (int i = 0; i < n; i++) {
        const double d = (double)w[i] - (double)back[i];
        sum += (h ? (double)h[i] : 1.0) * d * d;
    }
    return sum;
}

/* Importance that differs as it does in models: by powers of ten. */
static float *make_importance(check *c, int cols)
{
    float *h = check_floats(c, (size_t)cols);

    for (int i = 0; i < cols; i++) h[i] = (float)pow(10.0, 2.0 * check_uniform(c));
    return h;
}

/* Normal weights: in the mean within a few percent of the search, and nowhere far from it. */
static void check_error(check *c, const blocks *b, bool with_importance)
{
    enum { ROWS = 20, COLS = 96 };
    double ours = 0.0, theirs = 0.0, unweighted = 0.0;

    check_case(c, "error%s", with_importance ? ", importance" : "");
    float *w = check_floats(c, ROWS * COLS), *h = with_importance ? make_importance(c, COLS) : NULL;
    for (int i = 0; i < ROWS * COLS; i++) w[i] = (float)(0.02 * normal(c));
    const float *back = there_and_back(c, b->f, ROWS, COLS, w, h);
    const float *plain = there_and_back(c, b->f, ROWS, COLS, w, NULL);
    for (int at = 0; at < ROWS * COLS; at += BB_BLOCK) {
        const float *hb = h ? h + at % COLS : NULL;
        const double e = weighted(BB_BLOCK, w + at, back + at, hb);
        const double s = search(b, BB_BLOCK, w + at, hb);
        ours += e;
        theirs += s;
        unweighted += weighted(BB_BLOCK, w + at, plain + at, hb);
        check_true(c, e <= (b->n == 16 ? 1.6 : 4.0) * s, "a block is far from the best scale");
    }
    check_true(c, ours <= (b->n == 16 ? 1.05 : 1.2) * theirs, "scales are worse than those of "
               "a search");
    check_true(c, !h || ours < 0.95 * unweighted, "importance makes no difference");
    check_done(c);
}

/* Whatever the scale is: each code is the nearest. The scale is that of the block's largest
   value. */
static void check_nearest(check *c, const blocks *b, int fill, int rows, int cols)
{
    check_case(c, "nearest, fill %d, %d x %d", fill, rows, cols);
    const float *w = check_input(c, fill, (size_t)rows * (size_t)cols);
    const float *back = there_and_back(c, b->f, rows, cols, w, NULL);
    for (int r = 0; r < rows; r++)
        for (int i = 0; i < cols; i += BB_BLOCK) {
            const int    n = cols - i < BB_BLOCK ? cols - i : BB_BLOCK, at = r * cols + i;
            const double e = weighted(n, w + at, back + at, NULL);
            double       most = 0.0, zero = 0.0;
            for (int j = 0; j < n; j++) {
                most = fmax(most, fabs((double)w[at + j]));
                zero += (double)w[at + j] * (double)w[at + j];
            }
            /* Below 2^-14 a float16 scale has fewer places: the error is one of the scale too. */
            const double last = 0x1p-25 * b->most;
            check_true(c, most > 60000.0 * b->most || e <= 0.02 * zero + n * last * last,
                       "error is too large");
        }
    check_done(c);
}

/* Parts of matrices have the bytes of the whole one, at this level and without any vectors. */
static void check_same_bytes(check *c, const bb_format *f, int format, int rows, int cols, int fill,
                             bool with_importance)
{
    const size_t bytes = f->bytes(rows, cols), ldw = (size_t)cols + 3;
    bb_kernels   plain;

    check_case(c, "same bytes, fill %d, %d x %d", fill, rows, cols);
    bb_kernels_init(&plain, 0);
    const float *w = check_input(c, fill, (size_t)rows * ldw);
    const float *h = with_importance ? make_importance(c, cols) : NULL;
    uint16_t    *one = check_halves(c, bytes / 2), *other = check_halves(c, bytes / 2);
    f->encode(rows, cols, w, ldw, h, one, 0);
    plain.format[format].encode(rows, cols, w, ldw, h, other, 0);
    check_true(c, memcmp(one, other, bytes) == 0, "other bytes than without vectors");
    for (int r = 0; r < rows; r += f->rows_together)
        f->encode(rows - r < f->rows_together ? rows - r : f->rows_together, cols,
                  w + (size_t)r * ldw, ldw, h, other, r);
    check_true(c, memcmp(one, other, bytes) == 0, "a part has other bytes");
    check_done(c);
}

/* Blocks with something in them that no scale fits, between blocks that are as ever. */
static void check_odd(check *c, const blocks *b)
{
    enum { ROWS = 17, COLS = 96 };
    static const float odd[] = { INFINITY, -INFINITY, NAN, 3e38f, -3e38f, 1e-40f, 0.0f };

    for (size_t k = 0; k < sizeof odd / sizeof *odd; k++) {
        check_case(c, "odd %g", (double)odd[k]);
        float       *w = check_floats(c, ROWS * COLS);
        for (int i = 0; i < ROWS * COLS; i++) w[i] = (float)normal(c);
        const float *before = there_and_back(c, b->f, ROWS, COLS, w, NULL);
        for (int i = 0; i < BB_BLOCK; i++)
            if (i == 5 || isfinite(odd[k])) w[16 * COLS + 32 + i] = odd[k];
        const float *back = there_and_back(c, b->f, ROWS, COLS, w, NULL);
        for (int i = 0; i < ROWS * COLS; i++) {
            const bool inside = i >= 16 * COLS + 32 && i < 16 * COLS + 64;
            if (!inside) check_bits(c, 1, back + i, before + i);
            else if (!isfinite(odd[k])) check_true(c, isnan(back[i]), "a lost block is not NaN");
            else if (fabsf(odd[k]) < 1.0f) check_true(c, back[i] == 0.0f, "not zero");
            else check_true(c, fabs((double)back[i]) >= 60000.0 * 100 && isfinite(back[i])
                               && (back[i] > 0) == (odd[k] > 0), "not the largest there is");
        }
        check_done(c);
    }
}

/* Importance without a ratio counts as alike; a column that alone counts is met. */
static void check_importance(check *c, const blocks *b)
{
    enum { COLS = 32 };
    static const float flat[] = { 0.0f, 1e-38f, 3e38f, 5.0f };

    check_case(c, "importance");
    float *w = check_floats(c, COLS), *h = check_floats(c, COLS);
    for (int i = 0; i < COLS; i++) w[i] = (float)normal(c);
    const float *plain = there_and_back(c, b->f, 1, COLS, w, NULL);
    for (size_t k = 0; k < sizeof flat / sizeof *flat; k++) {
        for (int i = 0; i < COLS; i++) h[i] = flat[k];
        check_bits(c, COLS, there_and_back(c, b->f, 1, COLS, w, h), plain);
    }
    for (int i = 0; i < COLS; i++) h[i] = i == 9 ? 1e6f : 0.0f;
    const float *back = there_and_back(c, b->f, 1, COLS, w, h);
    check_true(c, fabs((double)back[9] - (double)w[9]) <= 0.002 * fabs((double)w[9]),
               "the only column that counts is not met");
    check_done(c);
}

/* Carries of pairs of columns that always have the same input: what one loses, the next makes up
   for. The sums of products are then much nearer; without carries the bytes are those of encode. */
static void check_carries(check *c, const blocks *b, int format)
{
    enum { ROWS = 33, COLS = 200, BLOCKS = 2, SQUARE = BB_CARRY * BB_CARRY };
    const size_t bytes = b->f->bytes(ROWS, COLS);
    double       alone = 0.0, together = 0.0;
    bb_kernels   plain;

    check_case(c, "carries");
    bb_kernels_init(&plain, 0);
    float    *w = check_floats(c, ROWS * COLS), *carry = check_floats(c, BLOCKS * SQUARE);
    float    *one = check_floats(c, ROWS * COLS), *two = check_floats(c, ROWS * COLS);
    uint16_t *W = check_halves(c, bytes / 2), *other = check_halves(c, bytes / 2);
    for (int i = 0; i < ROWS * COLS; i++) w[i] = (float)normal(c);
    b->f->encode(ROWS, COLS, w, COLS, NULL, W, 0);
    b->f->decode(ROWS, COLS, W, 0, one, COLS);
    memset(carry, 0, BLOCKS * SQUARE * sizeof *carry);
    b->f->encode_carrying(ROWS, COLS, w, COLS, NULL, carry, other, 0);
    b->f->decode(ROWS, COLS, other, 0, two, COLS);
    for (int i = 0; i < ROWS * COLS; i++)           /* dividing otherwise may round otherwise */
        check_near(c, (size_t)i, two[i], (double)one[i], 0.25 * fabs((double)one[i]) + 0.01);
    for (int i = 0; i < BB_CARRY; i += 2)
        for (int k = 0; k < BLOCKS; k++) carry[k * SQUARE + i * BB_CARRY + i + 1] = -1.0f;
    b->f->encode_carrying(ROWS, COLS, w, COLS, NULL, carry, W, 0);
    plain.format[format].encode_carrying(ROWS, COLS, w, COLS, NULL, carry, other, 0);
    check_true(c, memcmp(W, other, bytes) == 0, "other bytes than without vectors");
    b->f->decode(ROWS, COLS, W, 0, two, COLS);
    for (int i = 0; i < ROWS * COLS; i += 2) {
        alone += pow((double)w[i] + (double)w[i + 1] - (double)one[i] - (double)one[i + 1], 2);
        together += pow((double)w[i] + (double)w[i + 1] - (double)two[i] - (double)two[i + 1], 2);
    }
    check_true(c, together < 0.75 * alone, "carries do not make up for what is lost");
    w[40] = NAN;
    b->f->encode_carrying(ROWS, COLS, w, COLS, NULL, carry, W, 0);
    b->f->decode(ROWS, COLS, W, 0, two, COLS);
    for (int i = 0; i < ROWS * COLS; i++)
        check_true(c, isnan(two[i]) == (i >= 32 && i < 64), "not a number in another block");
    check_done(c);
}

void check_encoding(check *c)
{
    static const struct { int rows, cols; } size[] = { { 1, 1 }, { 16, 32 }, { 15, 64 }, { 17, 31 },
                                                       { 37, 77 }, { 2, 200 }, { 33, 129 } };

    for (int i = BB_FORMAT_Q8; i <= BB_FORMAT_Q4; i++) {
        const blocks b = describe(&c->k->format[i]);
        if (!CHECK_BEGIN(c, i == BB_FORMAT_Q8 ? "encode q8" : "encode q4", format[i].encode))
            continue;
        check_error(c, &b, false);
        check_error(c, &b, true);
        for (int fill = 0; fill < N_FILLS; fill++) check_nearest(c, &b, fill, 18, 70);
        for (int fill = 0; fill < N_FILLS; fill++)
            for (size_t s = 0; s < sizeof size / sizeof *size; s++)
                check_same_bytes(c, b.f, i, size[s].rows, size[s].cols, fill, s % 2);
        check_odd(c, &b);
        check_importance(c, &b);
        check_carries(c, &b, i);
        check_end(c);
    }
}
