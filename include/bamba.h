/*
 * bamba.h - inference for hybrid Mamba-2 / attention language models
 *
 * This file is the specification of what a program needs to generate text: what is not promised
 * here may change. Measuring speed has a header of its own, bamba_measure.h, without a promise.
 *
 * Objects     bamba_model      weights and graph; immutable; share between threads
 *             bamba_tokenizer  text <-> token ids; immutable; share between threads
 *             bamba_engine     threads, scratch and results for running a model; one call at a time
 *             bamba_session    what one sequence remembers; runs on any engine of its model
 *             bamba_adapter    what training added to a model; immutable; share between threads
 *             bamba_sampler    logits -> token id; one call at a time
 *             bamba_chat_template  conversation -> prompt; immutable; share between threads
 *             bamba_cache      states of earlier prompts, in files; one call at a time
 * Errors      Fallible calls return bamba_status. One that fails fills *err if err is not NULL, and
 *             leaves its objects as they were (bamba_feed says where it differs); one that succeeds
 *             leaves *err as it was. Nothing aborts, prints or sets errno, with two
 *             exceptions we cannot lift. Where there is no kernel for them (CPU level "c"), large
 *             float products go through OpenBLAS, if the system has it, which does not return when
 *             it is denied memory that was there at the first engine; and OpenMP ends the process
 *             when it is denied memory, or a thread that could be started just before. A mapped
 *             file that another program shortens while a model is open raises SIGBUS.
 * Memory      Who creates frees; free functions accept NULL. "Borrowed" results belong to the
 *             object and live until the next call on it: logits and hidden rows until the
 *             engine's next call, whatever session that feeds. Generating allocates nothing.
 * Globals     None but one: the number of OpenBLAS's threads belongs to the process; the first
 *             engine that needs OpenBLAS loads it and sets it to 1.
 * Stack       A thread that calls in needs 128 KiB of stack, and what its own callbacks and
 *             allocator take; about half of it goes to OpenBLAS's thread-local variables.
 * Options     are structs whose first member is their own size, so that old programs keep
 *             working when members are appended. Begin with the macro beside each struct; a
 *             zero (or NULL) member means its default. A size smaller than that of the first
 *             release, or larger than ours with a non-zero unknown tail, is
 *             BAMBA_ERR_ARGUMENT. options may always be NULL. Strings, arrays and the struct itself
 *             are read during the call alone; the context of a callback must live as long as the
 *             object whose options name it.
 * Callbacks   are called by the thread that made the call, before it returns. They may use the
 *             library, but of the objects of that call only to ask for a session's position or
 *             room: an engine refuses to feed in a callback of its own.
 * Stack       A thread that calls needs 256 KiB.
 * Systems     Linux on x86-64 is what this is made and tested for; 64-bit Arm in emulation.
 * Units       Lengths count elements, sizes ending in _bytes count bytes, times ending in _ns
 *             are nanoseconds, shapes are row-major.
 * Text        is UTF-8 in byte ranges; no terminating NUL is needed, and NUL bytes are text.
 * Bits        (What is said of logits holds for hidden rows.)
 *             The same model, build, CPU level and types give the same logits to the last bit
 *             for any number of threads, any other load, and whatever other rows share a call of
 *             up to 32 rows. A prompt cut differently into calls gives logits that agree within
 *             1e-4 of the largest logit, and so does another CPU level, compiler or BLAS, with
 *             these exceptions. A kv_type or state_type of 16 or 8 bits may round a number to the
 *             other side, which moves a logit about as far as that rounding does. And bfloat16
 *             weights at the level avx512bf16 use dot-product instructions, which round activations
 *             to bfloat16: a last bit there is 2^-8 of an activation, and logits agree as bfloat16
 *             runs do (within some per cent of the largest), erring less against float32 than
 *             transformers' bfloat16 does. With compute_type BAMBA_TYPE_F32 the 1e-4 holds at
 *             that level too.
 */
#ifndef BAMBA_H
#define BAMBA_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BAMBA_VERSION_MAJOR 0
#define BAMBA_VERSION_MINOR 1
#define BAMBA_VERSION_PATCH 0

#ifndef BAMBA_API
#  if defined(__GNUC__)
#    define BAMBA_API __attribute__((visibility("default")))
#  else
#    define BAMBA_API
#  endif
#endif

typedef struct bamba_model     bamba_model;
typedef struct bamba_engine    bamba_engine;
typedef struct bamba_session   bamba_session;
typedef struct bamba_tokenizer bamba_tokenizer;
typedef struct bamba_sampler   bamba_sampler;
typedef struct bamba_adapter   bamba_adapter;
typedef struct bamba_chat_template bamba_chat_template;
typedef struct bamba_cache     bamba_cache;

/* ---------------------------------------------------------------- status, version -------- */

typedef enum bamba_status {               /* values are stable; new ones are appended           */
    BAMBA_OK              = 0,
    BAMBA_ERR_ARGUMENT    = 1,            /* the caller broke a rule stated in this file         */
    BAMBA_ERR_MEMORY      = 2,
    BAMBA_ERR_IO          = 3,
    BAMBA_ERR_FORMAT      = 4,            /* a file is damaged or not what it claims to be       */
    BAMBA_ERR_UNSUPPORTED = 5,            /* a valid model this version cannot run               */
    BAMBA_ERR_FULL        = 6,            /* the session's context length is used up             */
    BAMBA_ERR_CANCELLED   = 7,            /* the cancel callback said so; position says how far  */
    BAMBA_ERR_NUMBER      = 8             /* NaN or infinity where a finite number should be     */
} bamba_status;

typedef struct bamba_error {
    bamba_status code;
    char         message[252];            /* one line, no newline, always terminated             */
} bamba_error;

/** Version of the library at run time, "major.minor.patch". Static storage. */
BAMBA_API const char *bamba_version(void);

/** A status in words: "out of memory"; "unknown status" for other values. Static storage. */
BAMBA_API const char *bamba_status_string(bamba_status status);

/* ---------------------------------------------------------------- machine ----------------- */

/**
 * Bytes this process can still allocate before the machine swaps or a memory limit ends it: the
 * least of what the system has and what each of the process's control groups has left. Cached
 * files count as free. UINT64_MAX if the system does not say.
 */
BAMBA_API uint64_t bamba_free_memory(void);

/**
 * Threads of an engine that does not say how many: the physical cores this process may use, at
 * most the processor time its control groups grant, rounded up.
 */
BAMBA_API int bamba_default_threads(void);

/* ---------------------------------------------------------------- callbacks, types -------- */

/**
 * Where memory comes from. Both members are set or both NULL (the C library's, and mmap for
 * large blocks). All memory of the objects created with it comes from it, except for what
 * starting threads takes.
 *
 * allocate   returns at least bytes bytes aligned to 64, or NULL; contents may be anything.
 * release    takes what allocate returned; never NULL.
 * Threads    called by the thread that runs the library call.
 */
typedef struct bamba_allocator {
    void *(*allocate)(void *context, size_t bytes);
    void  (*release)(void *context, void *block);
    void   *context;
} bamba_allocator;

/** Told how far a long call has come: `done` of `total`, in the unit that its option names. Return
    non-zero to cancel the call. */
typedef int bamba_progress_fn(void *context, uint64_t done, uint64_t total);

/** Called once per block of the model while feeding; return non-zero to cancel. */
typedef int bamba_cancel_fn(void *context);

/** Receives one line, without newline, about something that is worth knowing but no error: a key
    of a file or a tensor that is ignored, weights that are not in place. Called while a model or
    tokenizer is opened, by the thread that opens it. */
typedef void bamba_log_fn(void *context, const char *line);

typedef enum bamba_type {
    BAMBA_TYPE_DEFAULT = 0,               /* weights: as stored; keys, values: F16; states: F32  */
    BAMBA_TYPE_F32     = 1,
    BAMBA_TYPE_BF16    = 2,
    BAMBA_TYPE_F16     = 3,
    BAMBA_TYPE_Q8      = 4,               /* whole numbers of 8 bits with scales: of weights a
                                             float16 for each block of 32, 8.5 bits a weight; of
                                             keys, values and rows of a state one for each       */
    BAMBA_TYPE_Q4      = 5,               /* weights: 4 bits, 4.5 with the scale; as weight_type a
                                             mix that keeps in Q8 what suffers most              */
    BAMBA_TYPE_F8      = 6                /* weights as published checkpoints have them: floats of 8
                                             bits (E4M3) with scales; not to be converted to     */
} bamba_type;

/** Weights whose tensor's name holds a match of `pattern`, a regular expression as in
    tokenizer.json, get `type`: F32 … Q4. */
typedef struct bamba_type_rule {
    const char *pattern;
    bamba_type  type;
} bamba_type_rule;

/* ---------------------------------------------------------------- model ------------------- */

