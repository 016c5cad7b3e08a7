/* zamba2.c - Zyphra's Zamba2: Mamba-2 layers, some of which are told by attention that they share.
 *
 * One or two blocks of attention and an MLP take turns before such "hybrid" layers. They read the
 * stream beside the embedding; each use has a cache, low-rank terms and a linear map of its own,
 * whose output joins the input of the layer's Mamba-2 alone and leaves the stream as it is.
 * Tensors of a shared block bear the name of the layer that uses it first.
 * Source: transformers models/zamba2/{configuration,modeling}_zamba2.py. */
#include "arch/keys.h"
#include "arch/registry.h"

#include <limits.h>
#include <math.h>

static const char *const unused[] = { ".rotary_emb.inv_freq", NULL };

static const bb_names names = {
    .base = "model.", .embed = "model.embed_tokens.weight",
    .layer = "model.layers.%d.",
    .norm = "model.final_layernorm.weight", .head = "lm_head.weight",
    .unused = unused,
};

/* -------------------------------------------------------------- layers ------------------- */

/* Which layers are hybrid. Where the file is silent they are those of Zamba2-2.7B. */
static void read_layers(const bb_json *c, bb_facts *f)
{
    static const int usual[] = { 6, 12, 18, 24, 30, 36, 42, 47, 51 };
    enum { USUAL_LAYERS = 54 };
    const bb_json ids = bb_json_get(c, "hybrid_layer_ids");

    f->n_layers = bb_json_int_or(c, "num_hidden_layers", 1, BB_MAX_LAYERS, USUAL_LAYERS);
    if (bb_key_layer_kinds(c, f->n_layers, "hybrid", f->is_attention)) return;
    if (ids.node)
        bb_key_mark(c, "hybrid_layer_ids", f->n_layers, f->is_attention);
    else if (f->n_layers != USUAL_LAYERS)
        bb_json_fail_key(c, "layers_block_type", BAMBA_ERR_FORMAT,
                         "expected a list of %d names, found nothing", f->n_layers);
    else
        for (size_t i = 0; i < sizeof usual / sizeof *usual; i++) f->is_attention[usual[i]] = true;
}

/* -------------------------------------------------------------- mixers ------------------- */

/* A width that files may repeat and that others settle. */
static void expect_width(const bb_json *c, const char *key, int expected)
{
    const int found = bb_json_int_or(c, key, 1, BB_MAX_DIM, expected);

    if (found != expected)
        bb_json_fail_key(c, key, BAMBA_ERR_FORMAT, "expected %d, found %d", expected, found);
}

static void read_mamba(const bb_json *c, bb_facts *f)
{
    const int64_t   inner = (int64_t)bb_json_int_or(c, "mamba_expand", 1, 64, 2) * f->d_model;
    const int       H = bb_json_int_or(c, "n_mamba_heads", 1, BB_MAX_DIM, 8);
    const bool      bias = bb_json_bool_or(c, "add_bias_linear", false);
    bb_mamba2_dims *m = &f->mamba2;

    *m = (bb_mamba2_dims){
        .n_heads   = H,
        .d_state   = bb_json_int_or(c, "mamba_d_state", 1, BB_MAX_DIM, 64),
        .n_groups  = bb_json_int_or(c, "mamba_ngroups", 1, BB_MAX_DIM, 1),
        .d_conv    = bb_json_int_or(c, "mamba_d_conv", 1, 64, 4),
        .conv_bias = true, .in_bias = bias, .out_bias = bias,
        .epsilon   = 1e-5f,               /* whatever rms_norm_eps is */
        .d_head    = 1,
    };
    if (inner > BB_MAX_DIM || inner % H != 0)
        bb_json_fail_key(c, "n_mamba_heads", BAMBA_ERR_FORMAT,
                         "expected a divisor of mamba_expand * hidden_size = %lld, found %d",
                         (long long)inner, H);
    else m->d_head = (int)inner / H;
    expect_width(c, "mamba_headdim", m->d_head);
    if (H % m->n_groups != 0)
        bb_json_fail_key(c, "mamba_ngroups", BAMBA_ERR_FORMAT,
                         "expected a divisor of n_mamba_heads = %d, found %d", H, m->n_groups);
    bb_key_limits(c, "time_step_limit", &m->dt_min, &m->dt_max);
}

