/* fuzz_index.c - the input is the index of a small model in two shards. */
#include "target.h"

#include "support/tempdir.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static bool     written;
    bamba_allocator a;
    input           in;

    if (!target_begin(&in, data, n, &a)) return 0;
    if (!written) target_write_model(2);
    written = true;
    tempdir_write(target_dir(), "model.safetensors.index.json", in.data, in.n);
    target_run_model(&a);
    target_end();
    return 0;
}
