/* test_rewind_programs.c - random programs of feeds, ways back, forks and files, in models of every
 * family: what is left is as if the rest had never been. */
#include "bamba_measure.h"

#include "support/running.h"
#include "support/splitmix.h"
#include "support/tempdir.h"
#include "support/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { V = WORLD_VOCAB, STEPS = 30, PROBE = 3 };

static bamba_error err;

static size_t below(uint64_t *state, size_t n) { return (size_t)(splitmix64(state) % n); }

/* -------------------------------------------------------------- one program -------------- */

/* A new session that is fed what is left of the history gives the same bits after as many calls
   more. */
static void assert_as_fresh(world *w, uint64_t *random)
{
    history     *h = &w->past;
    const float *found, *expected;
    size_t       at = 0;

    assert_int_equal(bamba_session_position(w->session), h->n);
    if (h->n > 0)
        assert_memory_equal(bamba_session_tokens(w->session), h->token, h->n * sizeof *h->token);
    bamba_session_reset(w->fresh);
    for (size_t i = 0; i < h->n_calls; at += h->call[i++])
        assert_int_equal(bamba_feed(w->fresh_engine, w->fresh, h->token + at, h->call[i], NULL,
                                    &err), BAMBA_OK);
    for (int i = 0; i < PROBE; i++) {
        const size_t n = i == 1 ? 40 : 1 + below(random, 4);
        for (size_t t = 0; t < n; t++) h->token[h->n + t] = (int32_t)below(random, V);
        assert_int_equal(bamba_feed(w->fresh_engine, w->fresh, h->token + h->n, n, &expected, &err),
                         BAMBA_OK);
        found = world_feed(w, n);
        assert_memory_equal(found, expected, V * sizeof *found);
    }
}

static size_t pick_length(uint64_t *random)
{
    static const size_t lengths[] = { 1, 1, 1, 1, 1, 2, 3, 8, 20, 32, 33, 50, 64, 70, 100, 129, 180,
                                      260 };
    return lengths[below(random, sizeof lengths / sizeof *lengths)];
}

/* The program goes on with a fork, or with what a file holds; the session it had, which still
   shares pages with a fork, is fed something else meanwhile. */
static void fork_world(world *w, const bamba_session_options *o, uint64_t *random)
{
    bamba_session *fork;
    int32_t        other[80];
    const size_t   n = 1 + below(random, 80);

    assert_int_equal(bamba_session_fork(&fork, w->session, o, &err), BAMBA_OK);
    for (size_t t = 0; t < n; t++) other[t] = (int32_t)below(random, V);
    if (below(random, 2)) {
        assert_int_equal(bamba_session_rewind(w->engine, w->session,
                                              w->past.n - below(random, w->past.n < 90
                                                                ? w->past.n + 1 : 90),
                                              &err), BAMBA_OK);
        assert_int_equal(bamba_feed(w->engine, w->session, other, n, NULL, &err), BAMBA_OK);
    }
    bamba_session_free(w->session);
    w->session = fork;
}

static void save_world(world *w, const bamba_session_options *o)
{
    char path[300];

    snprintf(path, sizeof path, "%s/session", tempdir);
    assert_int_equal(bamba_session_save(w->session, path, NULL, &err), BAMBA_OK);
    bamba_session_free(w->session);
    assert_int_equal(bamba_session_open(&w->session, w->model, path, o, &err), BAMBA_OK);
}

/* One random program: feeds of all lengths, some of them cancelled; ways back, near and far; forks
   and files. */
