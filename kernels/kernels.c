/* kernels.c - the table: one of portable C, AVX2 or AVX-512, and over it what single families of
 * instructions do better. */
#include "variants.h"

#include <string.h>

/* -DBB_X86=0 builds without the vector kernels. */
#ifndef BB_X86
#  if defined(__x86_64__) && defined(__GNUC__)
#    define BB_X86 1
#  else
#    define BB_X86 0
#  endif
#endif

/* All kernels of c, avx2 or avx512. */
#define ENTRY(name, isa) .name = bb_##name##_##isa,
#define TABLE(isa)                                                                                \
    {                                                                                             \
        .widen  = { [BB_TYPE_BF16] = bb_widen_bf16_##isa, [BB_TYPE_F16] = bb_widen_f16_##isa },   \
        .narrow = { [BB_TYPE_BF16] = bb_narrow_bf16_##isa, [BB_TYPE_F16] = bb_narrow_f16_##isa }, \
        .expand = { [BB_TYPE_F32] = bb_expand_f32_##isa, [BB_TYPE_F16] = bb_expand_f16_##isa },   \
        .peak   = { [BB_PEAK_F32] = bb_peak_f32_##isa },                                          \
        BB_EACH_KERNEL(ENTRY, isa)                                                                \
    }

/* A format that is multiplied by decoding it for the kernels of float32. */
static void add_scaled(bb_kernels *k, int at, const char *name, size_t (*bytes)(int, int),
                       bb_decode_fn *decode)
{
    bb_format f = k->format[BB_FORMAT_F32];

    f.name   = name;
    f.type   = BB_TYPE_NONE;
    f.block  = 0;
    f.align  = sizeof(void *);
    f.bytes  = bytes;
    f.few    = NULL;
    f.many   = NULL;
    f.decode = decode;
    f.encode = NULL;
    k->format[at] = f;
}

/* Structures of other files are no constants to C11, so these rows are copied at run time. */
#define TAKE(k, isa)                                                                              \
    do {                                                                                          \
        static const bb_kernels table = TABLE(isa);                                               \
        *(k)                         = table;                                                     \
        (k)->format[BB_FORMAT_F32]   = bb_format_f32_##isa;                                       \
        (k)->format[BB_FORMAT_BF16]  = bb_format_bf16_##isa;                                      \
        (k)->format[BB_FORMAT_F16]   = bb_format_f16_##isa;                                       \
        (k)->format[BB_FORMAT_F8]    = bb_format_f8_##isa;                                        \
        (k)->format[BB_FORMAT_I8]    = bb_format_i8_##isa;                                        \
        add_scaled(k, BB_FORMAT_F8_SCALED, "f8 scaled", bb_bytes_byte, bb_decode_f8_scaled_##isa);\
        add_scaled(k, BB_FORMAT_I8_SCALED, "i8 scaled", bb_bytes_byte, bb_decode_i8_scaled_##isa);\
        add_scaled(k, BB_FORMAT_I4_SCALED, "i4 scaled", bb_bytes_i4, bb_decode_i4_scaled_##isa);  \
        (k)->format[BB_FORMAT_Q8]    = bb_format_q8_##isa;                                        \
        (k)->format[BB_FORMAT_Q4]    = bb_format_q4_##isa;                                        \
        (k)->format[BB_FORMAT_Q8_FINE] = bb_format_q8_fine_##isa;                                 \
        (k)->cache[BB_TYPE_F32]      = bb_cache_f32_##isa;                                        \
        (k)->cache[BB_TYPE_BF16]     = bb_cache_bf16_##isa;                                       \
        (k)->cache[BB_TYPE_F16]      = bb_cache_f16_##isa;                                        \
        (k)->cache[BB_TYPE_Q8]       = bb_cache_q8_##isa;                                         \
        (k)->rows[BB_TYPE_BF16]      = bb_rows_bf16_##isa;                                        \
        (k)->rows[BB_TYPE_Q8]        = bb_rows_q8_##isa;                                          \
    } while (0)

/* Names of sets; of those that are part of a set, the last is its best. */
static const struct level { const char *name; unsigned cpu; } levels[] = {
    { "c", 0 },
#if BB_X86
    { "avx2", BB_CPU_AVX2 },
    { "avxvnni", BB_CPU_AVX2 | BB_CPU_AVXVNNI },
    { "avx512", BB_CPU_AVX2 | BB_CPU_AVX512 },
    { "avx512vnni", BB_CPU_AVX2 | BB_CPU_AVX512 | BB_CPU_VNNI },
    { "avx512bf16", BB_CPU_AVX2 | BB_CPU_AVX512 | BB_CPU_VNNI | BB_CPU_BF16 },
#endif
};
enum { N_LEVELS = sizeof levels / sizeof *levels };

int bb_cpu_level(const char *name)
{
    for (int i = 0; i < N_LEVELS; i++)
        if (strcmp(name, levels[i].name) == 0) return (int)levels[i].cpu;
    return -1;
}

static const char *best_name(unsigned cpu)
{
    const char *name = NULL;

    for (int i = 0; i < N_LEVELS; i++)
        if (!(levels[i].cpu & ~cpu)) name = levels[i].name;
    return name;
}

void bb_kernels_init(bb_kernels *k, unsigned cpu)
{
#if BB_X86
    if (cpu & BB_CPU_AVX512)    TAKE(k, avx512);
    else if (cpu & BB_CPU_AVX2) TAKE(k, avx2);
    else                        TAKE(k, c);
    if (cpu & BB_CPU_VNNI) {
        k->format[BB_FORMAT_Q8]          = bb_format_q8_avx512vnni;
        k->format[BB_FORMAT_Q4]          = bb_format_q4_avx512vnni;
        k->format[BB_FORMAT_Q8_FINE]     = bb_format_q8_fine_avx512vnni;
        k->cache[BB_TYPE_Q8].attend      = bb_attend_q8_avx512vnni;
        k->cache[BB_TYPE_Q8].attend_many = bb_attend_q8_avx512vnni;
        k->peak[BB_PEAK_I8]              = bb_peak_i8_avx512vnni;
    } else if (cpu & BB_CPU_AVXVNNI) {
        k->format[BB_FORMAT_Q8] = bb_format_q8_avxvnni;
        k->format[BB_FORMAT_Q4] = bb_format_q4_avxvnni;
        k->format[BB_FORMAT_Q8_FINE] = bb_format_q8_fine_avxvnni;
        k->peak[BB_PEAK_I8]     = bb_peak_i8_avxvnni;
    }
    if (cpu & BB_CPU_BF16) {
        k->format[BB_FORMAT_BF16]          = bb_format_bf16_avx512bf16;
        k->format[BB_FORMAT_F8]            = bb_format_f8_avx512bf16;
        k->format[BB_FORMAT_I8]            = bb_format_i8_avx512bf16;
        k->cache[BB_TYPE_BF16].attend_many = bb_attend_bf16_avx512bf16;
        k->peak[BB_PEAK_BF16]              = bb_peak_bf16_avx512bf16;
    }
#else
    TAKE(k, c);
#endif
    k->name = best_name(cpu);
    k->cpu  = cpu;
}

/* Products by decoded rows and the kernels of float32. */
static void multiply_decoded(bb_format *f, const bb_format *f32)
{
    f->activation   = BB_TYPE_F32;
    f->group        = f32->group;
    f->few_bytes    = f32->few_bytes;
    f->many_bytes   = f32->many_bytes;
    f->prepare_few  = f32->prepare_few;
    f->prepare_many = f32->prepare_many;
    f->few          = NULL;
    f->many         = NULL;
}

void bb_kernels_keep_f32(bb_kernels *k)
{
    bb_kernels strict;

    bb_kernels_init(&strict, k->cpu & ~(unsigned)BB_CPU_BF16);
    for (int i = 0; i < BB_N_FORMATS; i++)
        if (strict.format[i].activation == BB_TYPE_I8 || strict.format[i].activation == BB_TYPE_I16)
            multiply_decoded(&strict.format[i], &strict.format[BB_FORMAT_F32]);
    memcpy(k->format, strict.format, sizeof k->format);
    memcpy(k->cache, strict.cache, sizeof k->cache);
}

bool bb_format_is_like(const bb_format *a, const bb_format *b)
{
    return a == b || (a->type != BB_TYPE_NONE && a->type == b->type);
}

const bb_format *bb_format_of(const bb_kernels *k, bb_type stored)
{
    for (int i = 0; i < BB_N_FORMATS && stored != BB_TYPE_NONE; i++)
        if (k->format[i].type == stored) return &k->format[i];
    return NULL;
}
