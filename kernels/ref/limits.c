/* limits.c - what the machine itself can do, in portable C. */
#include "../variants.h"

#include <string.h>

uint64_t bb_read_c(size_t n, const void *data)
{
    const unsigned char *p = data;
    uint64_t sum[8] = { 0 };
    uint64_t word[8];

    for (; n >= sizeof word; n -= sizeof word, p += sizeof word) {
        memcpy(word, p, sizeof word);
        for (int i = 0; i < 8; i++) sum[i] += word[i];
    }
    for (int i = 1; i < 8; i++) sum[0] += sum[i];
    return sum[0];
}

double bb_peak_f32_c(long rounds, float *sink)
{
    enum { N = 32 };                      /* independent sums: eight baseline registers */
    float sum[N];

    for (int i = 0; i < N; i++) sum[i] = (float)i;
    for (long r = 0; r < rounds; r++)
        for (int i = 0; i < N; i++) sum[i] = sum[i] * 0.999f + 0.5f;
    for (int i = 0; i < N; i++) *sink += sum[i];
    return 2.0 * N * (double)rounds;
}
