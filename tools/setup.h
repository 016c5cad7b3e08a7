/* setup.h - from the flags of a command to a model, a tokenizer, an engine and a session.
 *
 * Owns:    the options all commands share, opening what they name, checking that it fits into
 *          memory.
 * Not:     what is done with it.
 * Errors:  reported here; callers pass the exit code on. Close with setup_close in any case.
 */
#ifndef BAMBA_TOOLS_SETUP_H
#define BAMBA_TOOLS_SETUP_H

#include "args.h"
#include "bamba.h"

typedef struct setup_flags {
    const char *dir;                      /* NULL: the embedded model                     */
    const char *cpu;
    int         weight_type, kv_type;     /* a bamba_type                                 */
    int         compute_type;             /* likewise: default or float32                 */
    int         n_threads, n_batch;       /* 0: the library's defaults                    */
    bool        strict;                   /* no tensors that nothing needs                */
} setup_flags;

#define SETUP_FLAGS { NULL, NULL, 0, 0, 0, 0, 0, false }

extern const char *const setup_weight_types[], *const setup_kv_types[];
extern const char *const setup_compute_types[];

/* Rows of an option table; f is a setup_flags *. */
#define SETUP_MODEL_ARG(f)                                                                     \
    { "-m, --model", "DIR", "model directory (default: $BAMBA_MODEL, or the "                  \
      "embedded model)", ARG_TEXT, &(f)->dir, 0, 0, NULL }
#define SETUP_TYPE_ARGS(f)                                                                     \
    { "--type", "TYPE", "weights: stored, f32, bf16, f16 (default: stored)", ARG_WORD,         \
      &(f)->weight_type, 0, 0, setup_weight_types },                                           \
    { "--kv-type, -ctk, --cache-type-k", "TYPE", "attention cache: f32, bf16, f16 "            \
      "(default: f16)", ARG_WORD, &(f)->kv_type, 0, 0, setup_kv_types },                       \
    { "--compute", "TYPE", "activations: fastest, f32 (default: fastest; bf16 weights may "     \
      "round them)", ARG_WORD, &(f)->compute_type, 0, 0, setup_compute_types },                \
    { "--cpu", "LEVEL", "instruction set: c, avx2, ... (default: $BAMBA_CPU, or the best)",    \
      ARG_TEXT, &(f)->cpu, 0, 0, NULL },                                                       \
    { "-t, --threads", "N", "threads (default: 0, one for each core)", ARG_INT,                \
      &(f)->n_threads, 0, 1024, NULL },                                                        \
    { "--strict", NULL, "refuse weights that hold tensors the model does not need", ARG_FLAG,  \
      &(f)->strict, 0, 0, NULL }
#define SETUP_BATCH_ARG(f)                                                                     \
    { "-b, --batch-size", "N", "tokens of a prompt run at once (default: 512)", ARG_INT,       \
      &(f)->n_batch, 1, 65536, NULL }

typedef struct setup {
    const char       *dir;
    char              found[4096];        /* what dir points to if it was not given */
    bamba_model      *model;
    bamba_model_info  info;
    bamba_tokenizer  *tokenizer;
    bamba_engine     *engine;
    bamba_session    *session;
} setup;

#define SETUP { NULL, "", NULL, BAMBA_MODEL_INFO, NULL, NULL, NULL }

/* Each returns EXIT_SUCCESS or an exit code. Whichever is called first finds the directory. */
int  setup_find(setup *s, const setup_flags *f);
int  setup_open_tokenizer(setup *s, const setup_flags *f);
int  setup_open_model(setup *s, const setup_flags *f);

/* Create an engine for up to n_logits rows of logits a call, and a session of n_context tokens.
   Fails if the state of n_used tokens does not fit into free memory. */
int  setup_create(setup *s, const setup_flags *f, size_t n_context, size_t n_used,
                  int n_logits);
void setup_close(setup *s);

/* The largest number of positions, up to `most`, whose state fits into free memory. */
size_t setup_fitting(const setup *s, size_t most);

/* Turn bytes [n] into ids; the caller frees them with bamba_tokens_free. */
int setup_tokenize(const setup *s, const char *bytes, size_t n, unsigned flags, int32_t **ids,
                   size_t *n_ids);

#endif
