/* nemotron_h.c - NVIDIA's Nemotron-H and Nemotron 3: a layer is Mamba-2, attention, MLP or experts.
 *
 * Attention has no positions; MLPs and experts are relu(up(x))² without a gate; the inner width of
 * Mamba-2 is heads times their width. dt is clamped by time_step_limit, which transformers 5.23
 * does not read, as vLLM and llama.cpp have it.
 * Source: transformers models/nemotron_h/{configuration,modeling}_nemotron_h.py. */
#include "arch/keys.h"
#include "arch/registry.h"

#include <limits.h>
#include <string.h>

static const char *const unused[] = { ".rotary_emb.inv_freq", NULL };

static const bb_names names = {
    .base = "backbone.", .base_alias = "model.", .embed = "backbone.embeddings.weight",
    .layer = "backbone.layers.%d.", .mixer_norm = "norm.weight",
    .norm = "backbone.norm_f.weight", .head = "lm_head.weight", .unused = unused,
};

/* The two names of a kind of layer in lists, and its letter in a pattern. */
static const struct { const char *name, *newer; char letter; } kinds[] = {
    [BB_LAYER_MAMBA2]    = { "mamba", "linear_attention", 'M' },
    [BB_LAYER_ATTENTION] = { "attention", "full_attention", '*' },
    [BB_LAYER_MLP]       = { "mlp", "mlp", '-' },
    [BB_LAYER_MOE]       = { "moe", "moe", 'E' },
};
enum { N_KINDS = sizeof kinds / sizeof kinds[0] };

/* The key in use of a setting with an older name, which wins. */
static const char *either(const bb_json *c, const char *older, const char *key)
{
    return bb_json_has(c, older) ? older : key;
}

/* -------------------------------------------------------------- layers ------------------- */

static void read_pattern(const bb_json *c, bb_facts *f)
{
    const char  *pattern = bb_json_text_or(c, "hybrid_override_pattern", "");
    const size_t n = strlen(pattern);

    if (n == 0 || n > BB_MAX_LAYERS) {
        bb_json_fail_key(c, "hybrid_override_pattern", BAMBA_ERR_FORMAT,
                         "expected a letter for each of 1 to %d layers, found %zu",
                         BB_MAX_LAYERS, n);
        return;
    }
    for (size_t l = 0; l < n; l++) {
        int k = 0;
        while (k < N_KINDS && kinds[k].letter != pattern[l]) k++;
        if (k == N_KINDS)
            bb_json_fail_key(c, "hybrid_override_pattern", BAMBA_ERR_UNSUPPORTED,
                             "expected the letters M, *, - and E, found '%.1s' for layer %zu",
                             pattern + l, l);
        f->kind[l] = (unsigned char)(k < N_KINDS ? k : 0);
    }
    f->n_layers = (int)n;
}

static void read_list(const bb_json *list, bb_facts *f)
{
    const size_t n = bb_json_length(list);

    if (!bb_json_is_array(list) || n == 0 || n > BB_MAX_LAYERS) {
        bb_json_fail(list, BAMBA_ERR_FORMAT, "expected a list of 1 to %d names of layers, "
                     "found %zu", BB_MAX_LAYERS, n);
        return;
    }
    for (size_t l = 0; l < n; l++) {
        const bb_json element = bb_json_at(list, l);
        const char   *name = bb_json_value_text(&element, NULL);
        int           k = 0;
        while (k < N_KINDS && strcmp(name, kinds[k].name) != 0 && strcmp(name, kinds[k].newer) != 0)
            k++;
        if (k == N_KINDS)
            bb_json_fail(&element, BAMBA_ERR_UNSUPPORTED,
                         "expected 'mamba', 'attention', 'mlp' or 'moe', found '%.40s'", name);
        f->kind[l] = (unsigned char)(k < N_KINDS ? k : 0);
    }
    f->n_layers = (int)n;
}

/* A list beats the pattern; num_hidden_layers, which repeats the length of either, must agree. */
static void read_layers(const bb_json *c, bb_facts *f)
{
    const char   *key = bb_json_has(c, "layers_block_type") ? "layers_block_type" : "layer_types";
    const bb_json list = bb_json_get(c, key);

    if (list.node) read_list(&list, f);
    else read_pattern(c, f);
    if (f->n_layers > 0 && bb_json_int_or(c, "num_hidden_layers", 1, BB_MAX_LAYERS,
                                          f->n_layers) != f->n_layers)
        bb_json_fail_key(c, "num_hidden_layers", BAMBA_ERR_FORMAT,
                         "expected %d, as many as layers are named", f->n_layers);
}

