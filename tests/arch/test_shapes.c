/* test_shapes.c - models/shapes: the sizes of published models from their config.json alone. */
#include "bamba.h"

#include "support/tempdir.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FOLDER BB_TEST_SOURCE_DIR "/models/shapes"

static const struct shape {
    const char *name, *architecture;
    uint64_t    n_params;
    int         n_vocab, n_layers, d_model, n_context;
} shapes[] = {
    { "bamba-9b",           "bamba",  UINT64_C(9780235392), 128256, 32, 4096, 262144 },
    { "granite-4.0-h-350m", "granitemoehybrid", UINT64_C(340332224), 100352, 32, 768, 32768 },
    { "granite-4.0-h-1b", "granitemoehybrid", UINT64_C(1461538368), 100352, 40, 1536, 131072 },
    { "granite-4.0-h-micro", "granitemoehybrid", UINT64_C(3191396096), 100352, 40, 2048, 131072 },
    { "granite-4.0-h-tiny", "granitemoehybrid", UINT64_C(6939037248), 100352, 40, 1536, 131072 },
    { "granite-4.0-h-small", "granitemoehybrid", UINT64_C(32207337984), 100352, 40, 4096, 131072 },
    { "granite-4.0-micro", "granitemoehybrid", UINT64_C(3402836480), 100352, 40, 2560, 131072 },
    { "granite-4.1-3b",     "granite", UINT64_C(3402836480), 100352, 40, 2560, 131072 },
    { "granite-4.1-8b",     "granite", UINT64_C(8380551168), 100352, 40, 4096, 131072 },
    { "granite-4.1-30b",    "granite", UINT64_C(28865728512), 100352, 64, 4096, 131072 },
    { "hybrid-1b",          "bamba",  UINT64_C(1218615424),  32000, 16, 2048,   8192 },
    { "llama-1b",           "llama",  UINT64_C(1221675008),  32000, 20, 2048,   8192 },
    { "llama-3.1-8b",       "llama",  UINT64_C(8030261248), 128256, 32, 4096, 131072 },
    { "llama-3.2-1b",       "llama",  UINT64_C(1235814400), 128256, 16, 2048, 131072 },
    { "llama-3.2-3b",       "llama",  UINT64_C(3212749824), 128256, 28, 3072, 131072 },
    { "smollm2-135m",       "llama",  UINT64_C(134515008),   49152, 30,  576,   8192 },
    { "falcon-h1-0.5b",      "falcon_h1", UINT64_C(521411104),    32784, 36, 1024,  16384 },
    { "falcon-h1-1.5b",      "falcon_h1", UINT64_C(1554789760),   65537, 24, 2048, 131072 },
    { "falcon-h1-1.5b-deep", "falcon_h1", UINT64_C(1554773392),   65537, 66, 1280, 131072 },
    { "falcon-h1-3b",        "falcon_h1", UINT64_C(3149256192),   65536, 32, 2560, 131072 },
    { "falcon-h1-7b",        "falcon_h1", UINT64_C(7585513568),  130048, 44, 3072, 262144 },
    { "falcon-h1-34b",       "falcon_h1", UINT64_C(33642221312), 261120, 72, 5120, 262144 },
    { "falcon-mamba-7b",    "falcon_mamba", UINT64_C(7272665088), 65024, 64, 4096, 0 },
    { "jamba-1.5-mini",     "jamba",  UINT64_C(51570323328), 65536, 32, 4096, 262144 },
    { "jamba-1.5-large",    "jamba",  UINT64_C(398555145696), 65536, 72, 8192, 262144 },
    { "jamba-reasoning-3b", "jamba",  UINT64_C(3029337472),  65536, 28, 2560, 262144 },
    { "mamba-130m",         "mamba",  UINT64_C(129135360),   50277, 24,  768,      0 },
    { "mamba-370m",         "mamba",  UINT64_C(371516416),   50277, 48, 1024,      0 },
    { "mamba-790m",         "mamba",  UINT64_C(793204224),   50277, 48, 1536,      0 },
    { "mamba-1.4b",         "mamba",  UINT64_C(1372178432),  50277, 48, 2048,      0 },
    { "mamba-2.8b",         "mamba",  UINT64_C(2768345600),  50277, 64, 2560,      0 },
    { "mamba2-130m",        "mamba2", UINT64_C(128989632),   50277, 24,  768,      0 },
    { "mamba2-370m",        "mamba2", UINT64_C(368346624),   50277, 48, 1024,      0 },
    { "mamba2-780m",        "mamba2", UINT64_C(780161280),   50277, 48, 1536,      0 },
    { "mamba2-1.3b",        "mamba2", UINT64_C(1343757312),  50277, 48, 2048,      0 },
    { "mamba2-2.7b",        "mamba2", UINT64_C(2702599680),  50277, 64, 2560,      0 },
    { "mamba2attn-2.7b",    "mamba2", UINT64_C(2697590880),  50277, 64, 2560,      0 },
    { "bamba-9b-mamba-ssm", "mamba2", UINT64_C(9780235392), 128256, 32, 4096,      0 },
    { "zamba-7b",           "zamba",  UINT64_C(7232490496),  32000, 76, 3712,   4096 },
    { "zamba2-1.2b",        "zamba2", UINT64_C(1215064704),  32000, 38, 2048,   4096 },
    { "zamba2-2.7b",        "zamba2", UINT64_C(2662214560),  32000, 54, 2560,   4096 },
    { "zamba2-7b",          "zamba2", UINT64_C(7356749648),  32000, 81, 3584,   4096 },
    { "codestral-mamba-7b", "mamba2", UINT64_C(7285403648),  32768, 64, 4096,      0 },
    { "nemotron-h-4b",       "nemotron_h", UINT64_C(4489223040), 131072, 52, 3072, 4096 },
    { "nemotron-h-8b",       "nemotron_h", UINT64_C(8100852736), 131072, 52, 4096, 4096 },
    { "nemotron-h-47b",      "nemotron_h", UINT64_C(46791554816), 131072, 98, 8192, 4096 },
    { "nemotron-h-56b",      "nemotron_h", UINT64_C(56324350464), 131072, 118, 8192, 4096 },
    { "nemotron-nano-9b-v2", "nemotron_h", UINT64_C(8888227328), 131072, 56, 4480, 4096 },
    { "nemotron-nano-12b-v2", "nemotron_h", UINT64_C(12310001152), 131072, 62, 5120, 4096 },
    { "nemotron-3-nano-4b",  "nemotron_h", UINT64_C(3973556832), 131072, 42, 3136, 4096 },
    { "nemotron-3-nano-30b-a3b", "nemotron_h", UINT64_C(31577940288), 131072, 52, 2688, 4096 },
};
enum { N_SHAPES = sizeof shapes / sizeof shapes[0] };

