/* Everything a program calls, on a thread with just the stack that bamba.h asks for. Below it lie
 * pages that end the program. Sanitizers need more: builds with them leave this test out. */
#include "bamba.h"

#include "support/tempdir.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

enum { STACK_BYTES = 128 << 10, GUARD_BYTES = 64 << 10, NESTED = 32 };

static const char FABLE[] = BB_TEST_SOURCE_DIR "/models/fable";

/* What goes wrong is returned: cmocka's assertions are for its own thread. */
static void *run_model(void *unused)
{
    static int32_t       ids[200];
    bamba_engine_options eo = BAMBA_ENGINE_OPTIONS;
    bamba_model_options  mo = BAMBA_MODEL_OPTIONS;
    static bamba_error   err;
    bamba_model         *m = NULL;
    bamba_engine        *e = NULL;
    bamba_session       *s = NULL;
    const float         *logits;

    (void)unused;
    mo.weight_type = BAMBA_TYPE_F32;
    eo.n_threads = 1;
    for (int i = 0; i < 200; i++) ids[i] = i;
    if (bamba_model_open(&m, FABLE, &mo, &err) == BAMBA_OK &&
        bamba_engine_create(&e, m, &eo, &err) == BAMBA_OK &&
        bamba_session_create(&s, m, NULL, &err) == BAMBA_OK)
        for (size_t n = 200; n > 0 && err.code == BAMBA_OK; n /= 2)
            bamba_feed(e, s, ids, n, &logits, &err);
    bamba_session_free(s);
    bamba_engine_free(e);
    bamba_model_free(m);
    return err.code == BAMBA_OK ? NULL : err.message;
}

static void *run_tokenizer(void *dir)
{
    static const char  text[] = "Once upon a time, in 1812, \xC3\xA9t\xC3\xA9 a b ((c))";
    static bamba_error err;
    bamba_tokenizer   *t = NULL;
    int32_t           *ids = NULL;
    size_t             n;

    err.code = BAMBA_OK;
    if (bamba_tokenizer_open(&t, dir, NULL, &err) == BAMBA_OK)
        bamba_tokenize(t, text, sizeof text - 1, BAMBA_TOKENIZE_PARSE_SPECIAL, &ids, &n, &err);
    bamba_tokens_free(t, ids);
    bamba_tokenizer_free(t);
    return err.code == BAMBA_OK ? NULL : err.message;
}

/* Chat templates end with their own message where they nest too deeply, or are no templates. */
static void *run_chat(void *text)
{
    static bamba_error          err;
    bamba_chat_template_options o = BAMBA_CHAT_TEMPLATE_OPTIONS;
    bamba_chat_template        *t = NULL;
    bamba_prompt               *p = NULL;

    err.code = BAMBA_OK;
    o.text = text;
    o.n_text = strlen(text);
    if (bamba_chat_template_open(&t, NULL, NULL, &o, &err) == BAMBA_OK)
        bamba_chat_render(t, "[{}]", 4, NULL, &p, &err);
    bamba_prompt_free(p);
    bamba_chat_template_free(t);
    return err.code == BAMBA_OK || strstr(err.message, "nested too deeply") ||
           strstr(err.message, "expected") ? NULL : err.message;
}

static void on_small_stack(void *(*run)(void *), void *context)
{
    pthread_t      thread;
    pthread_attr_t attributes;
    void          *complaint;
    unsigned char *block = mmap(NULL, GUARD_BYTES + STACK_BYTES, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    assert_true(block != MAP_FAILED);
    assert_int_equal(mprotect(block, GUARD_BYTES, PROT_NONE), 0);
    assert_int_equal(pthread_attr_init(&attributes), 0);
    assert_int_equal(pthread_attr_setstack(&attributes, block + GUARD_BYTES, STACK_BYTES), 0);
    assert_int_equal(pthread_create(&thread, &attributes, run, context), 0);
    assert_int_equal(pthread_join(thread, &complaint), 0);
    pthread_attr_destroy(&attributes);
    munmap(block, GUARD_BYTES + STACK_BYTES);
    if (complaint) fail_msg("%s", (const char *)complaint);
}

static void test_model(void **state)
{
    (void)state;
    on_small_stack(run_model, NULL);
}

static void test_tokenizer(void **state)
{
    char name[] = BB_TEST_SOURCE_DIR "/models/fable";

    (void)state;
    on_small_stack(run_tokenizer, name);
}

/* A pattern nested as deeply as is allowed, in components nested so too. */
static void test_deep_tokenizer(void **state)
{
    char  *dir = tempdir_make();
    char   pattern[8 * NESTED] = "", open[1200] = "", close[100] = "";
    char   text[4000];

    (void)state;
    for (int i = 0; i < NESTED; i++) strcat(pattern, i % 2 ? "(?:" : "(?i:");
    strcat(pattern, "[a-z]+|.");
    for (int i = 0; i < NESTED; i++) strcat(pattern, ")");
    for (int i = 0; i < 28; i++) {
        strcat(open, "{\"type\":\"Sequence\",\"pretokenizers\":[");
        strcat(close, "]}");
    }
    snprintf(text, sizeof text,
             "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1},\"merges\":[]},"
             "\"pre_tokenizer\":%s{\"type\":\"Split\",\"pattern\":{\"Regex\":\"%s\"},"
             "\"behavior\":\"Isolated\",\"invert\":false}%s}", open, pattern, close);
    tempdir_write_text(dir, "tokenizer.json", text);
    on_small_stack(run_tokenizer, dir);
    tempdir_remove(dir);
}

static void test_chat(void **state)
{
    static char text[][1200] = {
        "{% macro f(n) %}{% if true %}{% for x in [1] %}{{ ((f(n + 1)|trim)) ~ "
        "[f(n)] }}{% endfor %}{% endif %}{% endmacro %}{{ f(0) }}",
        "{% macro f(n) %}{{ [n]|map('default', f(n) if n else "
        "f(n))|list }}{% endmacro %}{{ f(0) }}",
        "{% set ns = namespace(l={}) %}{% for i in range(300) %}{% set ns.l = {'a': "
        "[ns.l]} %}{% endfor %}{{ ns.l }}",
        "{% set ns = namespace(l={}) %}{% for i in range(60) %}{% set ns.l = {'a': "
        "[ns.l]} %}{% endfor %}{{ ns.l|tojson(indent=1, sort_keys=true) }}{{ ns.l == {'a': "
        "ns.l} }}",
        "{% for x in [1] recursive %}{% set y %}{{ loop([x]) }}{% endset %}{% endfor %}",
        "{% macro f() %}{{ caller and 1 }}{% call f() %}{{ f() }}{% endcall %}{% endmacro "
        "%}{{ f() }}", "", "", "",
    };
    const char *const nested[] = { "(", "[1 if ", "{% if 1 %}" };

    (void)state;
    for (int i = 0; i < 3; i++) {
        char *out = text[6 + i];
        if (i < 2) strcat(out, "{{ ");
        for (int k = 0; k < 99; k++) strcat(out, nested[i]);
    }
    for (size_t i = 0; i < sizeof text / sizeof *text; i++) on_small_stack(run_chat, text[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_tokenizer),
        cmocka_unit_test(test_deep_tokenizer),
        cmocka_unit_test(test_chat),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