static bool has_kind(const bb_facts *f, bb_layer_kind kind)
{
    return memchr(f->kind, (int)kind, (size_t)f->n_layers) != NULL;
}

/* -------------------------------------------------------------- mixers ------------------- */

static void read_mamba2(const bb_json *c, bb_facts *f)
{
    const char     *groups = bb_json_has(c, "mamba_n_groups")
                           ? "mamba_n_groups" : either(c, "mamba_num_groups", "n_groups");
    bb_mamba2_dims *m = &f->mamba2;

    *m = (bb_mamba2_dims){
        .n_heads   = bb_json_int_or(c, "mamba_num_heads", 1, BB_MAX_DIM, 128),
        .d_head    = bb_json_int_or(c, "mamba_head_dim", 1, BB_MAX_DIM, 64),
        .d_state   = bb_json_int_or(c, "ssm_state_size", 1, BB_MAX_DIM, 128),
        .n_groups  = bb_json_int_or(c, groups, 1, BB_MAX_DIM, 8),
        .d_conv    = bb_json_int_or(c, either(c, "mamba_d_conv", "conv_kernel"), 1, 64, 4),
        .conv_bias = bb_json_bool_or(c, either(c, "mamba_conv_bias", "use_conv_bias"), true),
        .in_bias   = bb_json_bool_or(c, "use_bias", false),
        .out_bias  = bb_json_bool_or(c, "use_bias", false),
        .epsilon   = (float)f->epsilon,
    };
    if (m->n_heads % m->n_groups != 0)
        bb_json_fail_key(c, groups, BAMBA_ERR_FORMAT,
                         "expected a divisor of mamba_num_heads = %d, found %d",
                         m->n_heads, m->n_groups);
    if ((int64_t)m->n_heads * m->d_head > BB_MAX_DIM)
        bb_json_fail_key(c, "mamba_head_dim", BAMBA_ERR_UNSUPPORTED,
                         "mamba_num_heads * mamba_head_dim is above %d", BB_MAX_DIM);
    bb_key_limits(c, either(c, "mamba_dt_limit", "time_step_limit"), &m->dt_min, &m->dt_max);
    bb_key_expect(c, "mamba_hidden_act", "silu");
}

static void read_attention(const bb_json *c, bb_facts *f)
{
    const int          A = bb_json_int_or(c, "num_attention_heads", 1, BB_MAX_DIM, 32);
    const bool         as_queries = bb_json_is_member(c, "num_key_value_heads");
    bb_attention_dims *a = &f->attention;

    *a = (bb_attention_dims){
        .n_heads = A,
        .n_kv_heads = bb_json_int_or(c, "num_key_value_heads", 1, BB_MAX_DIM, as_queries ? A : 8),
        .d_head = bb_json_int_or(c, bb_json_has(c, "head_dim") ? "head_dim" : "attention_head_dim",
                                 1, 4096, 128),
        .bias = bb_json_bool_or(c, "attention_bias", false),
    };
    a->out_bias = a->bias;
    if (A % a->n_kv_heads != 0)
        bb_json_fail_key(c, "num_key_value_heads", BAMBA_ERR_FORMAT,
                         "expected a divisor of num_attention_heads = %d, found %d", A,
                         a->n_kv_heads);
    if (bb_json_has(c, "sliding_window"))
        bb_json_fail_key(c, "sliding_window", BAMBA_ERR_UNSUPPORTED, "a window is not implemented");
}

/* Groups of experts; only the experts of the best groups can be chosen. */
static void read_groups(const bb_json *c, bb_moe_dims *m)
{
    const int n = bb_json_int_or(c, "n_group", 1, BB_MOE_MOST_GROUPS, 1);
    const int top = bb_json_int_or(c, "topk_group", 1, n, 1);

    if (n == 1) return;
    m->n_groups = n;
    m->n_top_groups = top;
    if (m->n_experts % n != 0 || m->n_experts / n < 2)
        bb_json_fail_key(c, "n_group", BAMBA_ERR_FORMAT,
                         "expected equal groups of 2 or more of n_routed_experts = %d, found "
                         "%d groups", m->n_experts, n);
    else if (m->n_used > top * (m->n_experts / n))
        bb_json_fail_key(c, "num_experts_per_tok", BAMBA_ERR_FORMAT,
                         "expected at most the %d experts of topk_group = %d groups, found %d",
                         top * (m->n_experts / n), top, m->n_used);
}

