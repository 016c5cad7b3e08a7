/* dtype.c - element types of stored tensors.
 * Source: huggingface/safetensors, safetensors/src/tensor.rs, enum Dtype. */
#include "load/dtype.h"

#include <string.h>

static const struct {
    const char *name;
    unsigned    bits;
} table[BB_N_TYPES] = {
    [BB_TYPE_NONE]  = { "?",           0 },
    [BB_TYPE_F32]         = { "F32",        32 },
    [BB_TYPE_BF16]        = { "BF16",       16 },
    [BB_TYPE_F16]         = { "F16",        16 },
    [BB_TYPE_Q8]          = { "Q8",          0 },    /* in no file by this name */
    [BB_TYPE_Q4]          = { "Q4",          0 },
    [BB_TYPE_F64]         = { "F64",        64 },
    [BB_TYPE_F8_E4M3]     = { "F8_E4M3",     8 },
    [BB_TYPE_F8_E5M2]     = { "F8_E5M2",     8 },
    [BB_TYPE_F8_E8M0]     = { "F8_E8M0",     8 },
    [BB_TYPE_F8_E4M3FNUZ] = { "F8_E4M3FNUZ", 8 },
    [BB_TYPE_F8_E5M2FNUZ] = { "F8_E5M2FNUZ", 8 },
    [BB_TYPE_F6_E2M3]     = { "F6_E2M3",     6 },
    [BB_TYPE_F6_E3M2]     = { "F6_E3M2",     6 },
    [BB_TYPE_F4]          = { "F4",          4 },
    [BB_TYPE_I8]          = { "I8",          8 },
    [BB_TYPE_U8]          = { "U8",          8 },
    [BB_TYPE_I16]         = { "I16",        16 },
    [BB_TYPE_U16]         = { "U16",        16 },
    [BB_TYPE_I32]         = { "I32",        32 },
    [BB_TYPE_U32]         = { "U32",        32 },
    [BB_TYPE_I64]         = { "I64",        64 },
    [BB_TYPE_U64]         = { "U64",        64 },
    [BB_TYPE_BOOL]        = { "BOOL",        8 },
    [BB_TYPE_C64]         = { "C64",        64 },
};

const char *bb_type_name(bb_type t) { return table[t].name; }

unsigned bb_type_bits(bb_type t) { return table[t].bits; }

bb_type bb_type_find(const char *name, size_t n)
{
    for (int t = BB_TYPE_NONE + 1; t < BB_N_TYPES; t++)
        if (table[t].bits > 0 && strlen(table[t].name) == n && memcmp(table[t].name, name, n) == 0)
            return (bb_type)t;
    return BB_TYPE_NONE;
}
