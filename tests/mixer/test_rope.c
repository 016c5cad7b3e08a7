/* test_rope.c - rotary angles: tables against those of transformers, angles against long double. */
#include "mixer/rope.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { D = 16, HALF = D / 2 };

static const double shorter[HALF] = { 1.0, 1.01, 1.05, 1.1, 1.2, 1.3, 1.4, 1.5 };
static const double longer[HALF] = { 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 7.5 };

/* Inverse frequencies and scales that transformers 5.23.0 computes, in float32. */
static const struct table {
    bb_rope_dims dims;
    int          length;
    double       scale;
    double       inverse[HALF];
} tables[] = {
    { { .d = D, .theta = 10000 }, 1, 1,
      { 1.00000000e+00, 3.16227764e-01, 1.00000001e-01, 3.16227786e-02, 9.99999978e-03,
        3.16227786e-03, 1.00000005e-03, 3.16227786e-04 } },
    { { .d = D, .theta = 10000, .kind = BB_ROPE_LINEAR, .factor = 2.5 }, 5000, 1,
      { 4.00000006e-01, 1.26491100e-01, 3.99999991e-02, 1.26491114e-02, 3.99999972e-03,
        1.26491114e-03, 4.00000019e-04, 1.26491112e-04 } },
    { { .d = D, .theta = 10000, .kind = BB_ROPE_DYNAMIC, .factor = 4, .context = 64 }, 64, 1,
      { 1.00000000e+00, 3.16227764e-01, 1.00000001e-01, 3.16227786e-02, 9.99999978e-03,
        3.16227786e-03, 1.00000005e-03, 3.16227786e-04 } },
    { { .d = D, .theta = 10000, .kind = BB_ROPE_DYNAMIC, .factor = 4, .context = 64 }, 65, 1,
      { 1.00000000e+00, 3.13500851e-01, 9.82827842e-02, 3.08117364e-02, 9.65950545e-03,
        3.02826311e-03, 9.49363108e-04, 2.97626131e-04 } },
    { { .d = D, .theta = 10000, .kind = BB_ROPE_DYNAMIC, .factor = 4, .context = 64 }, 100, 1,
      { 1.00000000e+00, 2.67223001e-01, 7.14081228e-02, 1.90818924e-02, 5.09912008e-03,
        1.36260199e-03, 3.64118576e-04, 9.73008500e-05 } },
    { { .d = D, .theta = 10000, .kind = BB_ROPE_DYNAMIC, .factor = 4, .context = 64 }, 1000, 1,
      { 1.00000000e+00, 1.76399603e-01, 3.11168171e-02, 5.48899360e-03, 9.68256267e-04,
        1.70800005e-04, 3.01290493e-05, 5.31475234e-06 } },
    { { .d = D, .theta = 10000, .kind = BB_ROPE_LLAMA3, .factor = 8, .context = 256, .low = 1,
        .high = 4 }, 2048, 1,
      { 1.00000000e+00, 3.16227764e-01, 1.00000001e-01, 6.61310693e-03, 1.24999997e-03,
        3.95284733e-04, 1.25000006e-04, 3.95284733e-05 } },
    { { .d = D, .theta = 10000, .kind = BB_ROPE_YARN, .factor = 4, .context = 64, .low = 1,
        .high = 32, .truncate = true }, 256, 1.13862944,
      { 1.00000000e+00, 2.37170815e-01, 4.99999970e-02, 7.90569466e-03, 2.49999994e-03,
        7.90569466e-04, 2.50000012e-04, 7.90569466e-05 } },
    { { .d = D, .theta = 10000, .kind = BB_ROPE_YARN, .factor = 4, .context = 64, .low = 0.5,
        .high = 8 }, 256, 1.13862944,
      { 1.00000000e+00, 2.38408461e-01, 4.42483015e-02, 7.90569466e-03, 2.49999994e-03,
        7.90569466e-04, 2.50000012e-04, 7.90569466e-05 } },
    { { .d = D, .theta = 10000, .kind = BB_ROPE_YARN, .factor = 4, .context = 512, .low = 1,
        .high = 32, .truncate = true, .mscale = 1, .mscale_all = 0.7 }, 256, 1.03791002,
      { 1.00000000e+00, 2.56935060e-01, 6.25000000e-02, 1.38349654e-02, 2.49999994e-03,
        7.90569466e-04, 2.50000012e-04, 7.90569466e-05 } },
    { { .d = D, .theta = 10000, .kind = BB_ROPE_YARN, .factor = 4, .context = 64, .low = 1,
        .high = 32, .truncate = true, .mscale = 1, .attention = 0.9 }, 1, 0.9,
      { 1.00000000e+00, 2.37170815e-01, 4.99999970e-02, 7.90569466e-03, 2.49999994e-03,
        7.90569466e-04, 2.50000012e-04, 7.90569466e-05 } },
    { { .d = D, .theta = 10000, .kind = BB_ROPE_LONG, .factor = 4, .context = 64,
        .shorter = shorter, .longer = longer }, 64, 1.15470054,
      { 1.00000000e+00, 3.13096821e-01, 9.52380970e-02, 2.87479796e-02, 8.33333284e-03,
        2.43252143e-03, 7.14285707e-04, 2.10818514e-04 } },
    { { .d = D, .theta = 10000, .kind = BB_ROPE_LONG, .factor = 4, .context = 64,
        .shorter = shorter, .longer = longer }, 65, 1.15470054,
      { 1.00000000e+00, 2.10818499e-01, 5.00000007e-02, 1.05409250e-02, 2.49999994e-03,
        6.32455572e-04, 1.66666665e-04, 4.21637014e-05 } },
    { { .d = D, .theta = 10000, .kind = BB_ROPE_LONG, .factor = 8, .context = 64,
        .shorter = shorter, .longer = longer }, 10, 1.22474487,
      { 1.00000000e+00, 3.13096821e-01, 9.52380970e-02, 2.87479796e-02, 8.33333284e-03,
        2.43252143e-03, 7.14285707e-04, 2.10818514e-04 } },
};
enum { N_TABLES = sizeof tables / sizeof tables[0] };

