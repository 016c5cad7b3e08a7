/* fuzz_adapter.c - the input is adapter_config.json, a NUL, and adapter_model.safetensors; bit 1 of
 * the second byte says whether the model's head is its embedding. */
#include "target.h"

#include "support/tempdir.h"

#include <stdlib.h>
#include <string.h>

enum { UNTIED, TIED, N_MODELS };

static char         *model_dir[N_MODELS], *merged_dir;
static bamba_model  *model[N_MODELS];
static bamba_engine *engine[N_MODELS];

static void close_all(void)
{
    for (int i = 0; i < N_MODELS; i++) {
        bamba_engine_free(engine[i]);
        bamba_model_free(model[i]);
        tempdir_remove(model_dir[i]);
    }
    tempdir_remove(merged_dir);
}

static void open_all(void)
{
    bamba_model_options  mo = BAMBA_MODEL_OPTIONS;
    bamba_engine_options eo = BAMBA_ENGINE_OPTIONS;

    mo.n_threads = eo.n_threads = 1;
    mo.cpu = "c";                         /* what every build of targets instruments */
    eo.n_batch = 4;
    for (int i = 0; i < N_MODELS; i++) {
        tiny_dims d = target_dims();
        d.tied = i == TIED;
        model_dir[i] = tempdir_make();
        tiny_write(&d, model_dir[i]);
        if (bamba_model_open(&model[i], model_dir[i], &mo, NULL) != BAMBA_OK) abort();
        if (bamba_engine_create(&engine[i], model[i], &eo, NULL) != BAMBA_OK) abort();
    }
    merged_dir = tempdir_make();
    atexit(close_all);
}

/* Run the adapter on three tokens. */
static void use_adapter(int which, const bamba_adapter *a)
{
    static const int32_t    ids[] = { 1, 2, 3 };
    const bamba_adapter_use use = { a, 1.0f };
    bamba_session_options   o = BAMBA_SESSION_OPTIONS;
    bamba_session          *s = NULL;
    const float            *logits;
    bamba_error             err;

    o.adapters = &use;
    o.n_adapters = 1;
    const bamba_status status = bamba_session_create(&s, model[which], &o, &err);
    target_check(status, s, &err, true);
    if (s) bamba_feed(engine[which], s, ids, 3, &logits, &err);
    bamba_session_free(s);
}

static void merge(int which, const bamba_allocator *a)
{
    const bamba_adapter_source source = { target_dir(), 1.0f };
    bamba_model_options        mo = BAMBA_MODEL_OPTIONS;
    bamba_error                err;

    mo.allocator = *a;
    mo.n_threads = 1;
    tempdir_empty(merged_dir);
    const bamba_status status = bamba_merge(model_dir[which], merged_dir, &source, 1, &mo,
                                            NULL, &err);
    target_check(status, status == BAMBA_OK ? &mo : NULL, &err, true);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    bamba_adapter_options o = BAMBA_ADAPTER_OPTIONS;
    bamba_adapter        *a = NULL;
    bamba_error           err;
    input                 in;

    if (!target_begin(&in, data, n, &o.allocator)) return 0;
    if (!merged_dir) open_all();
    const int which = data[1] & 2 ? TIED : UNTIED;
    target_write("adapter_config.json", target_part(&in));
    target_write("adapter_model.safetensors", in);
    const bamba_status status = bamba_adapter_open(&a, model[which], target_dir(), &o, &err);
    target_check(status, a, &err, false);
    if (a) {
        use_adapter(which, a);
        merge(which, &o.allocator);
    }
    bamba_adapter_free(a);
    target_end();
    return 0;
}

#ifdef BAMBA_LIBFUZZER
/* Change one of the files, mostly; one time in sixteen anything. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t most, unsigned seed)
{
    const uint8_t *end = n > 2 ? memchr(data + 2, 0, n - 2) : NULL;
    const size_t   front = end ? (size_t)(end + 1 - data) : 0;

    if (!end || seed % 16 == 0) return LLVMFuzzerMutate(data, n, most);
    if (seed % 16 == 1) return target_mutate_memory(data, n, seed);
    if (seed % 16 < 10) return front + target_mutate_tensors(data + front, n - front, most - front);
    const size_t behind = n - front + 1;              /* the NUL and the tensors */
    uint8_t     *tail = malloc(behind);
    if (!tail) return n;
    memcpy(tail, data + n - behind, behind);
    const size_t changed = LLVMFuzzerMutate(data + 2, front - 3, most - 2 - behind);
    memcpy(data + 2 + changed, tail, behind);
    free(tail);
    return 2 + changed + behind;
}
#endif
