/* check.h - what the kernel checks share: inputs, guarded arrays, comparison, counting.
 *
 * Owns:    seeded inputs, arrays between guards, halves in double precision, the tally.
 * Not:     what a kernel promises (kernels.h) and how it is checked (one file per family).
 * Errors:  a wrong element is counted against the kernel; out of memory ends the program.
 *
 * Every level is held to the same double-precision reference, written here a second time and more
 * simply than in kernels/; a kernel that a level shares with the one checked before is skipped.
 */
#ifndef CHECK_H
#define CHECK_H

#include "kernels.h"

#include <float.h>
#include <stdbool.h>

typedef void check_any_fn(void);

enum { CHECK_MAX_ARRAYS = 32 };

typedef struct check {
    const bb_kernels *k;                  /* the table under test */
    const bb_kernels *below;              /* of the level checked before; NULL for the first */
    const char       *kernel;             /* being checked */
    char              where[96];          /* the case, for messages */
    uint64_t          random;
    struct { unsigned char *base; size_t bytes; } array[CHECK_MAX_ARRAYS];
    int               n_arrays;
    int               n_cases, n_bad;     /* of this kernel */
    double            worst;              /* of its errors, as a part of the bound */
    int               n_passed, n_failed; /* kernels */
} check;

/* Kinds of input. */
enum {
    FILL_RANDOM,                          /* uniform in (-1, 1) */
    FILL_ZERO, FILL_NEGATIVE_ZERO,
    FILL_DENORMAL,                        /* below 2^-126 */
    FILL_LARGE,                           /* about 1e10 */
    FILL_EQUAL,                           /* all 0.7 */
    FILL_ALTERNATING,                     /* 1, -1, 1 … */
    FILL_WIDE,                            /* magnitudes from 2^-20 to 2^20 */
    N_FILLS
};

/* Names of all levels, those of fewer families first. */
enum { CHECK_LEVELS = 6 };
extern const char *const check_levels[CHECK_LEVELS];

/* false if this kernel is the one of the level checked before; otherwise ends with check_end(). */
bool check_begin(check *c, const char *kernel, check_any_fn *fn, check_any_fn *fn_below);
void check_end(check *c);
#define CHECK_BEGIN(c, name, slot)                                          \
    check_begin(c, name, (check_any_fn *)(c)->k->slot,                      \
                (c)->below ? (check_any_fn *)(c)->below->slot : NULL)

/* A case: names it; check_done verifies the guards of its arrays and frees them. */
void check_case(check *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
void check_done(check *c);

/* n elements filled with SENTINEL between guards, off any alignment beyond the element's. */
float    *check_floats(check *c, size_t n);
uint16_t *check_halves(check *c, size_t n);
uint8_t  *check_bytes(check *c, size_t n);
/* The same with inputs. */
float    *check_input(check *c, int fill, size_t n);
bool      check_is_sentinel(float f);

/* Flush-to-zero and denormals-are-zero, as the library runs; returns the mode to restore. */
unsigned check_set_flush(bool on);
void     check_restore_mode(unsigned mode);

double check_uniform(check *c);           /* in (-1, 1) */
int    check_below(check *c, int n);      /* 0 … n-1 */

/* |got - exact| <= bound (+ the smallest normal number); a NaN must be expected. */
void check_near(check *c, size_t i, float got, double exact, double bound);
void check_bits(check *c, size_t n, const float *got, const float *want);
void check_true(check *c, bool truth, const char *what);

/* Halves in double; encode rounds to nearest even. type: BB_TYPE_BF16, BB_TYPE_F16. */
double   decode_half(int type, uint16_t bits);
uint16_t encode_half(int type, double v);

/* F8_E4M3 and int8 in double; encode rounds to nearest even and takes the largest for what is too
   large. */
double  decode_byte(int type, uint8_t bits);
uint8_t encode_byte(int type, double v);

/* A matrix of a type: bytes for the kernel, values for the reference. */
typedef struct typed { const void *data; double *value; } typed;
typed       check_typed(check *c, int type, int fill, size_t n);     /* free(value) */
const char *type_name(int type);

/* The families, and the benchmark. */
void check_convert(check *c);
void check_products(check *c);
void check_encoding(check *c);
void check_elementwise(check *c);
void check_expand(check *c);
void check_norm(check *c);
void check_conv1d(check *c);
void check_selective_scan(check *c);
void check_ssd(check *c);
void check_attention(check *c);
void check_stored(check *c);
void check_cpu(check *c);
int  run_bench(const char *only);

#endif
