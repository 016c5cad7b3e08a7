/* stored.c - checks of rows in fewer bits: values beside what was put, the mean over many noises,
   rows that depend on nothing but their own number, what comes back put again, special values. */
#include "check.h"

#include <math.h>
#include <string.h>

static const bb_rows *rows_of(const check *c, bb_type type) { return &c->k->rows[type]; }

/* Room for stored rows, in bytes. */
static void *make_stored(check *c, bb_type type, int rows, int n)
{
    return check_halves(c, ((size_t)rows * bb_row_bytes(type, n) + 1) / 2);
}

/* How far the values on both sides of x are apart, in a row whose largest magnitude is `most`. */
static double step_at(bb_type type, double x, double most)
{
    int e;

    if (type == BB_TYPE_Q8) return most / 127.0 < 0x1p-100 ? most : most / 127.0;
    frexp(x, &e);
    return ldexp(1.0, e - 8);
}

static void check_row(check *c, bb_type type, int n, const float *x, const float *got)
{
    double most = 0.0;

    for (int i = 0; i < n; i++) most = fmax(most, fabs((double)x[i]));
    for (int i = 0; i < n; i++)
        check_near(c, (size_t)i, got[i], (double)x[i],
                   1.0001 * step_at(type, (double)x[i], most));
}

/* Rows together have the bits of each alone under its own noise; read and put again with another
   noise, they stay as they are. */
static void check_shape(check *c, bb_type type, int rows, int n, int fill)
{
    const bb_rows *r = rows_of(c, type);
    const size_t   bytes = bb_row_bytes(type, n), width = (size_t)n;

    check_case(c, "rows %d n %d fill %d", rows, n, fill);
    const float *x = check_input(c, fill, (size_t)rows * width);
    float       *got = check_floats(c, (size_t)rows * width);
    char        *stored = make_stored(c, type, rows, n), *again = make_stored(c, type, rows, n);
    char        *alone = make_stored(c, type, 1, n);

    r->put(rows, n, x, 0xfffffff0u, stored);
    r->get(rows, n, stored, got);
    r->put(rows, n, got, 12345, again);
    check_true(c, memcmp(stored, again, (size_t)rows * bytes) == 0, "changes when it is put again");
    for (int i = 0; i < rows; i++) {
        check_row(c, type, n, x + (size_t)i * width, got + (size_t)i * width);
        r->put(1, n, x + (size_t)i * width, 0xfffffff0u + (unsigned)i, alone);
        check_true(c, memcmp(stored + (size_t)i * bytes, alone, bytes) == 0, "depends on others");
    }
    check_done(c);
}

/* Over many noises the mean is x, 6 standard deviations allowed. */
static void check_mean(check *c, bb_type type)
{
    enum { N = 37, TIMES = 4096 };
    const bb_rows *r = rows_of(c, type);
    double         sum[N] = { 0 }, most = 0.0;

    check_case(c, "mean");
    const float *x = check_input(c, FILL_RANDOM, N);
    float       *got = check_floats(c, N);
    void        *stored = make_stored(c, type, 1, N);
    for (int i = 0; i < N; i++) most = fmax(most, fabs((double)x[i]));
    for (unsigned t = 0; t < TIMES; t++) {
        r->put(1, N, x, t * 0x9e3779b1u, stored);
        r->get(1, N, stored, got);
        for (int i = 0; i < N; i++) sum[i] += (double)got[i];
    }
    for (int i = 0; i < N; i++) {
        const double step = step_at(type, (double)x[i], most);
        check_near(c, (size_t)i, (float)(sum[i] / TIMES), (double)x[i], 6 * 0.5 / 64 * step);
    }
    check_done(c);
}

/* A row with one special number. */
static void check_special(check *c, bb_type type, float special)
{
    enum { N = 21 };
    const bb_rows *r = rows_of(c, type);

    check_case(c, "a row with %g", (double)special);
    float *x = check_floats(c, N), *got = check_floats(c, N);
    char  *stored = make_stored(c, type, 1, N), *again = make_stored(c, type, 1, N);
    for (int i = 0; i < N; i++) x[i] = i == 17 ? special : special / 4;
    r->put(1, N, x, 7, stored);
    r->get(1, N, stored, got);
    if (isfinite(special)) check_row(c, type, N, x, got);
    else if (isinf(special) && type == BB_TYPE_BF16)
        check_near(c, 17, got[17], (double)special, 0.0);
    else check_true(c, isnan(got[17]), "is not NaN");
    r->put(1, N, got, 8, again);
    check_true(c, memcmp(stored, again, bb_row_bytes(type, N)) == 0, "changes when put again");
    check_done(c);
}

static void check_rows_of(check *c, bb_type type)
{
    static const float special[] = { 0.0f, -0.0f, 1e-38f, 3e-29f, -1e-5f, 1e30f, 3.3e38f, INFINITY,
                                     -INFINITY, NAN };

    for (int n = 0; n <= 130; n += n < 34 ? 1 : 19)
        for (int fill = 0; fill < N_FILLS; fill++)
            check_shape(c, type, n % 4, n, fill == FILL_DENORMAL ? FILL_RANDOM : fill);
    check_shape(c, type, 20, 128, FILL_WIDE);
    check_mean(c, type);
    for (size_t i = 0; i < sizeof special / sizeof *special; i++)
        check_special(c, type, special[i]);
}

void check_stored(check *c)
{
    static const char *const name[BB_N_CACHES] = { [BB_TYPE_BF16] = "rows bf16",
                                                   [BB_TYPE_Q8] = "rows q8" };

    for (bb_type type = BB_TYPE_F32; type < BB_N_CACHES; type++)
        if (name[type] && CHECK_BEGIN(c, name[type], rows[type].put)) {
            check_rows_of(c, type);
            check_end(c);
        }
}
