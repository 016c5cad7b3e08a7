/* tiny.c - small random Bamba checkpoints, made anew for each test. */
#include "support/tiny.h"

#include "support/splitmix.h"
#include "support/tempdir.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -------------------------------------------------------------- numbers ------------------ */

static double next_uniform(uint64_t *state)               /* [0, 1) */
{
    return (double)(splitmix64(state) >> 11) * 0x1p-53;
}

/* Mean 0, variance 1, nearly normal, without a function that differs between C libraries. */
static double next_normal(uint64_t *state)
{
    double sum = -2;
    for (int i = 0; i < 4; i++) sum += next_uniform(state);
    return sum * 1.7320508075688772;
}

typedef struct builder {
    const tiny_dims *d;
    store           *out;
    uint64_t         state;
    char             prefix[64];
} builder;

typedef enum values { NORMAL, NEAR_ONE, A_LOG, DT_BIAS } values;

static float next_value(builder *b, values kind, double scale)
{
    switch (kind) {
    case NEAR_ONE: return (float)(1 + scale * next_normal(&b->state));
    case A_LOG:    return (float)log(1 + 15 * next_uniform(&b->state));     /* A: -1 .. -16 */
    case DT_BIAS: {                       /* softplus(bias) log-uniform in 0.001 .. 0.1 */
        const double dt = exp(log(0.001) + log(100.0) * next_uniform(&b->state));
        return (float)(dt + log(-expm1(-dt)));
    }
    case NORMAL:   break;
    }
    return (float)(scale * next_normal(&b->state));
}

static void add(builder *b, const char *name, values kind, double scale, int n_dims,
                const size_t *dim)
{
    char   full[120];
    size_t n = 1;

    for (int i = 0; i < n_dims; i++) n *= dim[i];
    float *v = malloc((n + 1) * sizeof *v);
    if (!v) abort();
    for (size_t i = 0; i < n; i++) v[i] = next_value(b, kind, scale);
    snprintf(full, sizeof full, "%s%s", b->prefix, name);
    store_add(b->out, full, b->d->dtype, n_dims, dim, v);
    free(v);
}

static void add_vector(builder *b, const char *name, values kind, double scale, int n)
{
    add(b, name, kind, scale, 1, (const size_t[]){ (size_t)n });
}

static void add_matrix(builder *b, const char *name, int rows, int cols)
{
    const size_t dim[2] = { (size_t)rows, (size_t)cols };
    add(b, name, NORMAL, 1 / sqrt((double)cols), 2, dim);
}

/* -------------------------------------------------------------- layers ------------------- */

static void add_mamba(builder *b)
{
    const tiny_dims *d = b->d;
    const int        inner = d->ssm_heads * d->ssm_head_dim;
    const int        channels = inner + 2 * d->ssm_groups * d->ssm_state;
    const int        rows = inner + channels + d->ssm_heads;

    add_matrix(b, "mamba.in_proj.weight", rows, d->d_model);
    if (d->proj_bias) add_vector(b, "mamba.in_proj.bias", NORMAL, 0.1, rows);
    add(b, "mamba.conv1d.weight", NORMAL, 0.5, 3,
        (const size_t[]){ (size_t)channels, 1, (size_t)d->d_conv });
    if (d->conv_bias) add_vector(b, "mamba.conv1d.bias", NORMAL, 0.1, channels);
    add_vector(b, "mamba.dt_bias", DT_BIAS, 1, d->ssm_heads);
    add_vector(b, "mamba.A_log", A_LOG, 1, d->ssm_heads);
    add_vector(b, "mamba.D", NEAR_ONE, 0.1, d->ssm_heads);
    add_vector(b, "mamba.norm.weight", NEAR_ONE, 0.1, inner);
    add_matrix(b, "mamba.out_proj.weight", d->d_model, inner);
    if (d->proj_bias) add_vector(b, "mamba.out_proj.bias", NORMAL, 0.1, d->d_model);
}