typedef struct bamba_model_options {
    size_t            struct_bytes;
    bamba_type        weight_type;        /* of matrices; another than stored makes a copy       */
    bamba_type        kv_type;            /* of keys and values that sessions remember           */
    const char       *cpu;                /* CPU level: "c", "avx2", "avx512", "avx512bf16"; NULL:
                                             the environment's BAMBA_CPU, else the fastest       */
    bamba_allocator   allocator;
    bamba_progress_fn *progress;          /* unit: bytes of weights bound                        */
    void             *progress_context;
    bamba_log_fn     *log;
    void             *log_context;
    int               n_threads;          /* for converting weights; 0 = as in an engine         */
    bamba_type        compute_type;       /* of activations in products: BAMBA_TYPE_F32 keeps them
                                             float32 always; DEFAULT: as the fastest kernels do  */
    int               copy_weights;       /* non-zero: copy all weights into memory of the model
                                             now, in huge pages if the system has them. 0: those of
                                             the wanted type are used in the mapped files, whose
                                             pages may have 4 KiB: decoding is then slower        */
    int               first_layer, end_layer;         /* run layers first … end - 1 alone; the rest
                                             runs elsewhere, see bamba_link. Both 0: all          */
    int               strict;             /* non-zero: refuse files with tensors that no part of
                                             the model needs, which otherwise go to the log      */
    const bamba_type_rule *type_rules;    /* [n_type_rules] before weight_type; of several that
                                             match a tensor the last one holds. A rule that matches
                                             no matrix of the model, of all its layers, is an error;
                                             one that a later rule overrides is not. Read in the
                                             call                                                */
    size_t            n_type_rules;
    bamba_type        state_type;         /* of the state-space layers' states: F32, BF16 or Q8; the
                                             smaller ones are rounded after every token          */
    const char       *calibration;        /* a file of bamba_calibration_save for this model: what
                                             it says of inputs decides how weights are rounded to
                                             types with scales. NULL: all inputs count alike     */
} bamba_model_options;

#define BAMBA_MODEL_OPTIONS { sizeof(bamba_model_options), BAMBA_TYPE_DEFAULT, BAMBA_TYPE_DEFAULT, \
                              NULL, { NULL, NULL, NULL }, NULL, NULL, NULL, NULL, 0,               \
                              BAMBA_TYPE_DEFAULT, 0, 0, 0, 0, NULL, 0, BAMBA_TYPE_DEFAULT, NULL }

/** What is known of a model; fixed for its life. */
typedef struct bamba_model_info {
    size_t      struct_bytes;             /* in: sizeof(bamba_model_info)                        */
    const char *architecture;             /* "bamba"; borrowed from the model                    */
    const char *cpu;                      /* CPU level of the kernels in use: "avx2"; borrowed   */
    bamba_type  weight_type;              /* that most weights of matrices have                  */
    bamba_type  kv_type;
    int         n_vocab;                  /* length of the logits, without the rows that
                                             config.json says are padding                        */
    int         n_layers;
    int         n_context;                /* length the model was made for, or its family's usual
                                             one; 0 = neither is known                           */
    int         d_model;
    int         n_eos;                    /* end tokens of config.json, generation_config.json   */
    const int32_t *eos;                   /* [n_eos]; borrowed                                   */
    int32_t     bos;                      /* begin token; -1 = not said                          */
    uint64_t    n_params;                 /* tied matrices counted once                          */
    uint64_t    weights_bytes;            /* read by one decoded token, embedding row excluded   */
    uint64_t    mapped_bytes;             /* weights used in place, in the files as mapped or,
                                             where that is impossible, read                      */
    uint64_t    resident_bytes;           /* weights in memory of the model                      */
    int         max_new_tokens;           /* tokens its makers let it generate; 0 = not said     */
    double      bits_per_weight;          /* of matrices, their scales included                  */
    bamba_type  state_type;
} bamba_model_info;

#define BAMBA_MODEL_INFO { sizeof(bamba_model_info), NULL, NULL, BAMBA_TYPE_DEFAULT,               \
                           BAMBA_TYPE_DEFAULT, 0, 0, 0, 0, 0, NULL, 0, 0, 0, 0, 0, 0, 0.0,         \
                           BAMBA_TYPE_DEFAULT }

/**
 * Open a model from a Hugging Face directory: config.json and model.safetensors, or shards with
 * model.safetensors.index.json. Files stay mapped until bamba_model_free; weights of the wanted
 * type are used in place. generation_config.json is read if it is there, for begin and end tokens
 * and for bamba_model_sampler_defaults; what it says and the library cannot do goes to the log.
 *
 * Tensors may lack the prefix of the base model ("model.", "backbone."), whose class may have saved
 * them. Where config.json ties head and embedding, either may be the one that is stored; if both
 * are and differ, each is used as stored, with a line in the log. Tensors that no part of the model
 * needs go to the log too, unless a layer or a module that is used has them. Files on a file system
 * that maps none are read into memory.
 *
 * @param out      Out: the model, or NULL on error. Free with bamba_model_free.
 * @param dir      Directory, in the file system's encoding.
 * @param options  May be NULL.
 * @param err      Out, may be NULL. Names the file and the key or tensor, expected and found.
 *
 * @return BAMBA_OK;
 *         BAMBA_ERR_ARGUMENT     options break a rule, the CPU level is unknown or not to be had, a
 *                                type rule matches no matrix;
 *         BAMBA_ERR_IO           a file cannot be read;
 *         BAMBA_ERR_FORMAT       a file is damaged, a tensor missing, misshapen, or superfluous
 *                                in a module that is used;
 *         BAMBA_ERR_UNSUPPORTED  the architecture or an option of it is not implemented, or the
 *                                weights are quantized;
 *         BAMBA_ERR_MEMORY       also when a converted copy would not fit into free memory;
 *         BAMBA_ERR_CANCELLED    the progress callback said so.
 *
 * Cost     maps without reading, save small tensors, what is converted, and tied matrices that are
 *          both stored.
 * Threads  independent calls may run at once.
 */
BAMBA_API bamba_status bamba_model_open(bamba_model **out, const char *dir,
                                        const bamba_model_options *options, bamba_error *err);

/**
 * Read a config.json alone: a model without weights, for asking sizes. bamba_model_describe,
 * bamba_model_info_get and bamba_model_state_bytes work; engines and sessions refuse it.
 *
 * @param path  A file config.json.     Other parameters and returns as bamba_model_open.
 */
BAMBA_API bamba_status bamba_model_open_config(bamba_model **out, const char *path,
                                               const bamba_model_options *options,
                                               bamba_error *err);

/** Free a model; engines and sessions of it must be gone. NULL is allowed. */
BAMBA_API void bamba_model_free(bamba_model *model);

/** Fill *info (info->struct_bytes set by the caller). @return BAMBA_OK or BAMBA_ERR_ARGUMENT. */
BAMBA_API bamba_status bamba_model_info_get(const bamba_model *model, bamba_model_info *info);

/**
 * Write a short name for a model, hexadecimal digits, which tells whether what was kept of an
 * earlier run (sessions, results) belongs to it. It depends on config.json, on how many weights are
 * held in which type, and on a sample of each stored tensor: milliseconds, not a pass over all
 * weights, so that two models which differ in a few numbers elsewhere are not told apart. The
 * directory, kv_type, state_type and the CPU level do not count.
 *
 * @param out  Receives the name and a zero byte; an empty text if model is NULL.
 * Threads     any, on one model at once.
 */
enum { BAMBA_FINGERPRINT = 33 };          /* characters, the zero byte among them */
BAMBA_API void bamba_model_fingerprint(const bamba_model *model, char out[BAMBA_FINGERPRINT]);

/** Whether id is an end token of the model: non-zero for those of bamba_model_info.eos. */
BAMBA_API int bamba_model_is_end(const bamba_model *model, int32_t id);

/** Bytes that a session holds when n_positions tokens are absorbed; n_positions >= 0. */
BAMBA_API uint64_t bamba_model_state_bytes(const bamba_model *model, size_t n_positions);

/**
 * The plan as text, one line a block: what runs in which order, names and shapes.
 *
 * @param buffer  [size], receives at most size - 1 bytes and a NUL; may be NULL if size is 0.
 * @return bytes of the whole text without the NUL, as snprintf.
 */
BAMBA_API size_t bamba_model_describe(const bamba_model *model, char *buffer, size_t size);

/* ---------------------------------------------------------------- quantize ---------------- */

typedef struct bamba_quantize_options {
    size_t             struct_bytes;
    uint64_t           shard_bytes;       /* most bytes of the tensors in one file, unless one
                                             tensor alone has more; 0 = 5,000,000,000            */
} bamba_quantize_options;

#define BAMBA_QUANTIZE_OPTIONS { sizeof(bamba_quantize_options), 0 }

