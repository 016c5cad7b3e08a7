/* encode.c - encode of the formats of 8 and 4 bits, as wide as the compiler's target allows. */
#include "../variants.h"

#define BB_ENCODE(name) name##_c
#include "encode.h"