static void add_attention(builder *b)
{
    const tiny_dims *d = b->d;
    const int        width = d->d_model / d->n_heads;

    add_matrix(b, "self_attn.q_proj.weight", d->n_heads * width, d->d_model);
    add_matrix(b, "self_attn.k_proj.weight", d->n_kv_heads * width, d->d_model);
    add_matrix(b, "self_attn.v_proj.weight", d->n_kv_heads * width, d->d_model);
    add_matrix(b, "self_attn.o_proj.weight", d->d_model, d->n_heads * width);
}

static bool is_attention(const tiny_dims *d, int layer)
{
    for (int i = 0; i < d->n_attention; i++)
        if (d->attention[i] == layer) return true;
    return false;
}

void tiny_tensors(const tiny_dims *d, store *s)
{
    builder b = { .d = d, .out = s, .state = d->seed };

    snprintf(b.prefix, sizeof b.prefix, "model.");
    add(&b, "embed_tokens.weight", NORMAL, 0.5, 2,
        (const size_t[]){ (size_t)d->n_vocab, (size_t)d->d_model });
    for (int i = 0; i < d->n_layers; i++) {
        snprintf(b.prefix, sizeof b.prefix, "model.layers.%d.", i);
        add_vector(&b, "input_layernorm.weight", NEAR_ONE, 0.1, d->d_model);
        if (is_attention(d, i)) add_attention(&b);
        else add_mamba(&b);
        add_vector(&b, "pre_ff_layernorm.weight", NEAR_ONE, 0.1, d->d_model);
        add_matrix(&b, "feed_forward.gate_proj.weight", d->d_mlp, d->d_model);
        add_matrix(&b, "feed_forward.up_proj.weight", d->d_mlp, d->d_model);
        add_matrix(&b, "feed_forward.down_proj.weight", d->d_model, d->d_mlp);
    }
    snprintf(b.prefix, sizeof b.prefix, "model.");
    add_vector(&b, "final_layernorm.weight", NEAR_ONE, 0.1, d->d_model);
    b.prefix[0] = '\0';
    if (!d->tied) add_matrix(&b, "lm_head.weight", d->n_vocab, d->d_model);
}

/* -------------------------------------------------------------- config.json -------------- */

typedef struct config {
    char       *text;
    size_t      n, room;
    const char *key;                      /* the member to replace or leave out */
    const char *value;
    bool        replaced;
} config;

static void append(config *c, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    const int n = vsnprintf(c->text + c->n, c->room - c->n, format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= c->room - c->n) abort();
    c->n += (size_t)n;
}

static void put(config *c, const char *key, const char *value)
{
    if (c->key && strcmp(key, c->key) == 0) {
        c->replaced = true;
        value = c->value;
    }
    if (value) append(c, "%s  \"%s\": %s", c->n > 1 ? ",\n" : "\n", key, value);
}

static void put_int(config *c, const char *key, int value)
{
    char text[16];
    snprintf(text, sizeof text, "%d", value);
    put(c, key, text);
}

static void put_bool(config *c, const char *key, bool value)
{
    put(c, key, value ? "true" : "false");
}

static void put_dims(config *c, const tiny_dims *d)
{
    char   list[128] = "[";
    size_t n = 1;

    for (int i = 0; i < d->n_attention; i++)
        n += (size_t)snprintf(list + n, sizeof list - n, "%s%d", i ? ", " : "",
                              d->attention[i]);
    snprintf(list + n, sizeof list - n, "]");

    put(c, "attn_layer_indices", list);
    if (d->d_rotary) put_int(c, "attn_rotary_emb", d->d_rotary);
    put_int(c, "hidden_size", d->d_model);
    put_int(c, "intermediate_size", d->d_mlp);
    put_bool(c, "mamba_conv_bias", d->conv_bias);
    put_int(c, "mamba_d_conv", d->d_conv);
    put_int(c, "mamba_d_head", d->ssm_head_dim);
    put_int(c, "mamba_d_state", d->ssm_state);
    put_int(c, "mamba_expand", d->ssm_expand);
    put_int(c, "mamba_n_groups", d->ssm_groups);
    put_int(c, "mamba_n_heads", d->ssm_heads);
    put_bool(c, "mamba_proj_bias", d->proj_bias);
    put_int(c, "max_position_embeddings", d->n_context);
    put_int(c, "num_attention_heads", d->n_heads);
    put_int(c, "num_hidden_layers", d->n_layers);
    put_int(c, "num_key_value_heads", d->n_kv_heads);
    put_bool(c, "tie_word_embeddings", d->tied);
    put_int(c, "vocab_size", d->n_vocab);
}

