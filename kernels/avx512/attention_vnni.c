/* attention_vnni.c - attention over an int8 cache by dot products of 16-bit whole numbers, which
 * multiply and add in one instruction what takes the other levels two: the same bits. */
#include "simd/attention.h"

DEFINE_ATTEND(bb_attend_q8_avx512vnni, BB_TYPE_Q8)