/**
 * Write the model of a directory with its weights in other types to a directory of its own, which
 * bamba_model_open then uses in place: it opens at once, and gives the logits, to the last bit,
 * that dir gives when it is opened with these model options.
 *
 * Written are the matrices, in the types that the model options give them; what is smaller (norms,
 * biases, convolutions, what belongs to the state), as it is stored; config.json, with every key
 * and value but quantization_config; and, byte by byte, those of the files beside it that are a
 * tokenizer's (tokenizer*, special_tokens_map.json, added_tokens.json, vocab*, merges*), chat
 * templates (chat_template*), generation_config.json, README*, LICENSE* and NOTICE*. Left out are
 * tensors that the model does not need, which the log names, and the second of two tied matrices
 * that are the same. A tensor of which several matrices are parts gets the type of the first.
 *
 * Matrices of 8 and 4 bits are tensors NAME.weight_q8 and NAME.weight_q4 of bytes;
 * quantization_config then has "quant_method": "bamba", which other software knows that it does not
 * know. Without such matrices it is left out, and other software reads the directory.
 *
 * @param dir      As for bamba_model_open. It may be one that this call has written.
 * @param out      The directory to make: it must not exist, or be empty. Its parent must exist. All
 *                 is written to "OUT.tmp-" and six digits first and gets its name when it is whole
 *                 and on the disk, so that a process that is ended leaves no part of a model under
 *                 any name. A call that fails removes what it wrote.
 * @param model    What bamba_model_open would be given, may be NULL; layers cannot be chosen. The
 *                 unit of progress is bytes of weights written.
 * @param options  May be NULL.
 * @param err      Out, may be NULL.
 *
 * @return what bamba_model_open returns; BAMBA_ERR_ARGUMENT (first_layer or end_layer is set);
 *         BAMBA_ERR_IO (also when out exists or the disk has no room); BAMBA_ERR_CANCELLED.
 *
 * Memory   some MiB a thread beside the mapped files of dir, which are let go of as they are read.
 * Cost     reads and writes each weight once, by model->n_threads threads.
 * Threads  independent calls may run at once.
 */
BAMBA_API bamba_status bamba_quantize(const char *dir, const char *out,
                                      const bamba_model_options *model,
                                      const bamba_quantize_options *options, bamba_error *err);

/** An adapter's directory as PEFT writes it, and the factor of what it adds. */
typedef struct bamba_adapter_source {
    const char *dir;
    float       scale;
} bamba_adapter_source;

/**
 * bamba_quantize of the model with adapters merged in: W + scale · alpha / r · B · A in float32,
 * rounded to the type that is written; a router that an adapter changes is written in float32. What
 * modules_to_save names stands in place of the model's.
 * Weights that no adapter changes are written as bamba_quantize writes them. Where adapters part an
 * embedding from the head that was tied to it, as PEFT lets them do unless ensure_weight_tying is
 * set, both are written, and config.json says that they are not tied.
 *
 * @param adapter  [n], n > 0; scales are finite.
 *
 * @return what bamba_quantize returns; BAMBA_ERR_UNSUPPORTED: the model is quantized, or an adapter
 *         replaces a matrix or a bias with another scale than 1, or has a bias of B, or changes a
 *         weight that several layers share, but not in the same way for each of them;
 *         BAMBA_ERR_NUMBER: a matrix that adapters change is too large for the type written.
 */
BAMBA_API bamba_status bamba_merge(const char *dir, const char *out,
                                   const bamba_adapter_source *adapter, size_t n,
                                   const bamba_model_options *model,
                                   const bamba_quantize_options *options, bamba_error *err);

/* ---------------------------------------------------------------- adapters ---------------- */

typedef struct bamba_adapter_options {
    size_t          struct_bytes;
    bamba_allocator allocator;            /* members NULL: the model's                           */
    bamba_log_fn   *log;
    void           *log_context;
} bamba_adapter_options;

#define BAMBA_ADAPTER_OPTIONS { sizeof(bamba_adapter_options), { NULL, NULL, NULL }, NULL, NULL }

/**
 * Open a low-rank adapter (LoRA) for a model, from a directory as PEFT writes it:
 * adapter_config.json and adapter_model.safetensors. Sessions that are given it run with it; others
 * of the same model run without, in the same calls. It works beside weights of any type. Matrices
 * that are stored in 16 bits are kept so; others beside weights of 8 and fewer bits are rounded to
 * float16, less than these weights were; the rest is kept in float32. All arithmetic is float32.
 *
 * Each linear layer of the model and the embedding may be adapted, routers and experts among them:
 * as linear layers, which they are in older versions of transformers, or as parameters that
 * target_parameters names ("experts.gate_up_proj", "input_linear.weight"). PEFT until 0.19.0 stored
 * A and B of parameters [experts, rows, columns] the other way round, A over the rows: their shapes
 * show it, or, if all these matrices are square, peft_version in adapter_config.json does.
 *
 * A block that several layers share (Zamba, Zamba2) is adapted apart for each of them, under the
 * layer's name, as in transformers 5; a bias that an adapter changes is changed for all of them.
 * Until transformers 4 the block was one module. So a file that has tensors for the first of the
 * layers alone adapts all of them, with a line in the log, if its target_modules, exclude_modules
 * and layers_to_transform choose a later one too; likewise a tensor in place of the model's, if
 * modules_to_save names it in a later one.
 *
 * Of adapter_config.json these keys decide what is computed: r, lora_alpha, use_rslora,
 * rank_pattern, alpha_pattern, lora_bias, bias, and modules_to_save for the embedding and the head,
 * tied or not. target_modules, target_parameters, layers_to_transform, layers_pattern and
 * modules_to_save must agree with the tensors that are there. Refused, by the name of the key or
 * tensor, is what computes something else: DoRA, aLoRA, initial values taken out of the model's
 * weights (PiSSA, OLoRA, CorDA, LoftQ), and keys that this version does not know; and replaced
 * tensors other than embedding, head and the biases of linear layers, which bamba_merge writes into
 * a model.
 *
 * @param out      Out: the adapter, or NULL on error. Free with bamba_adapter_free.
 * @param model    With weights. It must outlive the adapter.
 * @param dir      Directory. Nothing of it is needed after the call.
 * @param options  May be NULL.
 * @param err      Out, may be NULL. Names the file and the key or tensor, expected and found.
 *
 * @return BAMBA_OK;
 *         BAMBA_ERR_ARGUMENT     options break a rule, or the model has no weights;
 *         BAMBA_ERR_IO           a file cannot be read;
 *         BAMBA_ERR_FORMAT       a file is damaged, has numbers that are not finite, or does not
 *                                fit the model;
 *         BAMBA_ERR_UNSUPPORTED  see above; or adapter_model.bin, a pickle;
 *         BAMBA_ERR_MEMORY.
 *
 * Memory   2 or 4 bytes for each of its numbers.
 * Threads  independent calls may run at once.
 * Source   Hu et al. 2021, arXiv:2106.09685; huggingface/peft.
 */
BAMBA_API bamba_status bamba_adapter_open(bamba_adapter **out, const bamba_model *model,
                                          const char *dir, const bamba_adapter_options *options,
                                          bamba_error *err);

/** Free an adapter; sessions that have it must be gone, or have others. NULL is allowed. */
BAMBA_API void bamba_adapter_free(bamba_adapter *adapter);

/** An adapter of a session, and the factor of all that it adds: 1, or any other finite number. */
typedef struct bamba_adapter_use {
    const bamba_adapter *adapter;
    float                scale;
} bamba_adapter_use;

/* ---------------------------------------------------------------- engine ------------------ */

/**
 * How the engine of a model that was opened with some of its layers exchanges rows with those that
 * run the others. For each piece of a feed the engine of the later layers receives what the engine
 * of the earlier ones sends; both are fed the same tokens in the same calls, with the same n_batch.
 *
 * receive    fills rows [n_rows, n_columns], row-major float32; called before the piece runs.
 * send       takes them; called after the piece has run; borrowed for the call.
 * Both       return non-zero for failure: the feed ends with BAMBA_ERR_IO, and sessions stand at
 *            the end of the last finished piece. A network whose blocks read the embeddings too
 *            passes those in a second call for the same piece.
 * Threads    called by the thread that feeds.
 */
typedef struct bamba_link {
    int  (*receive)(void *context, float *rows, size_t n_rows, size_t n_columns);
    int  (*send)(void *context, const float *rows, size_t n_rows, size_t n_columns);
    void  *context;
} bamba_link;

typedef struct bamba_engine_options {
    size_t            struct_bytes;
    int               n_batch;            /* rows of the largest piece run at once; 0 = 512. With
                                             progress a long prompt begins with a piece of about
                                             64 rows: the same bits. (Not at CPU level
                                             "c", where they would be others.)                   */
    int               n_threads;          /* 0 = bamba_default_threads()                         */
    int               n_logits;           /* rows of logits one call may ask for; 0 = 32         */
    bamba_cancel_fn  *cancel;
    void             *cancel_context;
    bamba_progress_fn *progress;          /* unit: tokens of the call                            */
    void             *progress_context;
    bamba_allocator   allocator;          /* members NULL: the model's                           */
    int               pin;                /* non-zero: each thread on a processor of its own
                                             while it runs                                       */
    bamba_link        link;               /* for a model of some layers; NULLs: none             */
    int               n_hidden;           /* hidden rows one call may ask for, 4 · d_model bytes
                                             each; 0 = none                                      */
} bamba_engine_options;

#define BAMBA_ENGINE_OPTIONS { sizeof(bamba_engine_options), 0, 0, 0, NULL, NULL, NULL, NULL,      \
                               { NULL, NULL, NULL }, 0, { NULL, NULL, NULL }, 0 }

