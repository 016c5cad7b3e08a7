/* cpu.c - checks of levels: which families of instructions the registers of known processors name,
   and what the table makes of any set of families. Registers: public dumps of cpuid, InstLatX64. */
#include "check.h"

#include <stdio.h>
#include <string.h>

#define AMD   0x68747541, 0x69746e65, 0x444d4163
#define INTEL 0x756e6547, 0x49656e69, 0x6c65746e

enum { X87_SSE = 0x03, YMM = 0x07, ZMM = 0xe7 };      /* XCR0 */
enum {
    AVX2 = BB_CPU_AVX2, AVXVNNI = BB_CPU_AVXVNNI, AVX512 = BB_CPU_AVX512, VNNI = BB_CPU_VNNI,
    BF16 = BB_CPU_BF16,
    ALL = AVX2 | AVXVNNI | AVX512 | VNNI | BF16
};

typedef struct machine {
    const char *name;
    bb_cpuid    id;                       /* vendor, leaf 1, leaf 7, leaf 7.1, XCR0 */
    unsigned    families, fastest;
} machine;

static const machine machines[] = {
    { "Zen 4", { AMD, 0x7ef8320b, 0xf1bf97a9, 0x00405fce, 0x00000020, ZMM },
      ALL & ~AVXVNNI, ALL & ~AVXVNNI },
    { "Zen 5", { AMD, 0x7ed8320b, 0xf1bf97ab, 0x19405fce, 0x00000030, ZMM }, ALL, ALL },
    { "Emerald Rapids", { INTEL, 0x7ffefbff, 0xf3bfbfff, 0xfb417fee, 0x00001c30, ZMM },
      ALL, ALL & ~BF16 },
    { "Cascade Lake", { INTEL, 0x7ffefbff, 0xd39ffffb, 0x00000808, 0, ZMM },
      AVX2 | AVX512 | VNNI, AVX2 | AVX512 | VNNI },
    { "Cooper Lake, dots of bfloat16 without VBMI",
      { INTEL, 0x7ffefbff, 0xd39ffffb, 0x00000808, 0x00000020, ZMM },
      AVX2 | AVX512 | VNNI, AVX2 | AVX512 | VNNI },
    { "Alder Lake", { INTEL, 0x7ffafbbf, 0x239c27eb, 0x98c007ac, 0x00400810, YMM },
      AVX2 | AVXVNNI, AVX2 | AVXVNNI },
    { "Zen 3, in a virtual machine", { AMD, 0xfffa3203, 0x219c07ab, 0x00400684, 0, YMM },
      AVX2, AVX2 },
    { "Haswell", { INTEL, 0x7ffafbff, 0x000027ab, 0, 0, YMM }, AVX2, AVX2 },
    { "Penryn", { INTEL, 0x0400e39d, 0, 0, 0, 0 }, 0, 0 },
    { "Zen 5, a system without zmm", { AMD, 0x7ed8320b, 0xf1bf97ab, 0x19405fce, 0x00000030, YMM },
      AVX2 | AVXVNNI, AVX2 | AVXVNNI },
    { "Zen 4, a system without zmm", { AMD, 0x7ef8320b, 0xf1bf97a9, 0x00405fce, 0x00000020, YMM },
      AVX2, AVX2 },
    { "Zen 5, opmask but not all of zmm", { AMD, 0x7ed8320b, 0xf1bf97ab, 0x19405fce, 0x30, 0x67 },
      AVX2 | AVXVNNI, AVX2 | AVXVNNI },
    { "Emerald Rapids, a system without ymm",
      { INTEL, 0x7ffefbff, 0xf3bfbfff, 0xfb417fee, 0x00001c30, X87_SSE }, 0, 0 },
    { "Haswell, a system without xsave", { INTEL, 0x77fafbff, 0x000027ab, 0, 0, 0 }, 0, 0 },
    { "Haswell, FMA switched off", { INTEL, 0x7ffaebff, 0x000027ab, 0, 0, YMM }, 0, 0 },
};
enum { N_MACHINES = sizeof machines / sizeof *machines };

static void check_machines(check *c)
{
    for (int i = 0; i < N_MACHINES; i++) {
        const machine *m = &machines[i];
        check_case(c, "%s", m->name);
        check_true(c, bb_cpu_families(&m->id) == m->families, "other families");
        check_true(c, bb_cpu_fastest(&m->id) == m->fastest, "other families are the fastest");
        check_done(c);
    }
    check_case(c, "this machine");
    check_true(c, !(bb_cpu_best() & ~bb_cpu_detect()), "what is best is not there");
    check_true(c, (bb_cpu_detect() & ~(unsigned)BB_CPU_BF16)
                      == (bb_cpu_best() & ~(unsigned)BB_CPU_BF16), "more than BF16 is left out");
    check_done(c);
}

static void check_names(check *c)
{
    for (int i = 0; i < CHECK_LEVELS; i++) {
        const int  cpu = bb_cpu_level(check_levels[i]);
        bb_kernels k;
        check_case(c, "level %s", check_levels[i]);
        if (cpu >= 0) {
            bb_kernels_init(&k, (unsigned)cpu);
            check_true(c, strcmp(k.name, check_levels[i]) == 0, "the table has another name");
            check_true(c, k.cpu == (unsigned)cpu, "the table has another set");
        }
        check_done(c);
    }
    check_case(c, "names of no level");
    check_true(c, bb_cpu_level("c") == 0, "portable C needs a family");
    check_true(c, bb_cpu_level("z80") == -1 && bb_cpu_level("") == -1, "another level has a set");
    check_done(c);
}

/* Every set that a machine can have, larger than a level or not. */
static void check_sets(check *c)
{
    const unsigned known = (unsigned)bb_cpu_level("avx2") == ~0u ? 0 : ALL;

    for (unsigned cpu = 0; cpu <= known; cpu++) {
        bb_kernels k;
        if ((cpu & ~(unsigned)AVX2 && !(cpu & AVX2)) || (cpu & VNNI && !(cpu & AVX512))
            || (cpu & BF16 && !(cpu & VNNI)))
            continue;
        check_case(c, "set 0x%x", cpu);
        bb_kernels_init(&k, cpu);
        const unsigned level = (unsigned)bb_cpu_level(k.name);
        check_true(c, !(level & ~cpu), "the name promises more than the set has");
        for (int i = 0; i < CHECK_LEVELS; i++) {
            const unsigned other = (unsigned)bb_cpu_level(check_levels[i]);
            check_true(c, (other & ~cpu) || other <= level, "a better name fits");
        }
        check_true(c, !k.peak[BB_PEAK_I8] == !(cpu & (AVXVNNI | VNNI)), "int8 peak");
        check_true(c, !k.peak[BB_PEAK_BF16] == !(cpu & BF16), "bfloat16 peak");
        check_true(c, (k.format[BB_FORMAT_BF16].activation == BB_TYPE_BF16) == !!(cpu & BF16),
                   "bfloat16 products");
        bb_kernels_keep_f32(&k);
        for (int i = 0; i < BB_N_FORMATS; i++)
            check_true(c, k.format[i].activation == BB_TYPE_F32, "a format still rounds");
        check_done(c);
    }
}

void check_cpu(check *c)
{
    bb_kernels portable;

    bb_kernels_init(&portable, 0);
    c->k = &portable;
    check_begin(c, "levels", (check_any_fn *)bb_cpu_detect, NULL);
    check_machines(c);
    check_names(c);
    check_sets(c);
    check_end(c);
}