static void run_program(world *w, const bamba_session_options *o, uint64_t seed)
{
    const size_t n_rewind = o->n_rewind;
    history     *h = &w->past;
    uint64_t     random = seed;

    bamba_session_reset(w->session);
    h->n = h->n_calls = 0;
    for (int step = 0; step < STEPS; step++) {
        const size_t kind = below(&random, 12);
        if (kind == 10) fork_world(w, o, &random);
        else if (kind == 11) save_world(w, o);
        else if (kind < 6) {
            const size_t n = pick_length(&random);
            if (h->n + n + 200 > WORLD_MOST) continue;
            for (size_t t = 0; t < n; t++) h->token[h->n + t] = (int32_t)below(&random, V);
            world_feed(w, n);
        } else if (kind < 7) {
            const size_t n = 40 + pick_length(&random);
            if (h->n + n + 200 > WORLD_MOST) continue;
            for (size_t t = 0; t < n; t++) h->token[h->n + t] = (int32_t)below(&random, V);
            w->n_until_cancel = (int)below(&random, 12);
            const bamba_status status = bamba_feed(w->engine, w->session, h->token + h->n, n, NULL,
                                                   &err);
            assert_true(status == BAMBA_OK || status == BAMBA_ERR_CANCELLED);
            w->n_until_cancel = -1;
            const size_t done = bamba_session_position(w->session) - h->n;
            if (done > 0) history_add(h, done);
        } else {
            const size_t most = h->n < n_rewind || below(&random, 4) == 0 ? h->n : n_rewind;
            const size_t back = below(&random, most + 1);
            assert_int_equal(bamba_session_rewind(w->engine, w->session, h->n - back, &err),
                             BAMBA_OK);
            history_cut(h, h->n - back);
            if (below(&random, 2)) assert_as_fresh(w, &random);
        }
    }
    assert_as_fresh(w, &random);
}

/* -------------------------------------------------------------- the families ------------- */

static const char mamba1[] =
    "{\"model_type\": \"mamba\", \"vocab_size\": 96, \"hidden_size\": 24, "
    "\"num_hidden_layers\": 2, \"state_size\": 8, \"conv_kernel\": 4, \"expand\": 2, "
    "\"time_step_rank\": 3}";

static const char zamba[] =
    "{\"model_type\": \"zamba\", \"vocab_size\": 96, \"hidden_size\": 24, "
    "\"intermediate_size\": 40, \"num_hidden_layers\": 3, "
    "\"layers_block_type\": [\"hybrid\", \"mamba\", \"hybrid\"], "
    "\"num_attention_heads\": 4, \"num_key_value_heads\": 2, \"mamba_d_state\": 8}";

static const char zamba2[] =
    "{\"model_type\": \"zamba2\", \"vocab_size\": 96, \"hidden_size\": 24, "
    "\"intermediate_size\": 40, \"num_hidden_layers\": 4, "
    "\"layers_block_type\": [\"hybrid\", \"mamba\", \"hybrid\", \"hybrid\"], "
    "\"num_attention_heads\": 4, \"num_key_value_heads\": 4, \"mamba_d_state\": 16, "
    "\"mamba_ngroups\": 2, \"n_mamba_heads\": 6, \"mamba_headdim\": 8, \"num_mem_blocks\": 2, "
    "\"adapter_rank\": 4, \"use_shared_attention_adapter\": true, \"use_mem_rope\": true, "
    "\"max_position_embeddings\": 2048}";

static const char nemotron[] =
    "{\"model_type\": \"nemotron_h\", \"vocab_size\": 96, \"hidden_size\": 24, "
    "\"hybrid_override_pattern\": \"ME*M-E\", \"num_attention_heads\": 4, "
    "\"num_key_value_heads\": 2, \"head_dim\": 8, \"mamba_num_heads\": 6, \"mamba_head_dim\": 8, "
    "\"n_groups\": 2, \"ssm_state_size\": 16, \"intermediate_size\": 40, \"n_routed_experts\": 8, "
    "\"num_experts_per_tok\": 3, \"n_group\": 4, \"topk_group\": 2, \"moe_intermediate_size\": 20, "
    "\"moe_shared_expert_intermediate_size\": 28, \"moe_latent_size\": 12, "
    "\"max_position_embeddings\": 2048}";