/**
 * Create what running a model takes: threads, scratch memory for n_batch rows, logits, hidden rows.
 *
 * Its n_threads - 1 threads start here, with all signals blocked, and sleep while nothing is fed.
 * They do not survive fork(): in the child the engine runs on the caller alone and must not be
 * freed. While feeding, one of them that shares its processor with another thread of the engine
 * goes to one that has none, of those it may use; its affinity is narrowed for that moment. It
 * stays where OMP_PROC_BIND, OMP_PLACES or pin put it. The caller's affinity changes with pin
 * alone.
 *
 * @return BAMBA_OK; BAMBA_ERR_ARGUMENT (n_batch outside 1 … 65536, n_threads outside 1 … 1024,
 *         n_logits outside 1 … 1048576, n_hidden outside 0 … 1048576, a model without weights, or
 *         one of some layers without the link it needs); BAMBA_ERR_MEMORY (no memory, or no
 *         threads).
 */
BAMBA_API bamba_status bamba_engine_create(bamba_engine **out, const bamba_model *model,
                                           const bamba_engine_options *options, bamba_error *err);
BAMBA_API void bamba_engine_free(bamba_engine *engine);

/**
 * Bytes that an engine with these options takes, all of them when it is created; the stacks of its
 * threads come on top. Works for models without weights too.
 *
 * @param options  May be NULL.
 * @return 0 for options that bamba_engine_create refuses; UINT64_MAX if nothing holds so much.
 */
BAMBA_API uint64_t bamba_engine_bytes(const bamba_model *model,
                                      const bamba_engine_options *options);

/** Threads the engine runs on. */
BAMBA_API int bamba_engine_threads(const bamba_engine *engine);

/* ---------------------------------------------------------------- calibration ------------- */

typedef struct bamba_calibration bamba_calibration;

/**
 * Look at what the matrices of a model are multiplied by while an engine feeds, so that rounding
 * them can spare what matters: errors in columns of weights whose inputs are large.
 *
 * @param engine    From now on everything fed through it is counted. It outlives the calibration.
 * @param feedback  Non-zero: gather also how inputs go together (products of columns in blocks of
 *                  128), with which the error of a rounded column is made up for by those after.
 * @param err       Out, may be NULL.
 *
 * @return BAMBA_ERR_ARGUMENT (out or engine is NULL, the engine has a calibration),
 *         BAMBA_ERR_MEMORY.
 *
 * Memory   4 bytes, with feedback 516, for each input of each matrix.
 * Threads  as the engine.
 */
BAMBA_API bamba_status bamba_calibration_create(bamba_calibration **out, bamba_engine *engine,
                                                int feedback, bamba_error *err);

/**
 * Write what was seen to a safetensors file, for model options' `calibration`: for each matrix NAME
 * whose inputs were seen, the mean square of each of them, NAME F32 [columns], and with feedback
 * NAME.carry F32 [blocks, 128, 128]. The file has its name when it is whole.
 *
 * @return BAMBA_ERR_ARGUMENT (also if nothing was fed), BAMBA_ERR_IO, BAMBA_ERR_MEMORY.
 */
BAMBA_API bamba_status bamba_calibration_save(const bamba_calibration *calibration,
                                              const char *path, bamba_error *err);

/** NULL is allowed. */
BAMBA_API void bamba_calibration_free(bamba_calibration *calibration);

/* ---------------------------------------------------------------- session ----------------- */

typedef struct bamba_session_options {
    size_t          struct_bytes;
    size_t          n_context;            /* most tokens it can absorb; 0 = the model's, or 4096;
                                             with a window: 0 = 2^30; without attention in the
                                             network: 0 = no limit                               */
    bamba_allocator allocator;            /* members NULL: the model's                           */
    size_t          n_rewind;             /* the last so many tokens can be taken back without a
                                             matrix product (bamba_session_rewind); 0: none      */
    size_t          snapshot_tokens;      /* a state is kept every so many tokens, from which tokens
                                             further back are reached; 0: none                   */
    uint64_t        snapshot_bytes;       /* memory for them. When it is used up every second one
                                             goes, and the others lie twice as far apart         */
    const bamba_adapter_use *adapters;    /* [n_adapters], see bamba_session_set_adapters        */
    size_t          n_adapters;
    size_t          n_window;             /* attention sees the last so many tokens and a sink, so
                                             that its memory has a bound; up to 2^29. 0: it sees
                                             all */
    int             n_sink;               /* the first so many tokens; 0 = 4, -1 = none; 0 where
                                             n_window is                                          */
} bamba_session_options;

#define BAMBA_SESSION_OPTIONS { sizeof(bamba_session_options), 0, { NULL, NULL, NULL }, 0, 0, 0,   \
                                NULL, 0, 0, 0 }

/**
 * Create an empty session at position 0.
 *
 * A network without attention remembers a state of constant size, so nothing limits the length of
 * its text: bamba_model_state_bytes does not grow, and bamba_session_room is SIZE_MAX less the
 * position unless n_context says otherwise.
 *
 * With the built-in allocator, address space for n_context tokens is reserved and memory is used
 * only as positions are reached; the caller's own allocator is asked for all of it at once.
 *
 * A window (n_window) is an approximation: a hybrid's state-space layers still take in the whole
 * text, each token's attention sees the n_sink first tokens and the last n_window, itself among
 * them, and nothing between. Until n_window + n_sink tokens are absorbed nothing is hidden, and the
 * bits are those of a session without a window. From there on the sink lies, to rotary positions,
 * just before the window; relative positions within the window stay as they are. So a text of any
 * length never asks for a distance beyond n_window + n_sink, whatever length the model was made
 * for. What is promised about bits holds as it does without. Pages of 64 tokens between sink and
 * window are let go of: but for 5 bytes a token, which the text itself takes
 * (bamba_session_tokens), memory stops growing. docs/window.md has a table of what that costs.
 *
 * (Shifting the context, as programs for transformers do, would not be sound: a recurrent state has
 * seen what is shifted out, and cannot forget it.)
 *
 * Models whose rotary positions are scaled by length (dynamic, longrope) are scaled for n_context
 * tokens, with a window for at most n_window + n_sink, from the first one on, since keys already in
 * the cache cannot be rotated again: ask for the length you need. Logits then equal those of one
 * call of transformers over n_context tokens (dynamic), or over any number on the same side of the
 * model's original length (longrope).
 *
 * @return BAMBA_OK; BAMBA_ERR_ARGUMENT (n_context above 2^30 where the network has attention, a
 *         window or sink beyond its range, or a model without weights);
 *         BAMBA_ERR_MEMORY.
 */
BAMBA_API bamba_status bamba_session_create(bamba_session **out, const bamba_model *model,
                                            const bamba_session_options *options, bamba_error *err);
BAMBA_API void bamba_session_free(bamba_session *session);

/** Forget everything: position 0. The memory stays. */
BAMBA_API void bamba_session_reset(bamba_session *session);

/**
 * Let an empty session run with these adapters, in place of those it has. What they add is added
 * up; their order changes last bits. bamba_session_reset keeps them, bamba_session_copy and _fork
 * take those of the session they come from, and a session that was saved with adapters is opened
 * with the same ones in its options. The adapters must outlive their use.
 *
 * The session's logits have the same bits whatever other sessions, with other adapters or none,
 * share a call. The first call that feeds a session whose adapters have a larger rank, all
 * together, than any the engine has met allocates room for them; no other does.
 *
 * @param adapters  [n], read during the call alone. At most one of them may replace the embedding
 *                  or the head (modules_to_save), with scale 1.
 * @param n         0 … 64; 0: none.
 *
 * @return BAMBA_OK; BAMBA_ERR_ARGUMENT (a session that is not at position 0, an adapter of another
 *         model, a scale that is not finite); BAMBA_ERR_MEMORY. On error the session keeps those it
 *         has.
 * Threads  no other call on the session meanwhile.
 */
BAMBA_API bamba_status bamba_session_set_adapters(bamba_session *session,
                                                  const bamba_adapter_use *adapters, size_t n,
                                                  bamba_error *err);

/** Tokens absorbed so far. */
BAMBA_API size_t bamba_session_position(const bamba_session *session);

/** Tokens it can still absorb: context length minus position; without a limit SIZE_MAX minus it. */
BAMBA_API size_t bamba_session_room(const bamba_session *session);

/** The tokens absorbed so far, [bamba_session_position]; NULL if there are none, or not all are
    known (bamba_session_fill). Borrowed until the session is fed, rewound, reset, copied into or
    freed. */
BAMBA_API const int32_t *bamba_session_tokens(const bamba_session *session);

/**
 * Memory of a session with these options that has absorbed n_positions tokens; the caller's own
 * allocator is asked for that of all its context at once.
 *
 * @param options  May be NULL.
 * @return UINT64_MAX if nothing holds so much; 0 without a model.
 */
BAMBA_API uint64_t bamba_session_bytes(const bamba_model *model,
                                       const bamba_session_options *options, size_t n_positions);

