/* check.c - bamba-check: every kernel of every level against its contract; --flush to do so as
   the library runs, with denormals flushed to zero; --bench to time. */
#include "check.h"

#include "support/splitmix.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SSE__)
#  include <xmmintrin.h>
#endif

#if defined(__SANITIZE_ADDRESS__)
#  define POISON 1
#elif defined(__has_feature)
#  if __has_feature(address_sanitizer)
#    define POISON 1
#  endif
#endif
#ifdef POISON
#  include <sanitizer/asan_interface.h>
#else
#  define ASAN_POISON_MEMORY_REGION(p, n)   ((void)(p), (void)(n))
#  define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

enum {
    GUARD         = 256,                  /* bytes on either side */
    GUARD_BYTE    = 0xa5,
    SHOWN         = 3,                    /* wrong elements told of per kernel */
    SENTINEL_BITS = 0x7fc5a5a5            /* a NaN */
};

static const uint64_t seed = 20240531;

#if defined(__SSE__)

unsigned check_set_flush(bool on)
{
    const unsigned old = _mm_getcsr();
    _mm_setcsr(on ? old | 0x8040u : old & ~0x8040u);
    return old;
}

void check_restore_mode(unsigned mode)
{
    _mm_setcsr(mode);
}

#elif defined(__aarch64__)

/* FPCR: FZ, bit 24, flushes inputs and results. */
unsigned check_set_flush(bool on)
{
    const uint64_t fz = UINT64_C(1) << 24;
    uint64_t       old;

    __asm__ volatile("mrs %0, fpcr" : "=r"(old));
    __asm__ volatile("msr fpcr, %0" : : "r"(on ? old | fz : old & ~fz));
    return (unsigned)old;
}

void check_restore_mode(unsigned mode)
{
    __asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)mode));
}

#else

unsigned check_set_flush(bool on)
{
    (void)on;
    return 0;
}

void check_restore_mode(unsigned mode)
{
    (void)mode;
}

#endif

/* ------------------------------------------------------------- inputs ------------------- */

double check_uniform(check *c)
{
    return (double)(splitmix64(&c->random) >> 11) * 0x1p-52 - 1.0 + 0x1p-53;
}

int check_below(check *c, int n)
{
    return (int)(splitmix64(&c->random) % (uint64_t)n);
}

static double fill_value(check *c, int fill, size_t i)
{
    switch (fill) {
    case FILL_ZERO:          return 0.0;
    case FILL_NEGATIVE_ZERO: return -0.0;
    case FILL_DENORMAL:      return check_uniform(c) * 0x1p-127;
    case FILL_LARGE:         return check_uniform(c) * 1e10;
    case FILL_EQUAL:         return 0.7;
    case FILL_ALTERNATING:   return i % 2 ? -1.0 : 1.0;
    case FILL_WIDE:          return ldexp(check_uniform(c), check_below(c, 41) - 20);
    default:                 return check_uniform(c);
    }
}

static void *add_array(check *c, size_t n, size_t elem_bytes)
{
    const size_t   bytes = n * elem_bytes, before = GUARD + elem_bytes;
    unsigned char *base  = malloc(before + bytes + GUARD);

    if (!base || c->n_arrays == CHECK_MAX_ARRAYS) {
        fprintf(stderr, "bamba-check: out of memory or arrays\n");
        exit(2);
    }
    memset(base, GUARD_BYTE, before + bytes + GUARD);
    ASAN_POISON_MEMORY_REGION(base, before);
    ASAN_POISON_MEMORY_REGION(base + before + bytes, GUARD);
    c->array[c->n_arrays].base    = base;
    c->array[c->n_arrays++].bytes = before + bytes;
    return base + before;
}

float *check_floats(check *c, size_t n)
{
    float         *p    = add_array(c, n, sizeof *p);
    const uint32_t bits = SENTINEL_BITS;
    for (size_t i = 0; i < n; i++) memcpy(p + i, &bits, sizeof bits);
    return p;
}

uint16_t *check_halves(check *c, size_t n)
{
    return add_array(c, n, sizeof(uint16_t));
}

uint8_t *check_bytes(check *c, size_t n)
{
    return add_array(c, n, 1);
}

float *check_input(check *c, int fill, size_t n)
{
    float *p = check_floats(c, n);
    for (size_t i = 0; i < n; i++) p[i] = (float)fill_value(c, fill, i);
    return p;
}

bool check_is_sentinel(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits == SENTINEL_BITS;
}

