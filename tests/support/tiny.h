/* tiny.h - small random Bamba checkpoints, made anew for each test.
 *
 * Owns:    names, shapes and plausible values of a BambaForCausalLM directory.
 * Not:     the file format (store.h), directories (tempdir.h), tokenizers.
 *
 * The same struct gives the same bytes everywhere: the generator is our own (splitmix64).
 */
#ifndef SUPPORT_TINY_H
#define SUPPORT_TINY_H

#include "support/store.h"

#include <stdbool.h>

typedef struct tiny_dims {
    uint64_t    seed;
    const char *dtype;                    /* of every tensor: "F32", "BF16", "F16" */
    int         n_vocab, d_model, d_mlp, n_layers;
    int         n_heads, n_kv_heads;      /* attention; head width = d_model / n_heads */
    int         attention[8];             /* layers with attention; the others are Mamba-2 */
    int         n_attention;
    int         d_rotary;                 /* attn_rotary_emb; 0 leaves the key out */
    int         ssm_heads, ssm_head_dim;  /* their product must be ssm_expand * d_model */
    int         ssm_expand, ssm_groups, ssm_state, d_conv;
    int         n_context;
    bool        tied, conv_bias, proj_bias;
    int         n_shards;                 /* 0: one model.safetensors; else an index too */
} tiny_dims;

/* 3 layers, the middle one attention; about 60 thousand parameters. */
#define TINY_DIMS { .seed = 1, .dtype = "F32", .n_vocab = 96, .d_model = 32, .d_mlp = 48,     \
                    .n_layers = 3, .n_heads = 4, .n_kv_heads = 2, .attention = { 1 },         \
                    .n_attention = 1, .ssm_heads = 8, .ssm_head_dim = 8, .ssm_expand = 2,     \
                    .ssm_groups = 2, .ssm_state = 16, .d_conv = 4, .n_context = 256,          \
                    .conv_bias = true }

/* Append all tensors of the model to *s. */
void tiny_tensors(const tiny_dims *d, store *s);

/* config.json in the flat style of published checkpoints; with key given, that member's value
   is the JSON text `value` instead, or the member is left out (value NULL). Freed by the
   caller. */
char *tiny_config(const tiny_dims *d, const char *key, const char *value);

/* The tensors as model.safetensors, or as n_shards files with model.safetensors.index.json. */
void tiny_write_tensors(const store *s, int n_shards, const char *dir);

/* The whole directory: config.json and the tensors. */
void tiny_write(const tiny_dims *d, const char *dir);

#endif