/**
 * Make a session stand at an earlier position, as if the tokens from there on had never been fed:
 * its state, and all logits it will give, have the bits of a session that was fed the same tokens
 * in the same calls without them.
 *
 * Attention forgets; the state of state-space layers is rebuilt. Within the last n_rewind tokens
 * (options of the session) that takes scans alone, and for the last 8 of them few: within a call of
 * more than 32 tokens up to 32 may be fed again. Further back the tokens since the last snapshot
 * before `position`, or since the first token, are fed again, with the calls' cuts if the engine's
 * n_batch is not smaller than it was. With a window, snapshots lead back as long as what attention
 * saw there is still held, which is so within n_rewind tokens.
 *
 * @param e         An engine of the session's model.
 * @param position  0 … bamba_session_position(session).
 *
 * @return BAMBA_OK; BAMBA_ERR_ARGUMENT (a position that is not reached yet, or what cannot be fed
 *         again: bamba_session_fill gave no tokens); BAMBA_ERR_UNSUPPORTED (feeding again a model
 *         of some layers); while feeding again, as bamba_feed: the session then stands where
 *         bamba_session_position says.
 * Cost     within n_rewind tokens, about that of the scans of at most 2 · n_rewind + 128 tokens; no
 *          allocation.
 * Threads  as bamba_feed.
 */
BAMBA_API bamba_status bamba_session_rewind(bamba_engine *e, bamba_session *session,
                                            size_t position, bamba_error *err);

/**
 * Write what a session remembers to a file: its tokens, states, keys and values. The file has its
 * name when it is whole and on the disk, not before; it is one of safetensors, of the arrays in
 * canonical order, the same at any CPU level.
 *
 * @param extras  UTF-8 text to be kept with it, or NULL: what else a program must know to go on.
 *
 * @return BAMBA_OK; BAMBA_ERR_IO; BAMBA_ERR_MEMORY; BAMBA_ERR_NUMBER (a session that feeding has
 *         spoilt); BAMBA_ERR_ARGUMENT.
 * Cost     about that of writing bamba_model_state_bytes(model, position); more memory for the
 *          largest layer's share.
 */
BAMBA_API bamba_status bamba_session_save(const bamba_session *session, const char *path,
                                          const char *extras, bamba_error *err);

/**
 * Create a session from such a file: it goes on as the saved one would have, to the last bit. The
 * way back (n_rewind) begins where it was saved. A session that keeps snapshots has one there if at
 * least snapshot_tokens tokens were fed; to go further back, or back to there without a snapshot,
 * the tokens are fed again from the first one.
 *
 * Everything is checked first: the file's checksum, and that it was made with this model, told by
 * its config.json, the names, types and shapes of its tensors and a sample of their bytes; with
 * weights, keys, values and states of the same types.
 *
 * @param options  As in bamba_session_create; a context length below the saved position is
 *                 BAMBA_ERR_FULL. n_window 0: window and sink are those of the file, as any other
 *                 must be.
 *
 * @return BAMBA_OK; BAMBA_ERR_ARGUMENT (another model, other types or another window: the message
 *         says which);
 *         BAMBA_ERR_FORMAT (damaged, cut off, or no session); BAMBA_ERR_UNSUPPORTED (a newer
 *         version's); BAMBA_ERR_FULL; BAMBA_ERR_IO; BAMBA_ERR_MEMORY.
 */
BAMBA_API bamba_status bamba_session_open(bamba_session **out, const bamba_model *model,
                                          const char *path, const bamba_session_options *options,
                                          bamba_error *err);

/** The extras of the file it was opened from; NULL if there were none. Borrowed for its life. */
BAMBA_API const char *bamba_session_extras(const bamba_session *session);

/**
 * Make `to` remember what `from` remembers. The way back of `to` begins here. If it keeps snapshots
 * and snapshot_tokens tokens or more were fed, one is taken here; to go further back, or back to
 * here without a snapshot, the tokens are fed again from the first one. The context length of `to`
 * stays as it is; its rotary positions are scaled as those of `from` until `to` is reset.
 *
 * @return BAMBA_OK; BAMBA_ERR_ARGUMENT (another model, or another window); BAMBA_ERR_FULL (the
 *         position of `from` is beyond the context length of `to`).
 * Cost     a copy of what is used: constant state + the attention cache up to the position; and the
 *          state again for a snapshot.
 * Threads  no other call on either session meanwhile.
 */
BAMBA_API bamba_status bamba_session_copy(bamba_session *to, const bamba_session *from,
                                          bamba_error *err);

/**
 * Create a session that remembers what another remembers, and shares with it what attention
 * remembers: keys and values in pages of 64 tokens, each copied when one of the two is about to
 * write it. So many continuations of one prompt take its memory once. Both go on by themselves,
 * either may be freed first, and different threads may use them at the same time.
 *
 * @param options  As in bamba_session_create; NULL, or an n_context of 0: the context length of
 *                 `from`; an n_window of 0: its window and sink, as any other must be. The way back
 *                 begins here, as that of a copy.
 *
 * @return As bamba_session_create; BAMBA_ERR_FULL (the position of `from` is beyond n_context).
 * Cost     a copy of the constant state, and another if a snapshot is taken.
 * Threads  no other call on `from` meanwhile.
 */
BAMBA_API bamba_status bamba_session_fork(bamba_session **out, const bamba_session *from,
                                          const bamba_session_options *options, bamba_error *err);

/* ---------------------------------------------------------------- feed -------------------- */

/**
 * Feed tokens to a session and get the logits that follow the last of them.
 *
 * @param e       Engine of the session's model.
 * @param s       Session. Advances by n positions; unchanged on error, save when cancelled and when
 *                numbers are not finite.
 * @param tokens  [n] ids, each in [0, n_vocab).
 * @param n       1 .. bamba_session_room(s). For an empty prompt feed bamba_model_info.bos: without
 *                a token there are no logits.
 * @param logits  Out, may be NULL: [n_vocab] float32, unnormalised natural-log scale, all finite.
 *                Borrowed from e until its next call.
 * @param err     Out, may be NULL.
 *
 * @return BAMBA_OK;
 *         BAMBA_ERR_ARGUMENT   n is 0, an id is out of range, or e serves another model;
 *         BAMBA_ERR_FULL       n exceeds the room left;
 *         BAMBA_ERR_MEMORY     for a page that a fork shares and cannot be written, for the tokens
 *                              of a session without a limit, or for adapters that are new to e;
 *         BAMBA_ERR_CANCELLED  stopped by a callback; the session stands, exact, at the end of
 *                              the last finished piece: bamba_session_position(s);
 *         BAMBA_ERR_NUMBER     a token gave NaN or infinity: damaged weights, or a key or value
 *                              beyond 65,504 that a float16 kv_type cannot hold. The message says
 *                              at which position, where, and what to try. The session stands before
 *                              the piece it happened in and is of no use: this status again until
 *                              it is reset, filled, or copied into.
 *
 * Cost     linear in n for state-space layers, n times position for attention; no allocation.
 * Threads  one call at a time per engine and per session.
 * Result   the same bits for any n_threads; for other ways to cut the tokens into calls, see
 *          "Bits" above.
 * Source   Dao & Gu 2024, arXiv:2405.21060 (state-space duality).
 */
BAMBA_API bamba_status bamba_feed(bamba_engine *e, bamba_session *s, const int32_t *tokens,
                                  size_t n, const float **logits, bamba_error *err);

/* What bamba_feed_batch() feeds one session. */
typedef struct bamba_feed_item {
    bamba_session *session;               /* each session at most once in a call                 */
    const int32_t *tokens;                /* [n] ids, each in [0, n_vocab)                       */
    size_t         n;                     /* 1 .. bamba_session_room(session)                    */
    size_t         n_logits;              /* 0 .. n: logits are wanted after each of the last
                                             n_logits tokens                                     */
    const float   *logits;                /* out: [n_logits, n_vocab], borrowed; NULL if none    */
    size_t         n_hidden;              /* 0 .. n: hidden rows are wanted of each of the last
                                             n_hidden tokens                                     */
    const float   *hidden;                /* out: [n_hidden, d_model] float32, all finite, borrowed;
                                             NULL if none. What the model makes of a token: the sum
                                             of all blocks after the final norm, which the head
                                             would multiply; last_hidden_state in transformers   */
} bamba_feed_item;

/**
 * Feed many sessions at once: prompt pieces and single tokens mixed, nothing padded. Rows of all
 * items share the matrix products, which is what makes decoding many sequences cheap. Logits are
 * computed after the tokens alone that n_logits counts: where it is 0, for hidden rows or none, the
 * head is not multiplied.
 *
 * @param items    [n_items], in and out. Members that are left out of an initialiser are 0: none.
 * @param n_items  >= 1; the n_logits of all items together at most the engine's n_logits, the
 *                 n_hidden together at most its n_hidden.
 *
 * @return as bamba_feed; on BAMBA_ERR_CANCELLED each session stands at the end of its last
 *         finished piece, and no rows are returned. On BAMBA_ERR_NUMBER items whose numbers are
 *         finite are done, with their rows; those of the others are NULL.
 */
BAMBA_API bamba_status bamba_feed_batch(bamba_engine *e, bamba_feed_item *items, size_t n_items,
                                        bamba_error *err);

/* ---------------------------------------------------------------- prefix cache ------------ */

