/* limits.c - what the machine itself can do: the fastest reading, the most multiply-adds. */
#include "simd/peak.h"

DEFINE_PEAK(BB_ISA(bb_peak_f32), "vfmadd231ps", vi_of(vf_set1(0.5f)), vi_of(vf_set1(0.001f)), 2)

uint64_t BB_ISA(bb_read)(size_t n, const void *data)
{
    enum { SIZE = sizeof(vi), N = 8 };    /* N sums side by side */
    /* Every second line is prefetched with AVX-512: a core of Zen 4 reads 36 GB/s, without 33. A
       core of Zen 3, which has AVX2 alone, reads 13 GB/s with it and 18 without. */
    enum { AHEAD = 16 * 1024, STEP = BB_VEC_512 ? 128 : 0 };      /* bytes */
    const unsigned char *p = data;
    uint64_t lane[SIZE / 8], total = 0;
    vi       sum[N];

    BB_UNROLL
    for (int i = 0; i < N; i++) sum[i] = vi_of(vf_zero());
    for (; n >= N * SIZE; n -= N * SIZE, p += N * SIZE) {
        for (int i = 0; STEP > 0 && i < N * SIZE; i += STEP)
            _mm_prefetch((const char *)p + AHEAD + i, _MM_HINT_T1);
        BB_UNROLL
        for (int i = 0; i < N; i++) sum[i] = BB_MM(add_epi64)(sum[i], vi_load(p + SIZE * i));
    }
    for (; n >= SIZE; n -= SIZE, p += SIZE) sum[0] = BB_MM(add_epi64)(sum[0], vi_load(p));
    BB_UNROLL
    for (int i = 1; i < N; i++) sum[0] = BB_MM(add_epi64)(sum[0], sum[i]);
    memcpy(lane, &sum[0], sizeof lane);
    for (size_t i = 0; i < SIZE / 8; i++) total += lane[i];
    return total;
}
