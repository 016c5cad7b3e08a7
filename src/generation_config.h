/* generation_config.h - what the files of a model say about generating text.
 *
 * Owns:    begin and end tokens of config.json and generation_config.json; how the makers of the
 *          model choose tokens.
 * Not:     the choosing (sampler.c).
 * Errors:  wrong kinds and values out of range name the file and the key. What is valid and cannot
 *          be followed goes to the log.
 */
#ifndef BB_GENERATION_CONFIG_H
#define BB_GENERATION_CONFIG_H

#include "base/json.h"

enum { BB_MAX_EOS = 16 };

typedef struct bb_generation_config {
    int     n_vocab;                      /* end tokens are below it                */
    int     n_eos;
    int32_t eos[BB_MAX_EOS];
    int32_t bos;                          /* -1 = not said                          */
    float   temperature;                  /* 0 = greedy; NAN = not said             */
    float   top_p, min_p, typical_p;      /* NAN = not said                         */
    float   repetition_penalty;           /* NAN = not said                         */
    int     top_k;                        /* INT_MIN = not said                     */
    int     max_new_tokens;               /* 0 = not said                           */
} bb_generation_config;

/* Nothing said yet, for a model of n_vocab tokens. */
void bb_generation_config_init(bb_generation_config *g, int n_vocab);

/* Read bos_token_id and eos_token_id of config.json or generation_config.json: a begin token
   replaces the one known, end tokens are added. Failures are sticky in the document. */
void bb_generation_config_tokens(bb_generation_config *g, const bb_json *config,
                                 const bb_log *log);

/* Read generation_config.json of a directory; nothing changes without such a file. */
bb_status bb_generation_config_read(bb_generation_config *g, const bb_allocator *a,
                                    const char *dir, const bb_log *log, bamba_error *err);

#endif
