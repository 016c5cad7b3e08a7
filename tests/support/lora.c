/* lora.c - small random LoRA adapters as PEFT writes them. */
#include "support/lora.h"

#include "support/splitmix.h"
#include "support/tempdir.h"

#include <stdio.h>
#include <stdlib.h>

static float draw(uint64_t *seed)         /* [-1, 1) */
{
    return (float)(splitmix64(seed) >> 40) / 8388608.0f - 1.0f;
}

void lora_add_tensor(store *s, const char *name, int n_dims, const size_t *dim, float scale,
                     uint64_t seed)
{
    size_t n = 1;

    for (int i = 0; i < n_dims; i++) n *= dim[i];
    float *v = malloc(n * sizeof *v);
    if (!v) abort();
    for (size_t i = 0; i < n; i++) v[i] = scale * draw(&seed);
    store_add(s, name, "F32", n_dims, dim, v);
    free(v);
}

void lora_add(store *s, const char *module, int rows, int cols, int rank, uint64_t seed)
{
    const size_t A[] = { (size_t)rank, (size_t)cols }, B[] = { (size_t)rows, (size_t)rank };
    char         name[160];

    snprintf(name, sizeof name, "base_model.model.%s.lora_A.weight", module);
    lora_add_tensor(s, name, 2, A, 0.3f, seed);
    snprintf(name, sizeof name, "base_model.model.%s.lora_B.weight", module);
    lora_add_tensor(s, name, 2, B, 0.3f, seed + 77);
}

void lora_add_all(store *s, const tiny_dims *d, int rank, uint64_t seed)
{
    const int inner = d->ssm_heads * d->ssm_head_dim, D = d->d_model, F = d->d_mlp;
    const int xbc = inner + 2 * d->ssm_groups * d->ssm_state;
    const int kv = D / d->n_heads * d->n_kv_heads;

    for (int l = 0; l < d->n_layers; l++) {
        const struct { const char *name; int rows, cols; } mamba[] = {
            { "mamba.in_proj", inner + xbc + d->ssm_heads, D }, { "mamba.out_proj", D, inner },
        }, attention[] = {
            { "self_attn.q_proj", D, D }, { "self_attn.k_proj", kv, D },
            { "self_attn.v_proj", kv, D }, { "self_attn.o_proj", D, D },
        }, mlp[] = {
            { "feed_forward.gate_proj", F, D }, { "feed_forward.up_proj", F, D },
            { "feed_forward.down_proj", D, F },
        };
        bool is_attention = false;
        char name[120];
        for (int i = 0; i < d->n_attention; i++) is_attention |= d->attention[i] == l;
        for (int i = 0; i < 9; i++) {
            if (i < 2 ? is_attention : i < 6 && !is_attention) continue;
            const int   at = i < 2 ? i : i < 6 ? i - 2 : i - 6;
            const char *module = i < 2 ? mamba[at].name : i < 6 ? attention[at].name : mlp[at].name;
            const int   rows = i < 2 ? mamba[at].rows : i < 6 ? attention[at].rows : mlp[at].rows;
            const int   cols = i < 2 ? mamba[at].cols : i < 6 ? attention[at].cols : mlp[at].cols;
            snprintf(name, sizeof name, "model.layers.%d.%s", l, module);
            lora_add(s, name, rows, cols, rank, seed + (uint64_t)(100 * l + i));
        }
    }
}

void lora_write(const store *s, int rank, const char *members, const char *dir)
{
    char text[2000];

    snprintf(text, sizeof text, "{%s%s\"peft_type\": \"LORA\", \"r\": %d, \"lora_alpha\": %d, "
             "\"target_modules\": null, \"task_type\": \"CAUSAL_LM\"}", members ? members : "",
             members ? ", " : "", rank, 2 * rank);
    tempdir_write_text(dir, "adapter_config.json", text);
    store_write(s, 0, s->n, dir, "adapter_model.safetensors");
}