static void fill_bytes(check *c, int type, int fill, size_t n, typed *t)
{
    uint8_t *p = check_bytes(c, n);

    for (size_t i = 0; i < n; i++) {
        const double v = fill_value(c, fill, i);
        p[i] = encode_byte(type, type == BB_TYPE_I8 ? v * 128.0 : v);
        t->value[i] = decode_byte(type, p[i]);
    }
    t->data = p;
}

typed check_typed(check *c, int type, int fill, size_t n)
{
    typed t = { NULL, malloc((n ? n : 1) * sizeof(double)) };
    if (!t.value) exit(2);
    if (type == BB_TYPE_F8_E4M3 || type == BB_TYPE_I8) {
        fill_bytes(c, type, fill, n, &t);
        return t;
    }
    if (type == BB_TYPE_F32) {
        const float *p = check_input(c, fill, n);
        for (size_t i = 0; i < n; i++) t.value[i] = (double)p[i];
        t.data = p;
        return t;
    }
    uint16_t *p = check_halves(c, n);
    for (size_t i = 0; i < n; i++) {
        double v = fill_value(c, fill, i);
        if (type == BB_TYPE_F16 && fill == FILL_LARGE) v *= 1e-6;
        if (type == BB_TYPE_F16 && fill == FILL_DENORMAL) v *= 0x1p112;
        p[i]       = encode_half(type, v);
        t.value[i] = decode_half(type, p[i]);
    }
    t.data = p;
    return t;
}

/* ------------------------------------------------------------- halves ------------------- */

const char *type_name(int type)
{
    static const char *const name[BB_N_CACHES] = { NULL, "f32", "bf16", "f16", "q8" };
    return name[type];
}

double decode_half(int type, uint16_t bits)
{
    const int    digits   = type == BB_TYPE_BF16 ? 7 : 10;
    const int    top      = type == BB_TYPE_BF16 ? 255 : 31;
    const int    bias     = top / 2;
    const int    exponent = (bits & 0x7fff) >> digits, m = bits & ((1 << digits) - 1);
    const double sign     = bits & 0x8000 ? -1.0 : 1.0;

    if (exponent == top) return m ? (double)NAN : sign * (double)INFINITY;
    if (exponent == 0) return sign * ldexp(m, 1 - bias - digits);
    return sign * ldexp((1 << digits) + m, exponent - bias - digits);
}

uint16_t encode_half(int type, double v)
{
    const int digits = type == BB_TYPE_BF16 ? 7 : 10;
    const int top    = type == BB_TYPE_BF16 ? 255 : 31;
    const int lowest = 2 - top / 2;       /* what frexp() gives for the least normal number */
    const int sign   = signbit(v) ? 0x8000 : 0;
    int       e;

    if (isinf(v)) return (uint16_t)(sign | top << digits);
    const double f = frexp(fabs(v), &e);
    if (f == 0.0) return (uint16_t)sign;

    const int exponent = e < lowest ? lowest : e;
    const int m        = (int)rint(ldexp(f, e - exponent + digits + 1));
    const int bits     = ((exponent - lowest) << digits) + m;   /* a carry moves the exponent */
    return (uint16_t)(sign | (bits > top << digits ? top << digits : bits));
}

/* ------------------------------------------------------------- bytes -------------------- */

double decode_byte(int type, uint8_t bits)
{
    const int    exponent = bits >> 3 & 15, m = bits & 7;
    const double sign     = bits & 0x80 ? -1.0 : 1.0;

    if (type == BB_TYPE_I8) return (int8_t)bits;
    if ((bits & 0x7f) == 0x7f) return (double)NAN;
    return sign * (exponent == 0 ? ldexp(m, -9) : ldexp(8 + m, exponent - 10));
}

uint8_t encode_byte(int type, double v)
{
    const int sign = signbit(v) ? 0x80 : 0;
    int       e;

    if (type == BB_TYPE_I8) return (uint8_t)(int8_t)fmax(-128.0, fmin(127.0, rint(v)));
    const double f = frexp(fabs(v), &e);
    const int    exponent = e < -5 ? -5 : e > 10 ? 10 : e;
    const double m = rint(ldexp(f, e - exponent + 4));
    const int    bits = m > 0x100 ? 0x100 : ((exponent + 5) << 3) + (int)m;
    return (uint8_t)(sign | (bits > 0x7e ? 0x7e : bits));
}

/* ------------------------------------------------------------- comparison --------------- */

