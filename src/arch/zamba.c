/* zamba.c - Zyphra's Zamba: layers of Mamba-1 with heads, some of them preceded by one attention
 * and MLP that they share.
 *
 * A hybrid layer is x += mamba(norm(x + t)), t = linear(shared(x beside the embedding)): t is not
 * added to the stream. The shared tensors are those of the first hybrid layer, also where the
 * embedding is not tied to the head: transformers 4 stored them once whatever tie_word_embeddings
 * is; files of an untied model by transformers 5, with one copy for each hybrid layer, are refused.
 * Source: transformers models/zamba/{configuration,modeling}_zamba.py; Glorioso et al. 2024,
 *         arXiv:2405.16712. */
#include "arch/keys.h"
#include "arch/registry.h"

#include <limits.h>
#include <math.h>

static const bb_names names = {
    .base = "model.", .embed = "model.embed_tokens.weight", .layer = "model.layers.%d.",
    .mixer_norm = "input_layernorm.weight", .mamba1 = "mamba.",
    .attention = "shared_transf.self_attn.",
    .mlp_norm = "shared_transf.pre_ff_layernorm.weight", .mlp = "shared_transf.feed_forward.",
    .norm = "model.final_layernorm.weight", .head = "lm_head.weight",
};

/* -------------------------------------------------------------- facts -------------------- */

/* Which layers are hybrid: as listed, or the third, and from the fourth on by period and offset. */
static void read_layers(const bb_json *c, bb_facts *f)
{
    const int period = bb_json_int_or(c, "attn_layer_period", 1, INT_MAX, 6);
    const int offset = bb_json_int_or(c, "attn_layer_offset", 0, INT_MAX, 4);

    if (bb_key_layer_kinds(c, f->n_layers, "hybrid", f->is_attention)) return;
    if (f->n_layers < 3)
        bb_json_fail_key(c, "num_hidden_layers", BAMBA_ERR_FORMAT,
                         "expected at least 3 without a list of their kinds, found %d",
                         f->n_layers);
    for (int l = 2; l < f->n_layers; l++) f->is_attention[l] = l == 2 || (l - 3) % period == offset;
}

static void read_attention(const bb_json *c, bb_facts *f)
{
    const int          width = bb_json_int_or(c, "attention_hidden_size", 1, BB_MAX_DIM,
                                              2 * f->d_model);
    bb_attention_dims *a = &f->attention;

    a->d_model = 2 * f->d_model;
    a->d_out = f->d_model;
    a->n_heads = bb_json_int_or(c, "num_attention_heads", 1, BB_MAX_DIM, 16);
    a->n_kv_heads = bb_json_int_or(c, "num_key_value_heads", 1, BB_MAX_DIM, 16);
    a->d_head = bb_json_int_or(c, "attention_head_dim", 1, 4096, 2 * f->d_model / a->n_heads);
    a->scale = 1.0f / sqrtf((float)a->d_head / 2.0f);
    if (width != 2 * f->d_model)
        bb_json_fail_key(c, "attention_hidden_size", BAMBA_ERR_FORMAT,
                         "expected 2 * hidden_size = %d, found %d", 2 * f->d_model, width);
    if (a->d_head < 1 || a->d_head > 4096)
        bb_json_fail_key(c, "num_attention_heads", BAMBA_ERR_FORMAT,
                         "expected heads of 1 to 4096 columns, found %d in 2 * hidden_size = %d",
                         a->n_heads, 2 * f->d_model);
    if (a->n_heads % a->n_kv_heads != 0)
        bb_json_fail_key(c, "num_key_value_heads", BAMBA_ERR_FORMAT,
                         "expected a divisor of num_attention_heads = %d, found %d", a->n_heads,
                         a->n_kv_heads);
}

