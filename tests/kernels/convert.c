/* convert.c - checks of widening and narrowing: every half, every halfway point, in any mode of
   the floating-point unit. */
#include "check.h"

#include <math.h>
#include <string.h>

static uint32_t bits_of(float f)
{
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return u;
}

static float from_bits(uint32_t u)
{
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

static void check_widen(check *c, int type)
{
    static const int length[] = { 0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 127, 1031, 65536 };

    for (int flush = 0; flush < 2; flush++)
        for (size_t l = 0; l < sizeof length / sizeof *length; l++) {
            const size_t n = (size_t)length[l];
            check_case(c, "n %zu flush %d", n, flush);
            uint16_t *src = check_halves(c, n);
            float    *dst = check_floats(c, n);
            for (size_t i = 0; i < n; i++) src[i] = (uint16_t)(n == 65536 ? i : i * 40503);

            const unsigned mode = check_set_flush(flush);
            c->k->widen[type](n, src, dst);
            check_restore_mode(mode);
            for (size_t i = 0; i < n; i++) {
                const double want = decode_half(type, src[i]);
                const bool   same = isnan(want) ? isnan(dst[i])
                                                : bits_of(dst[i]) == bits_of((float)want);
                if (!same) check_near(c, i, dst[i], want, -1.0);
            }
            check_done(c);
        }
}

/* Around half number i: itself, the point halfway to the next, and floats beside both. */
static float probe(int type, int i)
{
    const uint16_t h    = (uint16_t)(i / 6);
    const double   low  = decode_half(type, h), high = decode_half(type, (uint16_t)(h + 1));
    const float    at   = (float)low;
    const bool     both = isfinite(low) && isfinite(high);
    const float    mid  = both ? (float)((low + high) / 2) : 65520.0f;
    const float    base = i % 2 ? mid : at;
    return i % 6 < 2 ? base : nextafterf(base, i % 6 < 4 ? INFINITY : -INFINITY);
}

static void narrow_all(check *c, int type, size_t n, const float *src, bool flush)
{
    uint16_t      *dst  = check_halves(c, n);
    const unsigned mode = check_set_flush(flush);
    c->k->narrow[type](n, src, dst);
    check_restore_mode(mode);
    for (size_t i = 0; i < n; i++) {
        const float got = (float)decode_half(type, dst[i]);
        if (isnan(src[i])) check_true(c, isnan(got), "NaN did not stay NaN");
        else if (dst[i] != encode_half(type, (double)src[i]))
            check_near(c, i, got, decode_half(type, encode_half(type, (double)src[i])), -1.0);
    }
}

static void check_narrow(check *c, int type)
{
    enum { N_PROBES = 65536 * 6, N_RANDOM = 1 << 18 };

    for (int flush = 0; flush < 2; flush++) {
        check_case(c, "halfway points, flush %d", flush);
        float *src = check_floats(c, N_PROBES);
        for (int i = 0; i < N_PROBES; i++) src[i] = probe(type, i);
        narrow_all(c, type, N_PROBES, src, flush);
        check_done(c);

        check_case(c, "random bits, flush %d", flush);
        src = check_floats(c, N_RANDOM);
        for (int i = 0; i < N_RANDOM; i++)
            src[i] = from_bits((uint32_t)check_below(c, 1 << 16) << 16
                               | (uint32_t)check_below(c, 1 << 16));
        narrow_all(c, type, N_RANDOM, src, flush);
        check_done(c);
    }
    for (size_t n = 0; n < 70; n++) {
        check_case(c, "n %zu", n);
        narrow_all(c, type, n, check_input(c, FILL_RANDOM, n), false);
        check_done(c);
    }
    check_case(c, "special");
    float *src = check_floats(c, 8);
    const uint32_t special[8] = { 0x7f800000, 0xff800000, 0x7f800001, 0xffffffff,
                                  0x7f7fffff, 0xff7fffff, 0x80000000, 0x00000001 };
    memcpy(src, special, sizeof special);
    narrow_all(c, type, 8, src, false);
    check_done(c);
}

void check_convert(check *c)
{
    static const char *const widen[]  = { "", "", "widen bf16", "widen f16" };
    static const char *const narrow[] = { "", "", "narrow bf16", "narrow f16" };

    const unsigned mode = check_set_flush(false);         /* the reference needs denormals */
    for (int type = BB_TYPE_BF16; type < BB_N_FLOATS; type++) {
        if (CHECK_BEGIN(c, widen[type], widen[type])) {
            check_widen(c, type);
            check_end(c);
        }
        if (CHECK_BEGIN(c, narrow[type], narrow[type])) {
            check_narrow(c, type);
            check_end(c);
        }
    }
    check_restore_mode(mode);
}
