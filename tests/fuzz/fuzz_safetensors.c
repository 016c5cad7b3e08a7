/* fuzz_safetensors.c - the input is the model.safetensors of a small model. */
#include "target.h"

#include <stdlib.h>
#include <string.h>

#include "support/tempdir.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static bool     written;
    bamba_allocator a;
    input           in;

    if (!target_begin(&in, data, n, &a)) return 0;
    if (!written) target_write_model(0);
    written = true;
    tempdir_write(target_dir(), "model.safetensors", in.data, in.n);
    target_run_model(&a);
    target_end();
    return 0;
}

#ifdef BAMBA_LIBFUZZER
size_t LLVMFuzzerMutate(uint8_t *data, size_t n, size_t most);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t most, unsigned seed);

enum { FRONT = 2 + 8 };                   /* memory, length of the header */

/* Change the header and keep its length right, else nearly every input would be refused there; one
   time in sixteen change anything. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t most, unsigned seed)
{
    uint64_t header = 0;

    if (n < FRONT || seed % 16 == 0) return LLVMFuzzerMutate(data, n, most);
    if (seed % 16 == 1) {                 /* which allocation fails */
        data[0] = (uint8_t)(seed >> 8);
        data[1] = (uint8_t)(seed >> 16);
        return n;
    }
    for (int i = 8; i-- > 0;) header = header << 8 | data[2 + i];
    if (header > n - FRONT) header = n - FRONT;
    const size_t behind = n - FRONT - (size_t)header;
    uint8_t     *tail = malloc(behind + 1);
    if (!tail) return n;
    memcpy(tail, data + n - behind, behind);
    const size_t changed = LLVMFuzzerMutate(data + FRONT, (size_t)header, most - FRONT - behind);
    memcpy(data + FRONT + changed, tail, behind);
    free(tail);
    for (int i = 0; i < 8; i++) data[2 + i] = (uint8_t)((uint64_t)changed >> 8 * i);
    return FRONT + changed + behind;
}
#endif