/* Position 1 shows the angle itself; the fastest pair's is 1 radian, so atan2 finds them all. */
static void test_tables(void **unused)
{
    (void)unused;
    for (int i = 0; i < N_TABLES; i++) {
        const struct table *t = &tables[i];
        double              table[2 * HALF];
        bb_rope             r;
        float               cosine[HALF], sine[HALF];

        assert_int_equal(bb_rope_table_size(&t->dims), t->dims.shorter ? 2 * HALF : HALF);
        bb_rope_init(&r, &t->dims, table);
        bb_rope_angles(&r, 1, t->length, cosine, sine);
        for (int j = 0; j < HALF; j++) {
            const double angle = atan2((double)sine[j], (double)cosine[j]);
            const double scale = hypot((double)sine[j], (double)cosine[j]);
            if (!(fabs(angle / t->inverse[j] - 1) < 1e-6 && fabs(scale / t->scale - 1) < 1e-6))
                fail_msg("table %d, pair %d: angle %.9g, expected %.9g; scale %.9g, expected %.9g",
                         i, j, angle, t->inverse[j], scale, t->scale);
        }
    }
}

/* Far positions: the float nearest to the cosine of the exact angle, or its neighbour. */
static void test_far_positions(void **unused)
{
    static const int positions[] = { 0, 1, 63, 4095, 131071, 999983, 1 << 24, 1 << 30 };
    enum { WIDE = 128 };
    const bb_rope_dims dims = { .d = WIDE, .theta = 500000 };
    double             table[WIDE / 2];
    bb_rope            r;

    (void)unused;
    bb_rope_init(&r, &dims, table);
    for (size_t k = 0; k < sizeof positions / sizeof positions[0]; k++) {
        float cosine[WIDE / 2], sine[WIDE / 2];
        bb_rope_angles(&r, positions[k], 1 << 30, cosine, sine);
        /* the table's rounding counts for 2^-53 of the angle */
        const double slack = 6e-8 + positions[k] * 4e-16;
        for (int i = 0; i < WIDE / 2; i++) {
            const long double angle = positions[k] * powl(500000.0L, -2.0L * i / WIDE);
            assert_true(fabs((double)(cosl(angle) - (long double)cosine[i])) < slack);
            assert_true(fabs((double)(sinl(angle) - (long double)sine[i])) < slack);
        }
    }
}