typedef struct bamba_cache_options {
    size_t        struct_bytes;
    uint64_t      max_bytes;              /* of the files in the directory; 0 = 4 GiB            */
    size_t        interval;               /* tokens of a prompt between two states, rounded up to
                                             a multiple of 64; 0 = 512                           */
    bamba_log_fn *log;                    /* told of files that are damaged or cannot be written */
    void         *log_context;
} bamba_cache_options;

#define BAMBA_CACHE_OPTIONS { sizeof(bamba_cache_options), 0, 0, NULL, NULL }

/**
 * Open a directory in which states of prompts are kept, made if it is not there: a prompt that
 * begins as an earlier one did, in this process, another or an earlier run, is fed from there on.
 *
 * What is stored is a tree by tokens: a file for each state holds the keys and values since the one
 * before. Any number of processes may use a directory at once, with any models: files belong to a
 * model (told as in bamba_session_open), its types, and, where rotary positions are scaled by
 * length, the session's context. When they exceed max_bytes those go that save the fewest tokens a
 * byte and were not used for long; one that is damaged is removed, with a line to the log. A
 * process that is killed while it writes leaves a file "….tmp-" and six digits, which is removed
 * when an hour has passed.
 *
 * @param dir  Its parent must exist.
 * @return BAMBA_OK; BAMBA_ERR_IO; BAMBA_ERR_MEMORY; BAMBA_ERR_ARGUMENT.
 * Threads one call at a time on a cache; the model must outlive it.
 */
BAMBA_API bamba_status bamba_cache_open(bamba_cache **out, const bamba_model *model,
                                        const char *dir, const bamba_cache_options *options,
                                        bamba_error *err);
BAMBA_API void bamba_cache_free(bamba_cache *cache);

/**
 * Feed a whole prompt to an empty session, as bamba_feed does, but for what the cache has of it,
 * and store states on the way: every `interval` tokens, where it parts from an earlier prompt, and
 * shortly before its end. Logits have the bits that bamba_feed gives them, with these exceptions,
 * where they agree as for other cuts: an engine whose n_batch is no multiple of 64; CPU level "c"
 * with OpenBLAS, whose sums depend on the number of rows; and a longest beginning that was stored
 * by bamba_cache_store.
 *
 * @param n_reused  Out, may be NULL: tokens that were not fed.
 * @return As bamba_feed. A file that cannot be read or written is no error.
 */
BAMBA_API bamba_status bamba_cache_feed(bamba_cache *cache, bamba_engine *e, bamba_session *session,
                                        const int32_t *tokens, size_t n, const float **logits,
                                        size_t *n_reused, bamba_error *err);

/**
 * Store what a session remembers now: the end of a turn, from which a conversation goes on.
 *
 * @return BAMBA_OK, also where the file cannot be written, of which the log is told;
 *         BAMBA_ERR_ARGUMENT (another model; an empty session, or one whose tokens are not known).
 */
BAMBA_API bamba_status bamba_cache_store(bamba_cache *cache, const bamba_session *session,
                                         bamba_error *err);

/* ---------------------------------------------------------------- tokenizer --------------- */

typedef struct bamba_tokenizer_options {
    size_t          struct_bytes;
    bamba_allocator allocator;
    bamba_log_fn   *log;
    void           *log_context;
} bamba_tokenizer_options;

#define BAMBA_TOKENIZER_OPTIONS { sizeof(bamba_tokenizer_options), { NULL, NULL, NULL }, NULL,    \
                                  NULL }

/**
 * Open tokenizer.json of a directory, as written by the Hugging Face tokenizers library: BPE,
 * byte-level or with byte fallback. What tokenizer_config.json, special_tokens_map.json and
 * added_tokens.json lay over it counts as for transformers 5.23's AutoTokenizer
 * (TokenizersBackend): tokens they add, with their flags; tokens marked special by a name such as
 * eos_token, or as extra special tokens; split_special_tokens. As there, ids of added tokens follow
 * from the order of the files (an id that differs from the written one goes to the log), tokens
 * without a text are left out, one that repeats has its last flags, and add_bos_token,
 * add_eos_token and add_prefix_space change nothing beside a tokenizer.json. A "tokenizer_class" is
 * not looked at.
 *
 * @return BAMBA_OK; BAMBA_ERR_IO; BAMBA_ERR_FORMAT; BAMBA_ERR_UNSUPPORTED (a component that is not
 *         implemented, by name); BAMBA_ERR_MEMORY; BAMBA_ERR_ARGUMENT.
 */
BAMBA_API bamba_status bamba_tokenizer_open(bamba_tokenizer **out, const char *dir,
                                            const bamba_tokenizer_options *options,
                                            bamba_error *err);
BAMBA_API void bamba_tokenizer_free(bamba_tokenizer *tokenizer);

/** One more than the largest id, added tokens included. Ids below may be without a token. A model's
    n_vocab is often larger (rows of padding), and can be smaller (tokens that were added later,
    which bamba_feed refuses): see bamba_sampler_options.tokenizer. */
BAMBA_API int bamba_tokenizer_size(const bamba_tokenizer *tokenizer);

enum {                                    /* flags of bamba_tokenize                             */
    BAMBA_TOKENIZE_ADD_SPECIAL   = 1,     /* begin / end tokens as the post-processor says       */
    BAMBA_TOKENIZE_PARSE_SPECIAL = 2,     /* special tokens written in the text become one id;
                                             without it, or if tokenizer_config.json says
                                             split_special_tokens, they are ordinary text        */
    BAMBA_TOKENIZE_CONTINUE      = 4      /* the text goes on where another ended: no space is put
                                             in front of its first word                          */
};

/**
 * Turn text into ids. An empty text has none, with BAMBA_TOKENIZE_ADD_SPECIAL the begin and end
 * tokens alone; models need at least one id, so feed the begin token (bamba_model_info.bos) if
 * there is none.
 *
 * @param text      [n_bytes] UTF-8.
 * @param ids       Out: [*n_ids], NULL if there are none. The caller frees it with
 *                  bamba_tokens_free.
 * @param n_ids     Out.
 * @param flags     BAMBA_TOKENIZE_…, or 0.
 *
 * @return BAMBA_OK; BAMBA_ERR_FORMAT (not UTF-8: the message gives the byte offset; or the
 *         vocabulary lacks the unknown token that the text needs); BAMBA_ERR_UNSUPPORTED (a
 *         pattern of tokenizer.json takes more steps than a text of this length is granted, about
 *         a second's worth and 256 for each byte); BAMBA_ERR_MEMORY; BAMBA_ERR_ARGUMENT (NULL
 *         where it is not allowed, more than 2^30 bytes).
 * Threads  any number at once on one tokenizer.
 */
BAMBA_API bamba_status bamba_tokenize(const bamba_tokenizer *tokenizer, const char *text,
                                      size_t n_bytes, unsigned flags, int32_t **ids,
                                      size_t *n_ids, bamba_error *err);

/** Bytes [begin, end) of a text. */
typedef struct bamba_range {
    size_t begin, end;
} bamba_range;

typedef struct bamba_tokenize_options {
    size_t             struct_bytes;
    unsigned           flags;             /* BAMBA_TOKENIZE_…                                    */
    bamba_progress_fn *progress;          /* unit: bytes of the text whose ids are known; called
                                             while it is split too. Not within one word           */
    void              *progress_context;
    const bamba_range *plain;             /* [n_plain] in order, apart from each other: what users
                                             typed. A special token of which a byte lies in one of
                                             them is ordinary text                                */
    size_t             n_plain;
} bamba_tokenize_options;

#define BAMBA_TOKENIZE_OPTIONS { sizeof(bamba_tokenize_options), 0, NULL, NULL, NULL, 0 }

/** The same with a function that watches, and can end it: BAMBA_ERR_CANCELLED, no ids. It is called
    by the calling thread. options may be NULL. */
BAMBA_API bamba_status bamba_tokenize_with(const bamba_tokenizer *tokenizer, const char *text,
                                           size_t n_bytes, const bamba_tokenize_options *options,
                                           int32_t **ids, size_t *n_ids, bamba_error *err);
/** Free what bamba_tokenize made with this tokenizer. NULL is allowed. */
BAMBA_API void bamba_tokens_free(const bamba_tokenizer *tokenizer, int32_t *ids);

/**
 * The bytes one id stands for inside a text. They may be a part of a UTF-8 character, and
 * decoding a whole text may drop or add a space beside them. Special tokens give their name.
 *
 * @param n_bytes  Out.
 * @return borrowed for the tokenizer's life; NULL for an id without a token.
 */
BAMBA_API const char *bamba_token_text(const bamba_tokenizer *tokenizer, int32_t id,
                                       size_t *n_bytes);

/** Non-zero if id is an added token marked special. */
BAMBA_API int bamba_token_is_special(const bamba_tokenizer *tokenizer, int32_t id);

/** The id whose token is exactly this text (added tokens by name, others as in the vocabulary
    file), or -1. */
BAMBA_API int32_t bamba_token_find(const bamba_tokenizer *tokenizer, const char *text,
                                   size_t n_bytes);

/** The end token that tokenizer_config.json or special_tokens_map.json names, or -1. */
BAMBA_API int32_t bamba_tokenizer_eos(const bamba_tokenizer *tokenizer);