static void report(check *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void report(check *c, const char *format, ...)
{
    va_list args;
    if (c->n_bad++ >= SHOWN) return;
    printf("  %s (%s): %s: ", c->kernel, c->k->name, c->where);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    printf("\n");
}

void check_near(check *c, size_t i, float got, double exact, double bound)
{
    const double limit = bound + (double)FLT_MIN, error = fabs((double)got - exact);
    if (isnan(exact) ? isnan(got) : (double)got == exact) return;
    if (error <= limit) c->worst = fmax(c->worst, error / limit);
    else report(c, "[%zu] is %.9g, expected %.9g within %.3g", i, (double)got, exact, bound);
}

void check_bits(check *c, size_t n, const float *got, const float *want)
{
    for (size_t i = 0; i < n; i++)
        if (memcmp(got + i, want + i, sizeof *got) != 0) {
            report(c, "[%zu] is %.9g, expected the bits of %.9g", i, (double)got[i],
                   (double)want[i]);
            return;
        }
}

void check_true(check *c, bool truth, const char *what)
{
    if (!truth) report(c, "%s", what);
}

/* ------------------------------------------------------------- tally -------------------- */

bool check_begin(check *c, const char *kernel, check_any_fn *fn, check_any_fn *fn_below)
{
    if (fn == fn_below) return false;
    c->kernel  = kernel;
    c->random  = seed;
    c->n_cases = c->n_bad = 0;
    c->worst   = 0.0;
    for (const char *s = kernel; *s; s++) c->random = c->random * 31 + (unsigned char)*s;
    return true;
}

void check_end(check *c)
{
    printf("%-18s %-10s %6d cases, worst error %5.3f of its bound  %s\n", c->kernel, c->k->name,
           c->n_cases, c->worst, c->n_bad ? "FAILED" : "ok");
    c->n_bad ? c->n_failed++ : c->n_passed++;
}

void check_case(check *c, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(c->where, sizeof c->where, format, args);
    va_end(args);
    c->n_cases++;
}

void check_done(check *c)
{
    for (int i = 0; i < c->n_arrays; i++) {
        unsigned char *base  = c->array[i].base;
        const size_t   bytes = c->array[i].bytes;
        bool           whole = true;

        ASAN_UNPOISON_MEMORY_REGION(base, bytes + GUARD);
        for (size_t j = 0; j < GUARD; j++)
            whole = whole && base[j] == GUARD_BYTE && base[bytes + j] == GUARD_BYTE;
        check_true(c, whole, "wrote outside an array");
        free(base);
    }
    c->n_arrays = 0;
}

static void check_level(check *c)
{
    check_convert(c);
    check_products(c);
    check_encoding(c);
    check_elementwise(c);
    check_expand(c);
    check_norm(c);
    check_conv1d(c);
    check_selective_scan(c);
    check_ssd(c);
    check_attention(c);
    check_stored(c);
}

const char *const check_levels[CHECK_LEVELS] = { "c", "avx2", "avxvnni", "avx512", "avx512vnni",
                                                 "avx512bf16" };

int main(int argc, char **argv)
{
    const unsigned machine = bb_cpu_detect();
    bb_kernels     table[CHECK_LEVELS];
    check          c = { .below = NULL };
    const char    *option = argc > 1 ? argv[1] : "";

    if (strcmp(option, "--has") == 0 && argc > 2) {   /* exit code 0: this machine has the level */
        const int mask = bb_cpu_level(argv[2]);
        return mask < 0 || ((unsigned)mask & ~machine);
    }
    if (strcmp(option, "--best") == 0 && argc > 2)    /* the one that is taken without a name */
        return bb_cpu_level(argv[2]) != (int)bb_cpu_best();
    if (strcmp(option, "--bench") == 0) return run_bench(argc > 2 ? argv[2] : NULL);
    if (strcmp(option, "--flush") == 0) check_set_flush(true);
    else if (argc > 1) {
        fprintf(stderr, "usage: bamba-check [--flush | --bench [kernel] | --has level | "
                        "--best level]\n");
        return 2;
    }

    printf("seed %llu, families of the machine 0x%x\n", (unsigned long long)seed, machine);
    for (int i = 0; i < CHECK_LEVELS; i++) {
        const int mask = bb_cpu_level(check_levels[i]);
        if (mask < 0 || ((unsigned)mask & ~machine)) continue;
        bb_kernels_init(&table[i], (unsigned)mask);
        c.k = &table[i];
        check_level(&c);
        c.below = c.k;
    }
    check_cpu(&c);
    printf("%d passed, %d failed\n", c.n_passed, c.n_failed);
    return c.n_failed ? 1 : 0;
}