static const char jamba[] =
    "{\"model_type\": \"jamba\", \"vocab_size\": 96, \"hidden_size\": 24, "
    "\"intermediate_size\": 40, \"num_hidden_layers\": 4, \"attn_layer_period\": 3, "
    "\"attn_layer_offset\": 1, "
    "\"expert_layer_period\": 2, \"expert_layer_offset\": 1, \"num_experts\": 6, "
    "\"num_experts_per_tok\": 2, \"num_attention_heads\": 4, \"num_key_value_heads\": 2, "
    "\"mamba_d_state\": 8, \"max_position_embeddings\": 2048}";

static const char falcon_h1[] =
    "{\"model_type\": \"falcon_h1\", \"vocab_size\": 96, \"hidden_size\": 24, "
    "\"intermediate_size\": 40, \"num_hidden_layers\": 2, \"num_attention_heads\": 4, "
    "\"num_key_value_heads\": 2, \"head_dim\": 8, \"mamba_d_ssm\": 48, \"mamba_n_heads\": 6, "
    "\"mamba_d_head\": 8, \"mamba_n_groups\": 2, \"mamba_d_state\": 16, "
    "\"max_position_embeddings\": 2048}";

static const char llama[] =
    "{\"model_type\": \"llama\", \"vocab_size\": 96, \"hidden_size\": 32, "
    "\"intermediate_size\": 48, \"num_hidden_layers\": 2, \"num_attention_heads\": 4, "
    "\"num_key_value_heads\": 2, \"max_position_embeddings\": 2048}";

static const char granite[] =
    "{\"model_type\": \"granitemoehybrid\", \"vocab_size\": 96, \"hidden_size\": 32, "
    "\"intermediate_size\": 16, \"shared_intermediate_size\": 24, \"num_hidden_layers\": 3, "
    "\"layer_types\": [\"mamba\", \"attention\", \"mamba\"], \"num_attention_heads\": 4, "
    "\"num_key_value_heads\": 2, \"mamba_n_heads\": 8, \"mamba_d_head\": 8, \"mamba_d_state\": 16, "
    "\"mamba_n_groups\": 1, \"mamba_d_conv\": 4, \"mamba_expand\": 2, \"num_local_experts\": 6, "
    "\"num_experts_per_tok\": 2, \"embedding_multiplier\": 12, \"logits_scaling\": 4, "
    "\"residual_multiplier\": 0.25, \"attention_multiplier\": 0.5, "
    "\"position_embedding_type\": \"nope\", \"max_position_embeddings\": 2048}";

static const char mamba_ssm[] =                       /* attention behind a convolution */
    "{\"d_model\": 24, \"d_intermediate\": 40, \"n_layer\": 3, \"vocab_size\": 96, "
    "\"ssm_cfg\": {\"layer\": \"Mamba2\", \"headdim\": 8, \"d_state\": 16}, "
    "\"attn_layer_idx\": [1], \"attn_cfg\": {\"causal\": true, \"num_heads\": 6, \"d_conv\": 4, "
    "\"head_dim\": 8, \"out_proj_bias\": false, \"qkv_proj_bias\": false, \"rotary_emb_dim\": 4}, "
    "\"rms_norm\": true, \"residual_in_fp32\": true, \"fused_add_norm\": true, "
    "\"pad_vocab_size_multiple\": 16, \"tie_embeddings\": true}";

/* config NULL: Bamba of three layers, n_attention of them with attention. */
static const struct { const char *name, *config; int n_attention; } families[] = {
    { "bamba", NULL, 1 }, { "bamba without attention", NULL, 0 }, { "bamba of attention", NULL, 3 },
    { "llama", llama, 1 }, { "mamba", mamba1, 0 }, { "mamba_ssm", mamba_ssm, 1 },
    { "granitemoehybrid", granite, 1 }, { "nemotron_h", nemotron, 1 },
    { "falcon_h1", falcon_h1, 1 }, { "jamba", jamba, 1 }, { "zamba", zamba, 1 },
    { "zamba2", zamba2, 1 },
};