/** State of a decoding that goes on from call to call. The caller owns it; it begins as
    BAMBA_DECODER (all zero). */
typedef struct bamba_decoder {
    uint32_t      n_pending;              /* bytes of an unfinished character in pending         */
    uint32_t      n_tokens;               /* tokens seen: some decoders treat the first specially */
    unsigned char pending[24];
} bamba_decoder;

#define BAMBA_DECODER { 0, 0, { 0 } }

enum {                                    /* flags of bamba_decode                               */
    BAMBA_DECODE_SKIP_SPECIAL = 1,        /* leave special tokens out                            */
    BAMBA_DECODE_FINISH       = 2         /* no more tokens follow: return what is pending, an
                                             unfinished character as U+FFFD                      */
};

/**
 * Turn ids into text as they are generated. Only whole UTF-8 characters are returned; the bytes of
 * an unfinished one wait in *decoder. Bytes that can never become a character give U+FFFD. The
 * outputs of all calls put together are the text that decoding all ids in one call gives.
 *
 * @param decoder  In and out.
 * @param ids      [n_ids]; ids without a token give nothing.
 * @param buffer   [size]; receives at most size bytes, no NUL.
 * @param n_bytes  Out: bytes of the text. If it is larger than size nothing has been written and
 *                 *decoder is unchanged: call again with a larger buffer. For each id, 64
 *                 bytes more than the longest token has always suffice.
 *
 * @return BAMBA_OK; BAMBA_ERR_ARGUMENT.
 */
BAMBA_API bamba_status bamba_decode(const bamba_tokenizer *tokenizer, bamba_decoder *decoder,
                                    const int32_t *ids, size_t n_ids, unsigned flags,
                                    char *buffer, size_t size, size_t *n_bytes);

/* ---------------------------------------------------------------- chat -------------------- */

typedef struct bamba_chat_template_options {
    size_t          struct_bytes;
    bamba_allocator allocator;
    const char     *text;                 /* [n_text] the template, instead of the directory's;
                                             NULL: the directory's                               */
    size_t          n_text;
} bamba_chat_template_options;

#define BAMBA_CHAT_TEMPLATE_OPTIONS { sizeof(bamba_chat_template_options), { NULL, NULL, NULL },   \
                                      NULL, 0 }

/**
 * Open the chat template of a directory: chat_template.jinja and
 * additional_chat_templates/NAME.jinja, else the key "chat_template" of tokenizer_config.json (a
 * text, or a list of named ones), else that of chat_template.json. Special tokens such as bos_token
 * come from tokenizer_config.json, or from special_tokens_map.json where that does not list its
 * tokens. All as transformers 5.23 does it.
 *
 * The language is Jinja's as transformers sets it up: trim_blocks and lstrip_blocks, the immutable
 * sandbox, break and continue, {% generation %}, raise_exception, strftime_now, its tojson.
 * Python's values behave as there. What is not supported is refused with line and column:
 * {% block %}, {% extends %}, {% include %}, {% import %}, {% autoescape %}; the filters
 * filesizeformat, forceescape, pprint, random, striptags, truncate, urlencode, urlize, wordwrap,
 * xmlattr; the tests callable, escaped, filter, test; and where they are used: cycler, joiner,
 * lipsum, rare methods of texts, "%a", "!a" and "z" in formats; arithmetic, rounding to tens and
 * other bases than ten of integers beyond 64 bits.
 *
 * @param dir   Directory; may be NULL if the options have the text: then there are no special
 *              tokens.
 * @param name  Which of several templates; NULL: "default", or "tool_use" for conversations with
 *              tools if the directory has that.
 *
 * @return BAMBA_OK; BAMBA_ERR_IO; BAMBA_ERR_FORMAT (no template, a damaged file, or a template that
 *         Jinja refuses, with line and column); BAMBA_ERR_UNSUPPORTED; BAMBA_ERR_MEMORY;
 *         BAMBA_ERR_ARGUMENT.
 */
BAMBA_API bamba_status bamba_chat_template_open(bamba_chat_template **out, const char *dir,
                                                const char *name,
                                                const bamba_chat_template_options *options,
                                                bamba_error *err);
BAMBA_API void bamba_chat_template_free(bamba_chat_template *chat_template);

typedef struct bamba_chat_options {
    size_t      struct_bytes;
    const char *tools;                    /* [n_tools] JSON: a list of tools; NULL: none         */
    size_t      n_tools;
    const char *variables;                /* [n_variables] JSON: an object of further variables,
                                             "enable_thinking", "documents"; NULL: none          */
    size_t      n_variables;
    int         no_generation_prompt;     /* non-zero: do not begin the assistant's answer       */
    int64_t     now;                      /* of the template's clock: seconds since 1970 that it
                                             shows; 0: the local time                            */
    uint64_t    max_steps;                /* what a rendering may take; 0: 20 million and 200 a
                                             byte of JSON, some seconds                          */
    size_t      max_bytes;                /* memory likewise; 0: 64 MiB and 64 times the JSON    */
} bamba_chat_options;

#define BAMBA_CHAT_OPTIONS { sizeof(bamba_chat_options), NULL, 0, NULL, 0, 0, 0, 0, 0 }

/** A conversation as a model reads it. */
typedef struct bamba_prompt {
    const char        *text;              /* [n_bytes], and a NUL                                */
    size_t             n_bytes;
    const bamba_range *user;              /* [n_user] what the template took from messages, tools
                                             and variables; in order, apart from each other      */
    size_t             n_user;
} bamba_prompt;

/**
 * Render a conversation. To get its ids, give the text to bamba_tokenize_with with
 * BAMBA_TOKENIZE_PARSE_SPECIAL and the ranges as its `plain`: then special tokens are those that
 * the template wrote, whatever a user typed.
 *
 * Ranges follow each character through slices, split, replace, trim, joins, tojson and the like.
 * The role of a message is not in them where it is a plain word, since templates make special
 * tokens of it; nor are numbers, and special tokens of the directory.
 *
 * @param messages  [n_bytes] JSON: a list of objects with "role" and "content", at least one. As in
 *                  transformers members that are null are left out, and reasoning_content, thinking
 *                  and reasoning stand for each other. Integers of any size keep their digits.
 * @param out       Out: the prompt, or NULL on error. Free with bamba_prompt_free.
 *
 * @return BAMBA_OK;
 *         BAMBA_ERR_ARGUMENT     the template refuses the conversation (raise_exception: its
 *                                message), or messages, tools, variables are not what they should
 *                                be;
 *         BAMBA_ERR_FORMAT       not JSON; or the template fails, with line and column;
 *         BAMBA_ERR_UNSUPPORTED  the template uses what is not supported, or takes more steps or
 *                                memory than it may;
 *         BAMBA_ERR_MEMORY.
 * Threads  any number at once on one template.
 */
BAMBA_API bamba_status bamba_chat_render(const bamba_chat_template *chat_template,
                                         const char *messages, size_t n_bytes,
                                         const bamba_chat_options *options, bamba_prompt **out,
                                         bamba_error *err);
BAMBA_API void bamba_prompt_free(bamba_prompt *prompt);

/* ---------------------------------------------------------------- sampler ----------------- */

typedef struct bamba_logit_bias {
    int32_t id;
    float   bias;                         /* added to the logit; -INFINITY bans the token        */
} bamba_logit_bias;

/** May change logits [n] in place before anything else is done with them. */
typedef void bamba_logits_fn(void *context, float *logits, size_t n);

/** The stages of a sampler that can be put in order, with llama.cpp's names. */
typedef enum bamba_sampler_stage {
    BAMBA_STAGE_PENALTIES   = 1,          /* "penalties": tokens among the last penalty_last_n:
                                             logit / repetition_penalty if positive, · if not, then
                                             frequency_penalty · count and presence_penalty
                                             subtracted                                          */
    BAMBA_STAGE_DRY         = 2,          /* "dry": see the options                              */
    BAMBA_STAGE_TOP_N_SIGMA = 3,          /* "top_n_sigma": keep logits at most top_n_sigma
                                             standard deviations below the largest               */
    BAMBA_STAGE_TOP_K       = 4,          /* "top_k": keep the top_k best                        */
    BAMBA_STAGE_TYPICAL     = 5,          /* "typ_p": keep the fewest whose -ln p is nearest to the
                                             entropy and whose probabilities pass typical_p      */
    BAMBA_STAGE_TOP_P       = 6,          /* "top_p": keep the fewest of the best whose
                                             probabilities reach top_p                           */
    BAMBA_STAGE_MIN_P       = 7,          /* "min_p": keep what is min_p times as likely as the
                                             best                                                */
    BAMBA_STAGE_XTC         = 8,          /* "xtc": with xtc_probability, of the tokens that are
                                             at least xtc_threshold likely drop all but the least
                                             likely one ("exclude top choices")                  */
    BAMBA_STAGE_TEMPERATURE = 9           /* "temperature": divide logits by it; 0: keep the best */
} bamba_sampler_stage;

