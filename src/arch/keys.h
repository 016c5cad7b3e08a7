/* keys.h - readings of config.json that several families share.
 *
 * Owns:    the spellings that transformers has used over time for one fact.
 * Not:     which facts a family has.
 * Errors:  sticky in the document.
 */
#ifndef BB_ARCH_KEYS_H
#define BB_ARCH_KEYS_H

#include "arch/facts.h"
#include "base/json.h"

/* What a family's configuration class fills in for keys that are missing. */
typedef struct bb_key_defaults {
    int         n_vocab, d_ff, n_context;
    int         n_kv_heads;               /* 0 = as many as query heads */
    double      epsilon;
    double      partial;                  /* share of a head's columns that rotate */
    const char *rotary;                   /* key that says how many; NULL: always all of them */
    bool        no_rope;                  /* none, whatever is said of rotary positions */
} bb_key_defaults;

/* The facts of a decoder in transformers' usual words, save its mixers: sizes, norms, the MLP. */
void bb_key_decoder(const bb_json *config, const bb_key_defaults *known, bb_facts *f);

/* Whether the head is the embedding, by a key that is a literal. */
void bb_key_tied(const bb_json *config, const char *key, bool fallback, bb_facts *f);

/* The attention of such a decoder, after bb_key_decoder. */
void bb_key_attention(const bb_json *config, const bb_key_defaults *known, bb_facts *f);

/* A Mamba-2 mixer under Bamba's keys, after bb_key_decoder. d_ssm: its inner columns if the key
   mamba_d_ssm is missing; 0: the family has no such key, they are mamba_expand * hidden_size. */
void bb_key_mamba2(const bb_json *config, int d_ssm, bb_facts *f);

/* Mark the layers of n that layer_types, or layers_block_type, calls `kind` ("attention", also by
   its new name, or "hybrid"); the others are Mamba. Absent: false, and none is marked. */
bool bb_key_layer_kinds(const bb_json *config, int n, const char *kind, bool *is_marked);

/* A constant factor: finite and not 0; absent or null: 1. */
double bb_key_multiplier(const bb_json *config, const char *key);

/* Granite's multipliers, after bb_key_attention. */
void bb_key_granite(const bb_json *config, bb_facts *f);

/* n of them in a list; absent or null: 1. */
void bb_key_multipliers(const bb_json *config, const char *key, int n, double *out);

/* [lo, hi] with 0 <= lo <= hi, hi maybe infinite; absent or null: [0, inf]. */
void bb_key_limits(const bb_json *config, const char *key, float *lo, float *hi);

/* An epsilon of a norm: 0 <= eps < 1. */
double bb_key_epsilon(const bb_json *config, const char *key, double fallback);

/* Base of the rotary angles and the share of a head that rotates (fallback if not said), from
   rope_scaling, rope_parameters or the top level: a rope_scaling that says anything replaces
   rope_parameters, the inner theta beats the outer one. */
typedef struct bb_rope_keys {
    double theta;
    double partial;
} bb_rope_keys;

bb_rope_keys bb_key_rope(const bb_json *config, double partial_fallback);

/* Angles and their scaling for d rotated columns and a model made for n_context positions.
   Unknown kinds of scaling are refused by name. */
bb_rope_dims bb_key_rope_dims(const bb_json *config, int d, int n_context,
                              bb_rope_factors *factors);

/* Set marked[v] for each v in a list of integers; an absent list has none. Elements outside
   [0, n) are errors. */
void bb_key_mark(const bb_json *config, const char *key, int n, bool *marked);

/* The activation of a gated MLP: "silu" or "gelu", the exact one; absent or null: fallback. */
bb_activation bb_key_gated_activation(const bb_json *config, const char *key,
                                      bb_activation fallback);

/* Refuse a text key, or a boolean one, that is there and is not `expected`. */
void bb_key_expect(const bb_json *config, const char *key, const char *expected);
void bb_key_expect_switch(const bb_json *config, const char *key, bool expected);

/* Inner columns of a Mamba-1 mixer: a whole number, 2 if it is missing, times d_model. */
int bb_key_inner_width(const bb_json *config, const char *key, int d_model);

/* Rank of Mamba-1's dt: a number, or "auto", as if it were missing: D / 16 rounded up. */
int bb_key_dt_rank(const bb_json *config, const char *key, int d_model);

/* Whether this is mamba_ssm's own file: its words, and not transformers' too, as in conversions. */
bool bb_key_is_mamba_ssm(const bb_json *config);

/* mamba_ssm: vocab_size, and rows of the embedding padded to a multiple of
   pad_vocab_size_multiple. */
void bb_key_padded_vocabulary(const bb_json *config, bb_facts *f);

#endif