#define N_FAMILIES (sizeof families / sizeof *families)
#define PICK(random, ...)                                                                      \
    ((const int[]){ __VA_ARGS__ }[below(random, sizeof (int[]){ __VA_ARGS__ } / sizeof(int))])

/* What a program's model, engine and session are. */
typedef struct setting {
    bamba_model_options   model;
    bamba_session_options session;
    int                   n_batch;
} setting;

static setting draw_setting(uint64_t *random, bool has_attention)
{
    setting s = { BAMBA_MODEL_OPTIONS, BAMBA_SESSION_OPTIONS, 0 };

    s.model.weight_type = (bamba_type)PICK(random, BAMBA_TYPE_DEFAULT, BAMBA_TYPE_DEFAULT,
                                           BAMBA_TYPE_BF16, BAMBA_TYPE_Q8);
    s.model.kv_type = (bamba_type)PICK(random, BAMBA_TYPE_F32, BAMBA_TYPE_F16, BAMBA_TYPE_BF16,
                                       BAMBA_TYPE_Q8);
    s.model.state_type = (bamba_type)PICK(random, BAMBA_TYPE_F32, BAMBA_TYPE_F32, BAMBA_TYPE_BF16,
                                          BAMBA_TYPE_Q8);
    s.n_batch = PICK(random, 128, 192, 256, 512, 1024);
    s.session.n_context = has_attention ? WORLD_MOST : 0;
    s.session.n_rewind = (size_t)PICK(random, 0, 1, 8, 16, 24, 40, 64, 64, 200);
    s.session.snapshot_tokens = (size_t)PICK(random, 0, 0, 50, 64, 100);
    s.session.snapshot_bytes = (uint64_t)PICK(random, 0, 100000, 300000, 1000000);
    if (has_attention && below(random, 4) == 0) {
        s.session.n_window = (size_t)PICK(random, 33, 64, 90, 100, 200);
        s.session.n_sink = PICK(random, -1, 0, 4, 64, 70);
    }
    return s;
}

/* How many programs of each family: BAMBA_REWIND_PROGRAMS, for long runs, which say what they
   do. */
static int count_programs(void)
{
    const char *text = getenv("BAMBA_REWIND_PROGRAMS");
    return text ? atoi(text) : 12;
}

static void run_family(size_t family, int n)
{
    const bool   has_attention = families[family].n_attention > 0;
    uint64_t     random = (uint64_t)(100000 * family + (size_t)n);
    setting      s = draw_setting(&random, has_attention);
    tiny_dims    d = TINY_DIMS;
    static world w;

    if (getenv("BAMBA_REWIND_PROGRAMS"))
        print_message("%s, program %d: weights %d, kv %d, state %d, batch %d, rewind %zu, "
                      "snapshots %zu of %d bytes, window %zu + %d\n",
                      families[family].name, n, (int)s.model.weight_type,
                      (int)s.model.kv_type, (int)s.model.state_type, s.n_batch, s.session.n_rewind,
                      s.session.snapshot_tokens, (int)s.session.snapshot_bytes, s.session.n_window,
                      s.session.n_sink);
    d.n_context = WORLD_MOST;
    d.n_attention = families[family].n_attention;
    for (int l = 0; l < d.n_attention; l++) d.attention[l] = d.n_attention == 1 ? 1 : l;
    world_open(&w, tempdir, &d, families[family].config, &s.model, &s.session, s.n_batch);
    run_program(&w, &s.session, random);
    world_close(&w);
}

static void test_programs(void **unused)
{
    (void)unused;
    for (size_t f = 0; f < N_FAMILIES; f++)
        for (int n = 0; n < count_programs(); n++) run_family(f, n);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_programs) };
    return cmocka_run_group_tests(tests, tempdir_enter, tempdir_leave);
}