/**
 * How the next token is chosen: callback, logit bias, then the stages in their order, then a draw
 * by the sampler's own generator from what is left. A stage at its neutral value does nothing.
 * Stages see what those before them have left, and probabilities among it: in the usual order,
 * which is llama.cpp's, at temperature 1. Of equal tokens the lower id is the better one.
 *
 * DRY ("don't repeat yourself"): if the last n tokens stand earlier among the last
 * dry_penalty_last_n too, and n >= dry_allowed_length, the token that followed there loses
 * dry_multiplier · dry_base^(n - dry_allowed_length); of several places the longest counts. What
 * stands at and before the last sequence breaker does not count to n; tokens that hold a whole
 * breaker lose nothing. A breaker is found in one token, or begins at the end of one and goes on as
 * the tokenizer writes the rest of it.
 */
typedef struct bamba_sampler_options {
    size_t                  struct_bytes;
    uint64_t                seed;
    float                   temperature;          /* 0 = greedy; default 0.8                     */
    int                     top_k;                /* <= 0 = all; default 40                      */
    float                   top_p;                /* 1 = off; default 0.95                       */
    float                   min_p;                /* 0 = off; default 0.05                       */
    float                   repetition_penalty;   /* > 0, however small; 1 = off; default 1      */
    float                   presence_penalty;     /* 0 = off                                     */
    float                   frequency_penalty;    /* 0 = off                                     */
    int                     penalty_last_n;       /* 0 = off, -1 = all accepted; default 64      */
    const bamba_logit_bias *bias;                 /* [n_bias], copied                            */
    size_t                  n_bias;
    bamba_logits_fn        *callback;
    void                   *callback_context;
    bamba_allocator         allocator;
    const bamba_tokenizer  *tokenizer;            /* NULL, or: ids without a token there are never
                                                     chosen, whatever callback and bias say; not
                                                     needed after bamba_sampler_create           */
    float                   dry_multiplier;       /* 0 = off; default 0                          */
    float                   dry_base;             /* < 1 = off; default 1.75                     */
    int                     dry_allowed_length;   /* >= 0; default 2                             */
    int                     dry_penalty_last_n;   /* 0 = off; default 64                         */
    const char *const      *dry_breakers;         /* [n_dry_breakers] texts of 1 to 40 bytes, which
                                                     need the tokenizer; read in the call. NULL: a
                                                     newline, ":", "\"", "*"                     */
    size_t                  n_dry_breakers;
    float                   typical_p;            /* 1 = off; default 1                          */
    float                   top_n_sigma;          /* <= 0 = off; default -1                      */
    float                   xtc_probability;      /* 0 = off; default 0                          */
    float                   xtc_threshold;        /* > 0.5 = off; default 0.1                    */
    const bamba_sampler_stage *stages;            /* [n_stages] each at most once, others do not
                                                     run; copied. NULL: all, by their numbers    */
    size_t                  n_stages;
} bamba_sampler_options;

/* Unlike the other options, zeros are values here: start from this macro. */
#define BAMBA_SAMPLER_OPTIONS { sizeof(bamba_sampler_options), 0, 0.8f, 40, 0.95f, 0.05f, 1.0f,    \
                                0.0f, 0.0f, 64, NULL, 0, NULL, NULL, { NULL, NULL, NULL }, NULL,   \
                                0.0f, 1.75f, 2, 64, NULL, 0, 1.0f, -1.0f, 0.0f, 0.1f, NULL, 0 }

/**
 * Set in *options what the model's generation_config.json says: temperature (0 if do_sample is
 * false), top_k, top_p, min_p, typical_p, repetition_penalty (over all tokens: penalty_last_n
 * becomes -1). What the file does not say stays as it is, and so do all members without the file.
 *
 * @param options  In and out: begins as BAMBA_SAMPLER_OPTIONS.
 * @return BAMBA_OK; BAMBA_ERR_ARGUMENT (NULL, or struct_bytes below that of the first release).
 */
BAMBA_API bamba_status bamba_model_sampler_defaults(const bamba_model *model,
                                                    bamba_sampler_options *options);

/**
 * Create a sampler for logits of n_vocab entries.
 *
 * @return BAMBA_OK; BAMBA_ERR_ARGUMENT (a value outside its range, NaN, an id outside
 *         [0, n_vocab), a tokenizer without a token there, or breakers without a tokenizer);
 *         BAMBA_ERR_MEMORY.
 */
BAMBA_API bamba_status bamba_sampler_create(bamba_sampler **out, int n_vocab,
                                            const bamba_sampler_options *options, bamba_error *err);
BAMBA_API void bamba_sampler_free(bamba_sampler *sampler);

/** Forget the accepted tokens and restart the random generator from seed. */
BAMBA_API void bamba_sampler_reset(bamba_sampler *sampler, uint64_t seed);

/** The generator of the draws. With the same options, the same accepted tokens and this state a
    sampler goes on as the one it was taken from. */
typedef struct bamba_sampler_state {
    uint64_t words[4];
} bamba_sampler_state;

BAMBA_API void bamba_sampler_get_state(const bamba_sampler *sampler, bamba_sampler_state *state);
BAMBA_API void bamba_sampler_set_state(bamba_sampler *sampler, const bamba_sampler_state *state);

/** Tell the sampler that id is part of the text, for the penalties and DRY: each token of the
    prompt, and each that was chosen. */
BAMBA_API void bamba_sampler_accept(bamba_sampler *sampler, int32_t id);

/**
 * Choose the next token. Does not accept it.
 *
 * @param logits  [n_vocab], not changed. NaN counts as -infinity.
 * @return the id; 0 <= id < n_vocab, that of a token if the options named a tokenizer. If every
 *         logit is -infinity: the lowest such id.
 * Cost     no allocation; linear in n_vocab and dry_penalty_last_n, plus sorting what is left.
 * Result   the same bits for the same seed, calls and logits on one build.
 */
BAMBA_API int32_t bamba_sample(bamba_sampler *sampler, const float *logits);

/* ---------------------------------------------------------------- speculation ------------- */

/**
 * Choose the next token as bamba_sample does, the same one, and say what it was drawn from.
 *
 * @param p  Out: [n_vocab] probabilities behind the last stage, 0 for what the stages dropped; each
 *           rounded to float32. One of them is 1 where the choice is greedy.
 */
BAMBA_API int32_t bamba_sample_distribution(bamba_sampler *sampler, const float *logits, float *p);

/**
 * Choose the next token where another, cheaper distribution has guessed one: rejection sampling, as
 * speculative decoding has it. With p the probabilities that bamba_sample would draw from, the
 * guess is returned with probability min(1, p/q) of it, else a token drawn in proportion to
 * max(0, p - q). If the guess was drawn from q, and q did not depend on it, the result has exactly
 * the probabilities p, whatever q is, within the rounding of q; how often the guess stands is the
 * sum of min(p, q). Does not accept the token.
 *
 * A draft model is used so: let it choose k guesses with a sampler of its own, whose generator has
 * another seed, by bamba_sample_distribution, feeding each to its own session; feed the last token
 * and the guesses to the model; go through the rows with this function as long as it returns the
 * guess; rewind both sessions to where the text stands. Whether to guess, and how many, may depend
 * on anything but the guess in question.
 *
 * @param logits  [n_vocab] of the model at this place, not changed.
 * @param guess   A token.
 * @param q       [n_vocab] probabilities that guess was drawn from, over the same ids. NULL: the
 *                guess is certain, and so the result is what bamba_sample returns, with the same
 *                draws. A guess out of range, or whose q is not positive, counts as none.
 * @return the id. It is guess if, and with q only if, the guess stands.
 * Cost     as bamba_sample.
 * Source   Leviathan et al. 2023, arXiv:2211.17192.
 */
BAMBA_API int32_t bamba_sample_guess(bamba_sampler *sampler, const float *logits, int32_t guess,
                                     const float *q);

/**
 * Guesses what comes next from what came before: the tokens that followed the last ones where they
 * stood earlier in the text. Texts that copy from their prompt come several tokens a pass this way:
 * feed the last token with k guesses behind it and ask for k + 1 rows of logits (the weights are
 * read once); as long as the token chosen from a row is the next guess, that guess stands; then
 * bamba_session_rewind takes the others back. Up to 32 rows the logits have the bits of one token
 * at a time, so the text is the one without guesses, drawn or not.
 * Threads one call at a time.
 */
typedef struct bamba_speculator bamba_speculator;

BAMBA_API bamba_status bamba_speculator_create(bamba_speculator **out, bamba_error *err);
BAMBA_API void bamba_speculator_free(bamba_speculator *speculator);

/** Tell it what the text goes on with: each token of the prompt, and each that was chosen. */
BAMBA_API bamba_status bamba_speculator_accept(bamba_speculator *speculator, const int32_t *tokens,
                                               size_t n, bamba_error *err);

/**
 * Propose up to n tokens behind the last that it was told.
 *
 * @param tokens  Out: [n].
 * @return how many: 0 if the last two never stood together before, else n.
 */
BAMBA_API size_t bamba_speculator_propose(const bamba_speculator *speculator, int32_t *tokens,
                                          size_t n);

#ifdef __cplusplus
}
#endif
#endif /* BAMBA_H */
