/* setup.h - from the flags of a command to a model, a tokenizer, an engine and a session.
 *
 * Owns:    the options all commands share, opening what they name, checking that it fits into
 *          memory.
 * Not:     what is done with it.
 * Errors:  reported here; callers pass the exit code on. Close with setup_close in any case.
 */
#ifndef BAMBA_TOOLS_SETUP_H
#define BAMBA_TOOLS_SETUP_H

#include "adapters.h"
#include "args.h"
#include "bamba.h"
#include "type_rules.h"

typedef struct setup_flags {
    const char *dir;                      /* NULL: the embedded model                     */
    const char *cpu;
    int         weight_type;              /* a bamba_type                                 */
    const char *calibration;              /* NULL: none                                   */
    arg_list    adapter;                  /* for adapters_open                            */
    arg_list    type_of;                  /* for type_rules_read; setup_free_flags        */
    int         compute_type;             /* likewise: default or float32                 */
    int         kv_type, state_type;      /* numbers in the lists of words                */
    int         n_threads, n_batch;       /* 0: the library's defaults                    */
    int         n_window, n_sink;         /* of attention; n_window 0: it sees all; n_sink
                                             -1: not said                                 */
    bool        strict;                   /* no tensors that nothing needs                */
    bool        copy;                     /* weights into memory                          */
} setup_flags;

#define SETUP_FLAGS { .dir = NULL, .n_sink = -1 }

/* Whether a sink is said without the window that it belongs to. */
static inline bool setup_lacks_window(const setup_flags *f)
{
    return f->n_sink >= 0 && f->n_window == 0;
}

extern const char *const setup_weight_types[], *const setup_kv_types[], *const setup_state_types[];
extern const char *const setup_compute_types[], *const setup_cpu_levels[];

/* The name of a model's type of weights: one of setup_weight_types, "f8", or "other". */
const char *setup_type_name(bamba_type type);

/* Rows of an option table; f is a setup_flags *. */
#define SETUP_MODEL_ROW(f)                                                                     \
    ARG_TEXT_ROW("-m, --model", "DIR", &(f)->dir, "model directory, or the name ORG/NAME of "  \
      "a model in the Hugging Face cache", .usual = "$BAMBA_MODEL, or the embedded model")
#define SETUP_CPU_ROW(target)                                                                  \
    ARG_TEXT_ROW("--cpu", "LEVEL", target, "instruction set", .words = setup_cpu_levels,       \
      .usual = "$BAMBA_CPU, or the best")
#define SETUP_CALIBRATION_ROW(f)                                                               \
    ARG_TEXT_ROW("--calibration, --calibrate", "FILE", &(f)->calibration, "round weights "     \
      "to q8 and q4 by what bamba calibrate wrote to FILE")
#define SETUP_TYPE_ROWS(f)                                                                     \
    ARG_HEAD("Machine"),                                                                       \
    ARG_WORD_ROW("--type", "TYPE", &(f)->weight_type, setup_weight_types,                      \
      "type of the weights while they are used", .usual = "stored",                            \
      .more = "Weights of another type than stored are copied into memory; stored ones are "   \
      "used in place. q8 and q4 have whole numbers of 8 and 4 bits with a scale a block of 32; "\
      "q4 keeps in q8 what suffers most."),                                                    \
    TYPE_RULES_ROW(&(f)->type_of),                                                             \
    SETUP_CALIBRATION_ROW(f),                                                                  \
    ARG_WORD_ROW("--kv-type, -ctk, --cache-type-k", "TYPE", &(f)->kv_type, setup_kv_types,     \
      "type of the attention cache", .usual = "f16"),                                          \
    ARG_WORD_ROW("-ctv, --cache-type-v", "TYPE", &(f)->kv_type, setup_kv_types,                \
      "the same; keys and values have one type"),                                              \
    ARG_WORD_ROW("--state-type", "TYPE", &(f)->state_type, setup_state_types,                  \
      "type of the state-space layers' states", .usual = "f32"),                               \
    ARG_WORD_ROW("--compute", "TYPE", &(f)->compute_type, setup_compute_types,                 \
      "activations in products", .usual = "fastest", .more = "f32 keeps them float32 where "   \
      "processors with bfloat16 instructions would round them beside bfloat16 weights."),      \
    SETUP_CPU_ROW(&(f)->cpu),                                                                  \
    ARG_INT_ROW("-t, --threads", "N", &(f)->n_threads, 0, 1024, "threads",                     \
      .usual = "0, one for each core", .more = "The cores are the physical ones this process " \
      "may use. The result is the same to the last bit for any number."),                      \
    ARG_FLAG_ROW("--no-mmap", &(f)->copy, "read the weights into memory, map no files"),       \
    ARG_FLAG_ROW("--strict", &(f)->strict, "refuse weights that hold tensors the model does "  \
      "not need")
