/* test_count_adapters.c - what adapters add to the counts of bamba_model_count and of an engine
 * that records: sums over their matrices, once for all sessions; in shared blocks that of each use,
 * of experts as many as are expected. */
#include "bamba_measure.h"

#include "objects.h"
#include "support/running.h"
#include "support/tempdir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { OPS = 32, RANK = 3, MANY = 1000 }; /* MANY: rows that need all experts */

#define ZAMBA2                                                                                     \
    "{\"model_type\": \"zamba2\", \"vocab_size\": 96, \"hidden_size\": 24, "                       \
    "\"intermediate_size\": 40, \"num_hidden_layers\": 4, "                                        \
    "\"layers_block_type\": [\"hybrid\", \"mamba\", \"hybrid\", \"hybrid\"], "                     \
    "\"num_attention_heads\": 4, \"num_key_value_heads\": 4, \"hidden_act\": \"gelu\", "           \
    "\"max_position_embeddings\": 2048, \"tie_word_embeddings\": true, \"mamba_d_state\": 16, "    \
    "\"mamba_ngroups\": 2, \"n_mamba_heads\": 6, \"mamba_headdim\": 8, \"num_mem_blocks\": 2, "    \
    "\"adapter_rank\": 4, \"use_shared_attention_adapter\": true, \"use_mem_rope\": true, "        \
    "\"attention_head_dim\": 12, \"attention_hidden_size\": 48}"
#define ZAMBA                                                                                      \
    "{\"model_type\": \"zamba\", \"vocab_size\": 96, \"hidden_size\": 24, "                        \
    "\"intermediate_size\": 40, \"num_hidden_layers\": 3, "                                        \
    "\"layers_block_type\": [\"hybrid\", \"mamba\", \"hybrid\"], "                                 \
    "\"num_attention_heads\": 4, \"num_key_value_heads\": 2, \"mamba_d_state\": 8}"
#define EXPERTS                                                                                    \
    "\"vocab_size\": 96, \"hidden_size\": 32, \"num_hidden_layers\": 2, "                          \
    "\"num_attention_heads\": 4, \"num_key_value_heads\": 2, \"intermediate_size\": 16, "          \
    "\"num_experts_per_tok\": 2, \"max_position_embeddings\": 2048, "                              \
    "\"tie_word_embeddings\": true, \"torch_dtype\": \"float32\"}"
#define GRANITE                                                                                    \
    "{\"model_type\": \"granitemoehybrid\", \"layer_types\": [\"attention\", \"attention\"], "     \
    "\"shared_intermediate_size\": 16, \"num_local_experts\": 6, " EXPERTS
#define JAMBA                                                                                      \
    "{\"model_type\": \"jamba\", \"attn_layer_period\": 1, \"attn_layer_offset\": 0, "             \
    "\"expert_layer_period\": 1, \"expert_layer_offset\": 0, \"num_experts\": 6, " EXPERTS
#define LLAMA                                                                                      \
    "{\"model_type\": \"llama\", \"vocab_size\": 96, \"hidden_size\": 32, "                        \
    "\"intermediate_size\": 48, \"num_hidden_layers\": 2, \"num_attention_heads\": 4, "            \
    "\"max_position_embeddings\": 2048}"

/* share: of the experts, that a row uses. */
static const struct { const char *config; double share; } families[] = {
    { LLAMA, 1 }, { ZAMBA, 1 }, { ZAMBA2, 1 }, { GRANITE, 2 / 6.0 }, { JAMBA, 2 / 6.0 },
};
enum { FAMILIES = sizeof families / sizeof *families };

static bamba_model *open_family(const char *config, bamba_type type)
{
    bamba_model_options o = BAMBA_MODEL_OPTIONS;
    char               *dir = tempdir_make(), *path = tempdir_path(dir, "config.json");
    bamba_model        *m;
    bamba_error         err;

    o.weight_type = type;
    o.n_threads = 1;
    tempdir_write_text(dir, "config.json", config);
    if (bamba_model_open_random(&m, path, 1, &o, &err) != BAMBA_OK) fail_msg("%s", err.message);
    free(path);
    tempdir_remove(dir);
    return m;
}