/* The length of the session matters to dynamic and longrope only. */
static void test_length(void **unused)
{
    (void)unused;
    for (int i = 0; i < N_TABLES; i++) {
        const bb_rope_kind kind = tables[i].dims.kind;
        double             table[2 * HALF];
        bb_rope            r;
        float              a[2][HALF], b[2][HALF];

        bb_rope_init(&r, &tables[i].dims, table);
        bb_rope_angles(&r, 50, 60, a[0], a[1]);
        bb_rope_angles(&r, 50, 700, b[0], b[1]);
        assert_int_equal(memcmp(a, b, sizeof a) != 0,
                         kind == BB_ROPE_DYNAMIC || kind == BB_ROPE_LONG);
        bb_rope_angles(&r, 50, 61, b[0], b[1]);
        assert_memory_equal(a, b, sizeof a);
    }
}

/* A scaling by 1 is none, whatever its kind. */
static void test_factor_of_one(void **unused)
{
    static const double ones[HALF] = { 1, 1, 1, 1, 1, 1, 1, 1 };
    const bb_rope_dims  plain = { .d = D, .theta = 10000 };
    double              table[2 * HALF], other[2 * HALF];
    bb_rope             r, p;
    float               a[2][HALF], b[2][HALF];

    (void)unused;
    bb_rope_init(&p, &plain, table);
    bb_rope_angles(&p, 77, 100, a[0], a[1]);
    for (int kind = BB_ROPE_LINEAR; kind <= BB_ROPE_LONG; kind++) {
        const bb_rope_dims dims = { .d = D, .theta = 10000, .kind = (bb_rope_kind)kind, .factor = 1,
                                    .context = 4096, .low = 1, .high = 4, .shorter = ones,
                                    .longer = ones };
        bb_rope_init(&r, &dims, other);
        bb_rope_angles(&r, 77, 100, b[0], b[1]);
        for (int i = 0; i < HALF; i++) {
            assert_true(fabsf(a[0][i] - b[0][i]) < 1e-6f);
            assert_true(fabsf(a[1][i] - b[1][i]) < 1e-6f);
        }
    }
}

static void expect_text(const bb_rope_dims *dims, const char *expected)
{
    char       buffer[100] = "";
    bb_printer p = { .buffer = buffer, .size = sizeof buffer };

    bb_rope_print(dims, 32, &p);
    assert_string_equal(buffer, expected);
}

static void test_print(void **unused)
{
    (void)unused;
    expect_text(&(bb_rope_dims){ .d = 0, .theta = 10 }, "");
    expect_text(&tables[0].dims, ", rope 16 of 32, theta 10000");
    expect_text(&tables[1].dims, ", rope 16 of 32, theta 10000, linear x 2.5");
    expect_text(&tables[3].dims, ", rope 16 of 32, theta 10000, dynamic x 4 from 64");
    expect_text(&tables[6].dims, ", rope 16 of 32, theta 10000, llama3 x 8 from 256");
    expect_text(&tables[7].dims, ", rope 16 of 32, theta 10000, yarn x 4 from 64");
    expect_text(&tables[11].dims, ", rope 16 of 32, theta 10000, longrope x 4 from 64");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tables),
        cmocka_unit_test(test_far_positions),
        cmocka_unit_test(test_length),
        cmocka_unit_test(test_factor_of_one),
        cmocka_unit_test(test_print),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
