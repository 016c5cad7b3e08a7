/* The default allocator, and what libraries and libc allocate behind it: each allocation fails
 * once, and once and for all. Then a call returns BAMBA_ERR_MEMORY, or BAMBA_OK and what it returns
 * without the failure.
 *
 * The program has its own malloc, so a build with sanitizers leaves it out; there test_oom and
 * test_hostile_tokenizer fail the caller's allocator. */
#include "bamba.h"

#include "support/tempdir.h"
#include "support/tiny.h"

#include <dlfcn.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { GIVE_UP_AT = 5000, N_TOKENS = 40, N_VOCAB = 96 };

static struct {
    bool   on, forever;
    size_t n_calls, fail_at, n_refused;
    long   n_live;                        /* of this round */
} m;

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t bytes);
void *__libc_realloc(void *block, size_t n);
void *__libc_memalign(size_t align, size_t n);
void  __libc_free(void *block);

/* Whether this one fails. Those of OpenMP and OpenBLAS never do: it would end the program. */
static bool refuse(const void *caller)
{
    Dl_info from;

    if (!m.on) return false;
    m.on = false;
    const bool theirs = dladdr(caller, &from) && from.dli_fname &&
                        (strstr(from.dli_fname, "omp.so") || strstr(from.dli_fname, "openblas"));
    m.on = true;
    if (theirs || ++m.n_calls < m.fail_at || (m.n_calls > m.fail_at && !m.forever)) return false;
    m.n_refused++;
    errno = ENOMEM;
    return true;
}

static void *count(void *block)
{
    if (m.on && block) m.n_live++;
    return block;
}

#define CALLER __builtin_return_address(0)

void *malloc(size_t n)
{
    return refuse(CALLER) ? NULL : count(__libc_malloc(n));
}

void *calloc(size_t n, size_t bytes)
{
    return refuse(CALLER) ? NULL : count(__libc_calloc(n, bytes));
}

void *realloc(void *block, size_t n)
{
    if (refuse(CALLER)) return NULL;
    return block ? __libc_realloc(block, n) : count(__libc_realloc(block, n));
}

void *aligned_alloc(size_t align, size_t n)
{
    return refuse(CALLER) ? NULL : count(__libc_memalign(align, n));
}

void free(void *block)
{
    if (m.on && block) m.n_live--;
    __libc_free(block);
}

/* -------------------------------------------------------------- one round ---------------- */

typedef bamba_status round_fn(const char *dir, void *out, bamba_error *err);

static bamba_status run_model(const char *dir, void *out, bamba_error *err)
{
    bamba_model_options  mo = BAMBA_MODEL_OPTIONS;
    bamba_engine_options eo = BAMBA_ENGINE_OPTIONS;
    bamba_model         *model = NULL;
    bamba_engine        *engine = NULL;
    bamba_session       *session = NULL;
    int32_t              ids[N_TOKENS];
    const float         *logits;

    for (int i = 0; i < N_TOKENS; i++) ids[i] = (i * 7 + 3) % N_VOCAB;
    mo.n_threads = eo.n_threads = 1;
    bamba_status status = bamba_model_open(&model, dir, &mo, err);
    if (status == BAMBA_OK) status = bamba_engine_create(&engine, model, &eo, err);
    if (status == BAMBA_OK) status = bamba_session_create(&session, model, NULL, err);
    if (status == BAMBA_OK) status = bamba_feed(engine, session, ids, N_TOKENS, &logits, err);
    if (status == BAMBA_OK) memcpy(out, logits, N_VOCAB * sizeof *logits);
    bamba_session_free(session);
    bamba_engine_free(engine);
    bamba_model_free(model);
    return status;
}