static void read_attention(const bb_json *c, bb_facts *f)
{
    const int          width = 2 * f->d_model;
    const int          A = bb_json_int_or(c, "num_attention_heads", 1, BB_MAX_DIM, 32);
    bb_attention_dims *a = &f->attention;

    *a = (bb_attention_dims){
        .n_heads = A, .n_kv_heads = bb_json_int_or(c, "num_key_value_heads", 1, BB_MAX_DIM, A),
        .d_head = width / A, .scale = 1.0f / sqrtf((float)(width / A) / 2.0f),
    };
    if (width % A != 0)
        bb_json_fail_key(c, "num_attention_heads", BAMBA_ERR_FORMAT,
                         "expected a divisor of 2 * hidden_size = %d, found %d", width, A);
    if (A % a->n_kv_heads != 0)
        bb_json_fail_key(c, "num_key_value_heads", BAMBA_ERR_FORMAT,
                         "expected a divisor of num_attention_heads = %d, found %d", A,
                         a->n_kv_heads);
    expect_width(c, "attention_hidden_size", width);
    expect_width(c, "attention_head_dim", a->d_head);
    bb_key_expect_switch(c, "use_long_context", false);
    if (!bb_json_bool_or(c, "use_mem_rope", false)) return;
    if (a->d_head % 2 != 0)
        bb_json_fail_key(c, "num_attention_heads", BAMBA_ERR_UNSUPPORTED,
                         "expected an even number of columns of a head, found %d", a->d_head);
    a->rope = bb_key_rope_dims(c, a->d_head, f->n_context, &f->rope);
}

static void read_mlp(const bb_json *c, bb_facts *f)
{
    const int usual = f->d_model <= BB_MAX_DIM / 8 ? 4 * f->d_model : BB_MAX_DIM / 2;

    f->mlp = (bb_mlp_dims){
        .d_ff = bb_json_int_or(c, "intermediate_size", 1, BB_MAX_DIM / 2, usual),
        .bias = bb_json_bool_or(c, "add_bias_linear", false), .gate_up = "gate_up_proj",
        .activation = bb_key_gated_activation(c, "hidden_act", BB_ACT_GELU_GATED),
    };
    bb_key_expect_switch(c, "use_shared_mlp_adapter", true);
    f->mlp.low_rank.rank = bb_json_int_or(c, "adapter_rank", 1, BB_MAX_DIM, 128);
    if (bb_json_bool_or(c, "use_shared_attention_adapter", false))
        f->attention.low_rank.rank = f->mlp.low_rank.rank;
}

static void read(const bb_json *c, bb_facts *f)
{
    f->names = &names;
    f->d_model = bb_json_int_or(c, "hidden_size", 1, BB_MAX_DIM / 2, 2560);
    f->n_vocab = f->n_rows = bb_json_int_or(c, "vocab_size", 1, BB_MAX_DIM, 32000);
    f->n_context = bb_json_int_or(c, "max_position_embeddings", 1, INT_MAX, 4096);
    f->epsilon = bb_key_epsilon(c, "rms_norm_eps", 1e-5);
    f->tied = bb_json_bool_or(c, "tie_word_embeddings", true);        /* and the shared blocks */
    f->n_shared = bb_json_int_or(c, "num_mem_blocks", 1, BB_MAX_LAYERS, 1);
    read_layers(c, f);
    read_mamba(c, f);
    read_attention(c, f);
    read_mlp(c, f);
}

/* -------------------------------------------------------------- plan --------------------- */

