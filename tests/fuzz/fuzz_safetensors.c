/* fuzz_safetensors.c - the input is the model.safetensors of a small model. */
#include "target.h"

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
/* One time in sixteen change anything. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t most, unsigned seed)
{
    if (n < 3 || seed % 16 == 0) return LLVMFuzzerMutate(data, n, most);
    if (seed % 16 == 1) return target_mutate_memory(data, n, seed);
    return 2 + target_mutate_tensors(data + 2, n - 2, most - 2);
}
#endif