/* Of commands that have sessions longer than a model may be good for. */
enum { SETUP_MOST_WINDOW = 1 << 29 };
#define SETUP_WINDOW_ROWS(f)                                                                   \
    ARG_INT_ROW("--window", "N", &(f)->n_window, 0, SETUP_MOST_WINDOW, "attention sees the "   \
      "last N tokens and a sink alone; 0: all", .usual = "0", .more = "An approximation: "     \
      "attention's memory stops growing, and a text may go on beyond the model's length. "     \
      "State-space layers still take in the whole text."),                                     \
    ARG_INT_ROW("--sink", "N", &(f)->n_sink, 0, SETUP_MOST_WINDOW, "the first tokens, which "  \
      "--window keeps in sight", .usual = "4")
#define SETUP_BATCH_ROW(f)                                                                     \
    ARG_INT_ROW("-b, --batch-size", "N", &(f)->n_batch, 1, 65536,                              \
      "tokens of a prompt run at once", .usual = "512")

enum { SETUP_USUAL_BATCH = 512 };         /* rows of an engine's pass that nothing is said of */

typedef struct setup {
    const char       *dir;
    char              found[4096];        /* what dir points to if it was not given */
    bamba_model      *model;
    bamba_model_info  info;
    bamba_tokenizer  *tokenizer;
    bamba_engine     *engine;
    bamba_session    *session;
    type_rules        rules;
    size_t            n_rewind;           /* of the session to be created: the last tokens will be
                                             taken back, so many at most                     */
    bool              goes_back;          /* set by the caller: tokens of the session will be
                                             taken back, so it keeps earlier states         */
    int               n_logits;           /* rows of logits a call for a text; 0: 1         */
    adapters          adapter;
    bamba_session_options session_options;            /* set with the engine: of the session, and of
                                             others like it; they point into the setup       */
} setup;

#define SETUP                                                                                  \
    { NULL, "", NULL, BAMBA_MODEL_INFO, NULL, NULL, NULL, { NULL, 0 }, 0, false, 0, { NULL, 0 }, \
      BAMBA_SESSION_OPTIONS }

/* The types that words of setup_kv_types and setup_state_types stand for. */
bamba_type setup_kv_type(int word);
bamba_type setup_state_type(int word);

/* Each returns EXIT_SUCCESS or an exit code. Whichever is called first finds the directory. */
int  setup_find(setup *s, const setup_flags *f);

/* Write the directory that a name given to -m stands for: itself, or a snapshot of the Hugging Face
   cache if it names a model or a folder there. */
int  setup_locate(const char *name, char *dir, size_t size);

/* Say that n tokens are going to be fed, so that progress shows before the first piece of them is
   done. */
void setup_begin_prompt(size_t n);

/* Tokens that the engine has fed since the program began, those that were fed again to go back
   among them. */
uint64_t setup_count_fed(void);
int  setup_open_tokenizer(setup *s, const setup_flags *f);
int  setup_open_model(setup *s, const setup_flags *f);       /* and its adapters */

/* The options that the flags make, for a model opened otherwise; they point into s and f. */
int  setup_model_options(setup *s, const setup_flags *f, bamba_model_options *o);

/* Free what reading the options allocated. */
void setup_free_flags(setup_flags *f);

/* Create an engine for so many rows of a call. shows_prompts: the progress of feeding prompts is
   shown. */
int  setup_create_engine(setup *s, const setup_flags *f, int n_logits, int n_hidden,
                         bool shows_prompts);

/* The context of each of many sessions: length if it is not 0; else the model's, or what fits into
   memory; 0: no limit. */
size_t setup_find_context(const setup *s, const setup_flags *f, int length);

/* Create an engine for up to n_logits rows of logits a call, and, unless there is one, a session of
   n_context tokens with the flags' adapters. Fails if the state of n_used tokens does not fit into
   free memory. */
int  setup_create(setup *s, const setup_flags *f, size_t n_context, size_t n_used,
                  int n_logits);

/* setup_create for a text whose prompt has n_prompt tokens and that grows by at most `limit` tokens
   (negative: any number), for s->n_logits rows of logits a call, at least one. length: the context
   that was asked for; 0: the model's, or what fits into memory. */
enum { SETUP_MOST_CONTEXT = 1 << 30 };
int  setup_create_for_text(setup *s, const setup_flags *f, int length, size_t n_prompt, int limit);

/* What setup_create_engine does too: set the options of sessions, but for their context. */
void setup_set_session_options(setup *s, const setup_flags *f);

/* Open a session file as a session with those options; if they have no window, with its. */
int  setup_open_session(const setup *s, const char *path, bamba_session **out);
void setup_close(setup *s);

/* The largest number of positions, up to `most`, whose state fits free memory; without a window. */
size_t setup_fitting(const setup *s, size_t most);

/* Turn bytes [n] into ids; the caller frees them with bamba_tokens_free. */
int setup_tokenize(const setup *s, const char *bytes, size_t n, unsigned flags, int32_t **ids,
                   size_t *n_ids);

/* The begin token that the tokenizer puts before a text; -1 if it puts none. */
int setup_find_begin(const setup *s, int32_t *begin);

/* Rows of logits that a call can give in 64 MiB, at most 512. */
size_t setup_logits_rows(const setup *s);

#endif