/* A block of attention and an MLP that layers share. */
typedef struct shared {
    bb_mixer *attention, *mlp;
    size_t    norm, mlp_norm;             /* numbers of the blocks that had them first */
} shared;

/* The low-rank terms of shared block number b, of n_uses uses of all. */
static bb_low_rank_dims terms_of(const bb_facts *f, int rank, int b, int n_uses)
{
    return (bb_low_rank_dims){ rank, rank ? (n_uses - b + f->n_shared - 1) / f->n_shared : 0, b,
                               f->n_shared };
}

/* Plan the mixers of shared block number b in the layer that is open. */
static shared plan_shared(const bb_facts *f, bb_plan *p, int b, int n_uses)
{
    bb_attention_dims attention = f->attention;
    bb_mlp_dims       mlp = f->mlp;

    attention.d_model = 2 * f->d_model;
    attention.d_out = mlp.d_model = f->d_model;
    attention.low_rank = terms_of(f, attention.low_rank.rank, b, n_uses);
    mlp.low_rank = terms_of(f, mlp.low_rank.rank, b, n_uses);
    return (shared){ bb_plan_attention(p, "shared_transformer.self_attn.", &attention),
                     bb_plan_mlp(p, "shared_transformer.feed_forward.", &mlp),
                     p->g->n_blocks, p->g->n_blocks + 1 };
}

/* What the shared block makes of the stream beside the embedding, into the side stream. */
static void plan_use(const bb_facts *f, bb_plan *p, const shared *s, bool is_first)
{
    bb_plan_block(p, is_first ? "shared_transformer.input_layernorm.weight" : NULL);
    if (!is_first) bb_plan_norm_of(p, s->norm);
    bb_plan_input(p, BB_INPUT_BESIDE_EMBEDDING);
    bb_plan_to_side(p);
    bb_plan_use(p, s->attention, 1.0);

    bb_plan_block(p, is_first ? "shared_transformer.pre_ff_layernorm.weight" : NULL);
    if (!is_first) bb_plan_norm_of(p, s->mlp_norm);
    bb_plan_input(p, BB_INPUT_SIDE);
    bb_plan_to_side(p);
    bb_plan_use(p, s->mlp, 1.0);

    bb_plan_block(p, NULL);
    bb_plan_input(p, BB_INPUT_SIDE);
    bb_plan_to_side(p);
    bb_plan_use(p, bb_plan_linear(p, "linear.", f->d_model, f->d_model), 1.0);
}

static void plan(const bb_facts *f, bb_plan *p)
{
    bb_mamba2_dims mamba2 = f->mamba2;
    shared         blocks[BB_MAX_LAYERS];
    int            n_uses = 0, use = 0;

    mamba2.d_model = f->d_model;
    for (int l = 0; l < f->n_layers; l++) n_uses += f->is_attention[l];
    bb_plan_front(f, p);
    for (int l = 0; l < f->n_layers; l++) {
        bb_plan_layer(p, names.layer, l);
        if (!f->is_attention[l]) {
            bb_plan_block(p, "input_layernorm.weight");
            bb_plan_use(p, bb_plan_mamba2(p, "mamba.", &mamba2), 1.0);
            continue;
        }
        const int  b = use % f->n_shared;
        const bool is_first = use++ < f->n_shared;
        if (is_first) blocks[b] = plan_shared(f, p, b, n_uses);
        plan_use(f, p, &blocks[b], is_first);
        bb_plan_block(p, "mamba_decoder.input_layernorm.weight");
        bb_plan_input(p, BB_INPUT_JOINED);
        bb_plan_use(p, bb_plan_mamba2(p, "mamba_decoder.mamba.", &mamba2), 1.0);
    }
    bb_plan_back(f, p);
}

const bb_arch bb_arch_zamba2 = {
    .model_type = "zamba2", .class_name = "Zamba2ForCausalLM", .read = read, .plan = plan,
};