static bamba_adapter *open_adapter(const bamba_model *m, int rank)
{
    bamba_adapter *a;
    bamba_error    err;

    if (bamba_adapter_open_random(&a, m, rank, 1, NULL, &err) != BAMBA_OK)
        fail_msg("%s", err.message);
    return a;
}

typedef struct sum { double bytes, flops; } sum;

static sum add_up(const bamba_op *op, size_t n)
{
    sum s = { 0, 0 };

    for (size_t i = 0; i < n; i++) s.bytes += (double)op[i].bytes, s.flops += (double)op[i].flops;
    return s;
}

/* Of n_sessions that are fed n_tokens each: what adapters add. */
static sum count_added(const bamba_model *m, const bamba_adapter_use *use, size_t n,
                       size_t n_sessions, size_t n_tokens)
{
    bamba_op     op[OPS];
    const size_t k = bamba_model_count(m, n_sessions, n_tokens, 5, n_sessions, NULL, 0, op, OPS);
    const sum    without = add_up(op, k);

    assert_int_equal(bamba_model_count(m, n_sessions, n_tokens, 5, n_sessions, use, n, op, OPS), k);
    const sum with = add_up(op, k);
    return (sum){ with.bytes - without.bytes, with.flops - without.flops };
}

/* By the adapter's matrices: of a row, which uses this share of the experts. */
static sum sum_matrices(const bamba_model *m, const bamba_adapter *a, double share)
{
    sum s = { 0, 0 };

    for (int i = 0; i < m->graph->n_linears; i++) {
        const bb_linear_name *l = &m->graph->linear[i];
        const bb_low_rank    *r = &a->base.map[i];
        const double          n = (double)r->rank * l->cols + (double)r->n_inputs * l->rows;
        const bool            is_expert = l->n_stack > 0 || strstr(l->name, "experts.");
        s.bytes += n * (r->type == BB_TYPE_F16 ? 2 : 4);
        s.flops += 2 * n * (is_expert ? share : 1);
    }
    assert_true(s.bytes > 0);
    return s;
}

static void assert_near(double found, double expected)
{
    if (!(found > 0.9999 * expected && found < 1.0001 * expected))
        fail_msg("expected %.17g, found %.17g", expected, found);
}

/* Of each family, with adapters of floats and, beside q8, of halves. */
static void test_sums_over_matrices(void **unused)
{
    (void)unused;
    for (int i = 0; i < 2 * FAMILIES; i++) {
        bamba_model   *m = open_family(families[i / 2].config,
                                       i % 2 ? BAMBA_TYPE_Q8 : BAMBA_TYPE_F32);
        bamba_adapter *a = open_adapter(m, RANK), *b = open_adapter(m, 2 * RANK);
        const double   share = families[i / 2].share;
        const sum      of_a = sum_matrices(m, a, share), of_b = sum_matrices(m, b, share);
        const bamba_adapter_use both[] = { { a, 1.0f }, { b, 0.5f } };
        const bamba_adapter_use twice[] = { { a, 1.0f }, { a, 1.0f } };

        sum s = count_added(m, both, 1, 1, MANY);
        assert_near(s.bytes, of_a.bytes);
        assert_near(s.flops, MANY * of_a.flops);
        s = count_added(m, both, 2, 4, MANY / 4);
        assert_near(s.bytes, of_a.bytes + of_b.bytes);
        assert_near(s.flops, MANY * (of_a.flops + of_b.flops));
        s = count_added(m, twice, 2, 1, MANY);        /* is read once, and added twice */
        assert_near(s.bytes, of_a.bytes);
        assert_near(s.flops, 2 * MANY * of_a.flops);
        bamba_adapter_free(a);
        bamba_adapter_free(b);
        bamba_model_free(m);
    }
}

