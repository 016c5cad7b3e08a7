/* encode.c - encode of the formats of 8 and 4 bits: that of ref/, in wider registers. */
#include "../variants.h"
#include "vec.h"

#define BB_ENCODE(name) BB_ISA(name)
#include "../ref/encode.h"