static void read_mamba(const bb_json *c, bb_facts *f)
{
    const int inner = bb_key_inner_width(c, "mamba_expand", f->d_model);
    const int H = bb_json_int_or(c, "n_mamba_heads", 1, BB_MAX_DIM, 2);

    f->mamba1 = (bb_mamba1_dims){
        .d_inner   = inner,
        .d_state   = bb_json_int_or(c, "mamba_d_state", 1, BB_MAX_DIM, 16),
        .d_conv    = bb_json_int_or(c, "mamba_d_conv", 1, 64, 4),
        .dt_rank   = bb_key_dt_rank(c, "mamba_dt_rank", f->d_model),
        .n_heads   = H,
        .conv_bias = bb_json_bool_or(c, "mamba_conv_bias", true),
        .proj_bias = bb_json_bool_or(c, "mamba_proj_bias", false),
    };
    if (inner % H != 0)
        bb_json_fail_key(c, "n_mamba_heads", BAMBA_ERR_FORMAT,
                         "expected a divisor of mamba_expand * hidden_size = %d, found %d",
                         inner, H);
    bb_key_expect(c, "hidden_mamba_act", "silu");
}

static void read(const bb_json *c, bb_facts *f)
{
    f->names = &names;
    f->d_model = bb_json_int_or(c, "hidden_size", 1, BB_MAX_DIM / 2, 3712);
    f->n_vocab = f->n_rows = bb_json_int_or(c, "vocab_size", 1, BB_MAX_DIM, 32000);
    f->n_layers = bb_json_int_or(c, "num_hidden_layers", 1, BB_MAX_LAYERS, 76);
    f->n_context = bb_json_int_or(c, "max_position_embeddings", 1, INT_MAX, 4096);
    f->epsilon = bb_key_epsilon(c, "rms_norm_eps", 1e-5);
    f->tied = bb_json_bool_or(c, "tie_word_embeddings", true);        /* and the shared blocks */
    f->mlp.d_model = f->d_model;
    f->mlp.d_ff = bb_json_int_or(c, "intermediate_size", 1, BB_MAX_DIM, 14848);
    f->mlp.activation = bb_key_gated_activation(c, "hidden_act", BB_ACT_GELU_GATED);
    read_layers(c, f);
    read_attention(c, f);
    read_mamba(c, f);
}

/* -------------------------------------------------------------- plan --------------------- */

/* What all hybrid layers share, and where it was first used. */
typedef struct shared {
    bb_mixer *attention, *mlp;            /* NULL: not yet */
    size_t    block;                      /* of the attention; the MLP's follows */
} shared;

/* t, in the side stream. */
static void plan_shared(const bb_facts *f, bb_plan *p, shared *s)
{
    const bb_names *n = f->names;
    const bool      is_first = !s->attention;

    if (is_first) {
        s->block = p->g->n_blocks;
        s->attention = bb_plan_attention(p, n->attention, &f->attention);
        s->mlp = bb_plan_mlp(p, n->mlp, &f->mlp);
    }
    bb_plan_block(p, "shared_transf.input_layernorm.weight");
    if (!is_first) bb_plan_norm_of(p, s->block);
    bb_plan_input(p, BB_INPUT_BESIDE_EMBEDDING);
    bb_plan_to_side(p);
    bb_plan_use(p, s->attention, 1.0);
    bb_plan_block(p, n->mlp_norm);
    if (!is_first) bb_plan_norm_of(p, s->block + 1);
    bb_plan_to_side(p);
    bb_plan_input(p, BB_INPUT_SIDE);
    bb_plan_use(p, s->mlp, 1.0);
    bb_plan_block(p, NULL);
    bb_plan_to_side(p);
    bb_plan_input(p, BB_INPUT_SIDE);
    bb_plan_use(p, bb_plan_linear(p, "linear.", f->d_model, f->d_model), 1.0);
}

static void plan(const bb_facts *f, bb_plan *p)
{
    const bb_names *n = f->names;
    bb_mamba1_dims  mamba = f->mamba1;
    shared          s = { 0 };

    mamba.d_model = f->d_model;
    bb_plan_front(f, p);
    for (int l = 0; l < f->n_layers; l++) {
        const bool is_hybrid = f->is_attention[l];
        bb_plan_layer(p, n->layer, l);
        if (is_hybrid) plan_shared(f, p, &s);
        bb_plan_layer(p, is_hybrid ? "model.layers.%d.mamba_decoder." : n->layer, l);
        bb_plan_block(p, n->mixer_norm);
        if (is_hybrid) bb_plan_input(p, BB_INPUT_JOINED);
        bb_plan_use(p, bb_plan_mamba1(p, n->mamba1, &mamba), 1.0);
    }
    bb_plan_back(f, p);
}

const bb_arch bb_arch_zamba = {
    .model_type = "zamba", .class_name = "ZambaForCausalLM", .read = read, .plan = plan,
};
