/* fuzz_config.c - the input is a config.json without weights. */
#include "target.h"

#include <stdlib.h>

#include "support/tempdir.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    bamba_model_options o = BAMBA_MODEL_OPTIONS;
    bamba_model        *model = NULL;
    bamba_model_info    info = { .struct_bytes = sizeof info };
    bamba_error         err;
    input               in;

    if (!target_begin(&in, data, n, &o.allocator)) return 0;
    tempdir_write(target_dir(), "config.json", in.data, in.n);
    char *path = tempdir_path(target_dir(), "config.json");
    const bamba_status status = bamba_model_open_config(&model, path, &o, &err);
    target_check(status, model, &err, true);
    if (model) {
        char text[256];
        bamba_model_info_get(model, &info);
        bamba_model_describe(model, text, sizeof text);
        bamba_model_state_bytes(model, 1000);
    }
    bamba_model_free(model);
    free(path);
    target_end();
    return 0;
}