static bamba_status open_shape(const char *name, bamba_model **model, bamba_error *err)
{
    char path[512];

    snprintf(path, sizeof path, FOLDER "/%s.json", name);
    return bamba_model_open_config(model, path, NULL, err);
}

static void test_sizes(void **unused)
{
    (void)unused;
    for (int i = 0; i < N_SHAPES; i++) {
        const struct shape *s = &shapes[i];
        bamba_model_info    info = BAMBA_MODEL_INFO;
        bamba_model        *model;
        bamba_error         err;

        if (open_shape(s->name, &model, &err) != BAMBA_OK) fail_msg("%s", err.message);
        assert_int_equal(bamba_model_info_get(model, &info), BAMBA_OK);
        assert_string_equal(info.architecture, s->architecture);
        if (info.n_params != s->n_params)
            fail_msg("%s: %llu parameters", s->name, (unsigned long long)info.n_params);
        assert_int_equal(info.n_vocab, s->n_vocab);
        assert_int_equal(info.n_layers, s->n_layers);
        assert_int_equal(info.d_model, s->d_model);
        assert_int_equal(info.n_context, s->n_context);
        bamba_model_free(model);
    }
}

/* The whole plan, against name.plan beside this file. */
static void test_plans(void **unused)
{
    static const char *const names[] = { "llama-3.1-8b", "mamba-130m", "mamba2-130m",
                                         "codestral-mamba-7b", "falcon-h1-0.5b",
                                         "falcon-mamba-7b", "granite-4.0-h-tiny",
                                         "jamba-1.5-mini", "nemotron-h-8b", "zamba2-1.2b" };

    (void)unused;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char         file[64];
        bamba_model *model;

        snprintf(file, sizeof file, "%s.plan", names[i]);
        assert_int_equal(open_shape(names[i], &model, NULL), BAMBA_OK);
        char        *expected = (char *)tempdir_read(BB_TEST_SOURCE_DIR "/tests/arch", file, NULL);
        const size_t n = bamba_model_describe(model, NULL, 0);
        char        *found = malloc(n + 1);
        assert_non_null(found);
        bamba_model_describe(model, found, n + 1);
        assert_string_equal(found, expected);
        free(found);
        free(expected);
        bamba_model_free(model);
    }
}

/* Every file is in the table above, and says where it comes from. */
static void test_every_file(void **unused)
{
    DIR           *dir = opendir(FOLDER);
    struct dirent *entry;
    int            n = 0;

    (void)unused;
    assert_non_null(dir);
    while ((entry = readdir(dir))) {
        const size_t length = strlen(entry->d_name);
        if (length < 5 || strcmp(entry->d_name + length - 5, ".json") != 0) continue;
        char *text = (char *)tempdir_read(FOLDER, entry->d_name, NULL);
        assert_non_null(strstr(text, "\"_source\": \""));
        free(text);
        n++;
    }
    closedir(dir);
    assert_int_equal(n, N_SHAPES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_plans),
        cmocka_unit_test(test_every_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
