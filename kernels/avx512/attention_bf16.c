/* attention_bf16.c - attention of many rows over a bfloat16 cache by dot-product instructions.
 *
 * 1.6 times the speed of the float32 kernel, at the price of queries and probabilities in
 * bfloat16. A single row waits for memory: there float32 arithmetic is as fast. */
#include "simd/attention.h"

DEFINE_ATTEND(bb_attend_bf16_avx512bf16, DOT)