static void read_experts(const bb_json *c, bb_facts *f)
{
    const char *count = either(c, "num_local_experts", "n_routed_experts");
    const int   n = bb_json_int_or(c, count, 1, BB_MAX_DIM, 8);
    const double scaling = bb_key_multiplier(c, "routed_scaling_factor");

    f->moe = (bb_moe_dims){
        .n_experts = n, .n_used = bb_json_int_or(c, "num_experts_per_tok", 1, n, 2),
        .d_ff = bb_json_int_or(c, "moe_intermediate_size", 1, BB_MAX_DIM, 7688),
        .activation = BB_ACT_RELU2, .router = BB_ROUTER_SIGMOID,
        .normalise = bb_json_bool_or(c, "norm_topk_prob", true), .scaling = (float)scaling,
        .d_latent = bb_json_int_or(c, "moe_latent_size", 1, BB_MAX_DIM, 0),
        .latent_bias = f->mlp.bias,
        .names = { .router = "gate.weight", .correction = "gate.e_score_correction_bias",
                   .up = "experts.%d.up_proj.weight", .down = "experts.%d.down_proj.weight",
                   .latent_in = "fc1_latent_proj", .latent_out = "fc2_latent_proj" },
    };
    read_groups(c, &f->moe);
    f->shared = f->mlp;
    f->shared.d_ff = bb_json_int_or(c, "moe_shared_expert_intermediate_size", 1, BB_MAX_DIM, 7688);
}

static void read(const bb_json *c, bb_facts *f)
{
    const char *epsilon = either(c, "layer_norm_epsilon", either(c, "rms_norm_eps", "norm_eps"));

    f->names = &names;
    read_layers(c, f);
    f->d_model = bb_json_int_or(c, "hidden_size", 1, BB_MAX_DIM, 4096);
    f->n_vocab = f->n_rows = bb_json_int_or(c, "vocab_size", 1, BB_MAX_DIM, 131072);
    f->n_context = bb_json_int_or(c, "max_position_embeddings", 1, INT_MAX, 4096);
    f->epsilon = bb_key_epsilon(c, epsilon, 1e-5);
    bb_key_tied(c, "tie_word_embeddings", false, f);
    f->mlp = (bb_mlp_dims){
        .d_ff = bb_json_int_or(c, "intermediate_size", 1, BB_MAX_DIM, 21504),
        .bias = bb_json_bool_or(c, "mlp_bias", false), .activation = BB_ACT_RELU2,
    };
    bb_key_expect(c, "mlp_hidden_act", "relu2");
    if (has_kind(f, BB_LAYER_MAMBA2)) read_mamba2(c, f);
    if (has_kind(f, BB_LAYER_ATTENTION)) read_attention(c, f);
    if (has_kind(f, BB_LAYER_MOE)) read_experts(c, f);
}

/* -------------------------------------------------------------- plan --------------------- */

static void plan_experts(const bb_facts *f, bb_plan *p)
{
    bb_moe_dims moe = f->moe;
    bb_mlp_dims shared = f->shared;

    moe.d_model = shared.d_model = f->d_model;
    bb_plan_use(p, bb_plan_moe(p, "mixer.", &moe), 1.0);
    bb_plan_use(p, bb_plan_mlp(p, "mixer.shared_experts.", &shared), 1.0);
}

static void plan(const bb_facts *f, bb_plan *p)
{
    bb_mamba2_dims    mamba2 = f->mamba2;
    bb_attention_dims attention = f->attention;
    bb_mlp_dims       mlp = f->mlp;

    mamba2.d_model = attention.d_model = mlp.d_model = f->d_model;
    bb_plan_front(f, p);
    for (int l = 0; l < f->n_layers; l++) {
        bb_plan_layer(p, names.layer, l);
        bb_plan_block(p, names.mixer_norm);
        switch ((bb_layer_kind)f->kind[l]) {
        case BB_LAYER_MAMBA2: bb_plan_use(p, bb_plan_mamba2(p, "mixer.", &mamba2), 1.0); break;
        case BB_LAYER_ATTENTION:
            bb_plan_use(p, bb_plan_attention(p, "mixer.", &attention), 1.0);
            break;
        case BB_LAYER_MLP: bb_plan_use(p, bb_plan_mlp(p, "mixer.", &mlp), 1.0); break;
        case BB_LAYER_MOE: plan_experts(f, p); break;
        }
    }
    bb_plan_back(f, p);
}

const bb_arch bb_arch_nemotron_h = {
    .model_type = "nemotron_h", .class_name = "NemotronHForCausalLM", .read = read, .plan = plan,
};