static bamba_session *make_session(const bamba_model *m, const bamba_adapter_use *use, size_t n)
{
    bamba_session_options o = BAMBA_SESSION_OPTIONS;

    o.n_context = 100;
    o.adapters = use;
    o.n_adapters = n;
    return running_session(m, &o);
}

/* Feed two sessions a token each and say what is recorded. */
static size_t record(const bamba_model *m, bamba_session *s, bamba_session *t, bamba_op *op)
{
    const int32_t        token = 1;
    bamba_engine_options o = BAMBA_ENGINE_OPTIONS;
    bamba_feed_item      item[] = { { .session = s, .tokens = &token, .n = 1, .n_logits = 1 },
                                    { .session = t, .tokens = &token, .n = 1, .n_logits = 1 } };
    bamba_error          err;

    o.n_threads = 1;
    o.n_logits = 2;
    bamba_engine *e = running_engine(m, &o);
    bamba_engine_profile(e, 1);
    if (bamba_feed_batch(e, item, 2, &err) != BAMBA_OK) fail_msg("%s", err.message);
    const size_t n = bamba_engine_profile_get(e, op, OPS);
    bamba_engine_free(e);
    bamba_session_free(s);
    bamba_session_free(t);
    return n;
}

/* An engine counts as bamba_model_count does, of each kind of operation; of sessions that have
   different adapters, the rows of each. */
static void test_recorded(void **unused)
{
    (void)unused;
    for (int i = 0; i < FAMILIES; i++) {
        bamba_model   *m = open_family(families[i].config, BAMBA_TYPE_F32);
        bamba_adapter *a = open_adapter(m, RANK);
        const bamba_adapter_use use = { a, 1.0f };
        bamba_op       op[OPS], counted[OPS];
        const size_t   n = bamba_model_count(m, 2, 1, 0, 2, &use, 1, counted, OPS);

        assert_int_equal(record(m, make_session(m, &use, 1), make_session(m, &use, 1), op), n);
        for (size_t k = 0; k < n; k++) {
            assert_int_equal(op[k].bytes, counted[k].bytes);
            assert_int_equal(op[k].flops, counted[k].flops);
        }
        const sum both = add_up(op, n);
        record(m, make_session(m, NULL, 0), make_session(m, NULL, 0), op);
        const sum none = add_up(op, n);
        record(m, make_session(m, NULL, 0), make_session(m, &use, 1), op);
        const sum one = add_up(op, n);
        assert_near(one.bytes, both.bytes);           /* read for one row as for two */
        assert_near(2 * (one.flops - none.flops), both.flops - none.flops);
        bamba_adapter_free(a);
        bamba_model_free(m);
    }
}

static void test_refused(void **unused)
{
    bamba_model   *m = open_family(LLAMA, BAMBA_TYPE_F32);
    bamba_model   *other = open_family(LLAMA, BAMBA_TYPE_F32);
    bamba_adapter *a = open_adapter(other, RANK);
    const bamba_adapter_use use = { a, 1.0f }, none = { NULL, 1.0f };

    (void)unused;
    assert_true(bamba_model_count(other, 1, 1, 0, 1, &use, 1, NULL, 0) > 0);
    assert_int_equal(bamba_model_count(m, 1, 1, 0, 1, &use, 1, NULL, 0), 0);
    assert_int_equal(bamba_model_count(m, 1, 1, 0, 1, &none, 1, NULL, 0), 0);
    assert_int_equal(bamba_model_count(m, 1, 1, 0, 1, NULL, 1, NULL, 0), 0);
    assert_int_equal(bamba_model_count(m, 1, 1, 0, 1, &use, 65, NULL, 0), 0);
    bamba_adapter_free(a);
    bamba_model_free(other);
    bamba_model_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sums_over_matrices),
        cmocka_unit_test(test_recorded),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, tempdir_enter, tempdir_leave);
}