char *tiny_config(const tiny_dims *d, const char *key, const char *value)
{
    config c = { .room = 8192 + (value ? strlen(value) : 0), .key = key, .value = value };

    c.text = malloc(c.room);
    if (!c.text) abort();
    append(&c, "{");
    put(&c, "architectures", "[\"BambaForCausalLM\"]");
    put(&c, "attention_dropout", "0.0");
    put(&c, "bos_token_id", "1");
    put(&c, "eos_token_id", "2");
    put(&c, "hidden_act", "\"silu\"");
    put(&c, "initializer_range", "0.02");
    put(&c, "mamba_chunk_size", "256");
    put(&c, "model_type", "\"bamba\"");
    put(&c, "num_logits_to_keep", "1");
    put(&c, "pad_token_id", "0");
    put(&c, "partial_rotary_factor", "0.5");
    put(&c, "rms_norm_eps", "1e-05");
    put(&c, "rope_scaling", "null");
    put(&c, "rope_theta", "10000.0");
    put(&c, "time_step_limit", "[0.0, Infinity]");
    put(&c, "time_step_max", "0.1");
    put(&c, "time_step_min", "0.001");
    put(&c, "torch_dtype", "\"bfloat16\"");
    put(&c, "transformers_version", "\"4.57.6\"");
    put(&c, "use_cache", "true");
    put(&c, "z_loss_coefficient", "0.0");
    put_dims(&c, d);
    if (key && value && !c.replaced) put(&c, key, value);
    append(&c, "\n}\n");
    return c.text;
}

/* -------------------------------------------------------------- files -------------------- */

void tiny_write_tensors(const store *s, int n_shards, const char *dir)
{
    if (n_shards == 0) {
        store_write(s, 0, s->n, dir, "model.safetensors");
        return;
    }
    const size_t room = 256 + s->n * 256;
    char        *index = malloc(room);
    size_t       n = 0;
    size_t       total = 0;

    if (!index) abort();
    for (size_t i = 0; i < s->n; i++) total += s->tensor[i].bytes;
    n += (size_t)snprintf(index, room, "{\"metadata\": {\"total_size\": %zu}, "
                          "\"weight_map\": {", total);
    for (int k = 0; k < n_shards; k++) {
        const size_t first = s->n * (size_t)k / (size_t)n_shards;
        const size_t last = s->n * (size_t)(k + 1) / (size_t)n_shards;
        char         name[64];
        snprintf(name, sizeof name, "model-%05d-of-%05d.safetensors", k + 1, n_shards);
        store_write(s, first, last, dir, name);
        for (size_t i = first; i < last; i++)
            n += (size_t)snprintf(index + n, room - n, "%s\"%s\": \"%s\"", i ? ",\n" : "\n",
                                  s->tensor[i].name, name);
    }
    snprintf(index + n, room - n, "}}\n");
    tempdir_write_text(dir, "model.safetensors.index.json", index);
    free(index);
}

void tiny_write(const tiny_dims *d, const char *dir)
{
    store s = { NULL, 0, 0 };
    char *text = tiny_config(d, NULL, NULL);

    tempdir_write_text(dir, "config.json", text);
    tiny_tensors(d, &s);
    tiny_write_tensors(&s, d->n_shards, dir);
    store_free(&s);
    free(text);
}
