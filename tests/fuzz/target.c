/* target.c - what fuzz targets share: files made of the input, and memory that runs out. */
#include "target.h"

#include "support/fault.h"
#include "support/tempdir.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_BYTES = 256 << 20 };          /* of one block: what a hostile size may ask for */

static fault           memory;
static bamba_allocator faulty;
static char           *dir;

static void stop(const char *what, const char *more)
{
    fprintf(stderr, "broken promise: %s: %s\n", what, more);
    abort();
}

static void *allocate(void *unused, size_t bytes)
{
    (void)unused;
    return bytes > MOST_BYTES ? NULL : faulty.allocate(faulty.context, bytes);
}

static void release(void *unused, void *block)
{
    (void)unused;
    faulty.release(faulty.context, block);
}

bool target_begin(input *in, const uint8_t *data, size_t n, bamba_allocator *a)
{
    if (n < 2) return false;
    memory = (fault){ .fail_at = data[0], .forever = data[1] & 1 };
    faulty = fault_allocator(&memory);
    *a = (bamba_allocator){ allocate, release, NULL };
    *in = (input){ data + 2, n - 2 };
    return true;
}

void target_end(void)
{
    if (memory.n_live) stop("blocks leaked", "");
}

static void remove_dir(void)
{
    tempdir_remove(dir);
}

const char *target_dir(void)
{
    if (!dir) {
        dir = tempdir_make();
        atexit(remove_dir);
    }
    return dir;
}

tiny_dims target_dims(void)
{
    tiny_dims d = TINY_DIMS;

    d.n_vocab = 16;
    d.d_model = 8;
    d.d_mlp = 8;
    d.n_layers = 2;
    d.n_heads = 2;
    d.n_kv_heads = 1;
    d.ssm_heads = d.ssm_head_dim = d.ssm_state = 4;
    d.ssm_groups = 1;
    d.dtype = "BF16";
    return d;
}

void target_write_model(int n_shards)
{
    tiny_dims d = target_dims();

    d.n_shards = n_shards;
    tiny_write(&d, target_dir());
}

input target_part(input *in)
{
    const uint8_t *end = in->n ? memchr(in->data, 0, in->n) : NULL;
    const input    part = { in->data, end ? (size_t)(end - in->data) : in->n };

    in->data = end ? end + 1 : in->data + in->n;
    in->n -= part.n + (end != NULL);
    return part;
}

void target_write(const char *name, input part)
{
    char *path = tempdir_path(target_dir(), name);

    if (part.n) tempdir_write(dir, name, part.data, part.n);
    else remove(path);
    free(path);
}

void target_check(bamba_status status, const void *object, const bamba_error *err, bool strict)
{
    if ((status == BAMBA_OK) != (object != NULL)) stop("status and object disagree", err->message);
    if (status == BAMBA_OK) return;
    if (err->code != status || !err->message[0]) stop("status without message", err->message);
    for (const char *c = err->message; *c; c++)
        if ((unsigned char)*c < 0x20) stop("a message of more than one line", err->message);
    if (strict && memory.n_refused && status != BAMBA_ERR_MEMORY)
        stop("failing memory is reported as something else", err->message);
}

void target_run_model(const bamba_allocator *a)
{
    static const int32_t  ids[] = { 1, 2, 3 };
    bamba_model_options   mo = BAMBA_MODEL_OPTIONS;
    bamba_engine_options  eo = BAMBA_ENGINE_OPTIONS;
    bamba_sampler_options so = BAMBA_SAMPLER_OPTIONS;
    bamba_model          *model = NULL;
    bamba_engine         *engine = NULL;
    bamba_session        *session = NULL;
    const float          *logits;
    bamba_error           err;
    char                  text[64];

    mo.allocator = *a;
    mo.n_threads = eo.n_threads = 1;
    mo.cpu = "c";                         /* what every build of targets instruments */
    eo.n_batch = 4;
    bamba_status status = bamba_model_open(&model, target_dir(), &mo, &err);
    target_check(status, model, &err, true);
    if (model) {
        bamba_model_describe(model, text, sizeof text);
        bamba_model_sampler_defaults(model, &so);
        status = bamba_engine_create(&engine, model, &eo, &err);
        target_check(status, engine, &err, true);
        status = bamba_session_create(&session, model, NULL, &err);
        target_check(status, session, &err, true);
    }
    if (engine && session) bamba_feed(engine, session, ids, 3, &logits, &err);
    bamba_session_free(session);
    bamba_engine_free(engine);
    bamba_model_free(model);
}

#ifdef BAMBA_LIBFUZZER
enum { LENGTH = 8 };                      /* bytes of a header's length */

size_t target_mutate_memory(uint8_t *data, size_t n, unsigned seed)
{
    data[0] = (uint8_t)(seed >> 8);
    data[1] = (uint8_t)(seed >> 16);
    return n;
}

size_t target_mutate_tensors(uint8_t *data, size_t n, size_t most)
{
    uint64_t header = 0;

    if (n < LENGTH) return LLVMFuzzerMutate(data, n, most);
    for (int i = LENGTH; i-- > 0;) header = header << 8 | data[i];
    if (header > n - LENGTH) header = n - LENGTH;
    const size_t behind = n - LENGTH - (size_t)header;
    uint8_t     *tail = malloc(behind + 1);
    if (!tail) return n;
    memcpy(tail, data + n - behind, behind);
    const size_t changed = LLVMFuzzerMutate(data + LENGTH, (size_t)header, most - LENGTH - behind);
    memcpy(data + LENGTH + changed, tail, behind);
    free(tail);
    for (int i = 0; i < LENGTH; i++) data[i] = (uint8_t)((uint64_t)changed >> 8 * i);
    return LENGTH + changed + behind;
}
#endif