static bamba_status run_tokenizer(const char *dir, void *out, bamba_error *err)
{
    static const char text[] =
        "<s>Once upon a time, in 1812 \xC3\xA9t\xC3\xA9s \xEF\xAC\x81 e\xCC\x81 a\xCC\xA3\xCC\x81"
        "\xCC\xA3\xCC\x81\xCC\xA3\xCC\x81\xCC\xA3\xCC\x81\xCC\xA3\xCC\x81";
    bamba_tokenizer  *t = NULL;
    int32_t          *ids = NULL;
    size_t            n = 0;
    bamba_status      status = bamba_tokenizer_open(&t, dir, NULL, err);

    if (status == BAMBA_OK) {
        status = bamba_tokenize(t, text, sizeof text - 1, 0, &ids, &n, err);
        if (status == BAMBA_OK) memcpy(out, ids, n * sizeof *ids);
        bamba_tokens_free(t, ids);
    }
    bamba_tokenizer_free(t);
    return status;
}

static bamba_status round_at(size_t k, round_fn *run, const char *dir, void *out)
{
    bamba_error err = { BAMBA_OK, "" };

    m.n_calls = m.n_refused = 0;
    m.n_live = 0;
    m.fail_at = k;
    m.on = true;
    const bamba_status status = run(dir, out, &err);
    m.on = false;
    if (m.n_live) fail_msg("allocation %zu: %ld blocks leaked", k, m.n_live);
    if (status != BAMBA_OK && status != BAMBA_ERR_MEMORY)
        fail_msg("allocation %zu: status %d: %s", k, status, err.message);
    return status;
}

static void check_each(bool forever, round_fn *run, const char *dir)
{
    unsigned char expected[N_VOCAB * sizeof(float)] = { 0 };
    size_t        n_failed = 0;
    bamba_error   err;

    assert_int_equal(run(dir, expected, &err), BAMBA_OK);      /* what is allocated once for all */
    m.forever = forever;
    for (size_t k = 1; k < GIVE_UP_AT; k++) {
        unsigned char      found[sizeof expected] = { 0 };
        const bamba_status status = round_at(k, run, dir, found);
        if (status == BAMBA_OK) assert_memory_equal(found, expected, sizeof expected);
        else n_failed++;
        if (m.n_refused == 0) {
            assert_int_equal(status, BAMBA_OK);
            assert_true(n_failed >= 10);
            return;
        }
    }
    fail_msg("no end of allocations");
}

static void check(round_fn *run, const char *dir)
{
    check_each(false, run, dir);
    check_each(true, run, dir);
}

static void test_model(void **state)
{
    const tiny_dims d = TINY_DIMS;
    char           *dir = tempdir_make();
    char           *config = tiny_config(&d, "rope_theta", "20000.0");

    (void)state;
    tiny_write(&d, dir);
    tempdir_write_text(dir, "config.json", config);
    tempdir_write_text(dir, "generation_config.json", "{\"eos_token_id\": [1, 2, 3]}");
    check(run_model, dir);
    free(config);
    tempdir_remove(dir);
}

static void test_tokenizer(void **state)
{
    (void)state;
    check(run_tokenizer, BB_TEST_SOURCE_DIR "/models/fable");
}

/* fable's tokenizer behind normal forms, which utf8proc's tables make: the text is decomposed, its
   marks are sorted, and it is composed again. */
static void test_normalizer(void **state)
{
    static const char absent[] = "\"normalizer\": null";
    static const char forms[] = "\"normalizer\": {\"type\": \"Sequence\", \"normalizers\": "
                                "[{\"type\": \"NFD\"}, {\"type\": \"NFC\"}, "
                                "{\"type\": \"NFKC\"}]}";
    size_t         n;
    unsigned char *bytes = tempdir_read(BB_TEST_SOURCE_DIR "/models/fable", "tokenizer.json", &n);
    char          *file = calloc(n + 1, 1), *changed = calloc(n + sizeof forms, 1);
    char          *dir = tempdir_make();

    (void)state;
    memcpy(file, bytes, n);
    const char *at = strstr(file, absent);
    assert_non_null(at);
    memcpy(changed, file, (size_t)(at - file));
    strcat(changed, forms);
    strcat(changed, at + sizeof absent - 1);
    tempdir_write_text(dir, "tokenizer.json", changed);
    check(run_tokenizer, dir);
    free(changed);
    free(file);
    free(bytes);
    tempdir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_tokenizer),
        cmocka_unit_test(test_normalizer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
