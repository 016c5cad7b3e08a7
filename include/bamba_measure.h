/*
 * bamba_measure.h - how fast a model runs, where its time goes, and what the machine could do
 *
 * For benchmarks. Nothing here is promised to stay as it is; a program that generates text needs
 * bamba.h alone, whose rules on errors, memory, options and units hold here too.
 */
#ifndef BAMBA_MEASURE_H
#define BAMBA_MEASURE_H

#include "bamba.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---------------------------------------------------------------- models without weights --- */

/**
 * Make a model of the shape that a config.json describes, with random weights in memory. The same
 * seed, config.json and types give the same weights, all finite and none denormal.
 *
 * @param path  A file config.json.     Other parameters and returns as bamba_model_open.
 * Cost     seconds for a GB of weights, divided by n_threads.
 */
BAMBA_API bamba_status bamba_model_open_random(bamba_model **out, const char *path, uint64_t seed,
                                               const bamba_model_options *options,
                                               bamba_error *err);

/**
 * Make an adapter of this rank for all linear layers of a model but the head, with random numbers.
 *
 * @param rank  1 … 4096.     Other parameters and returns as bamba_adapter_open.
 */
BAMBA_API bamba_status bamba_adapter_open_random(bamba_adapter **out, const bamba_model *model,
                                                 int rank, uint64_t seed,
                                                 const bamba_adapter_options *options,
                                                 bamba_error *err);

/**
 * Put a session to position n_positions without feeding: what it would remember of that many
 * tokens is filled with random values. Feeding it then costs what it costs after a real text.
 *
 * @return BAMBA_OK; BAMBA_ERR_ARGUMENT; BAMBA_ERR_FULL (n_positions beyond the context length);
 *         BAMBA_ERR_MEMORY.
 */
BAMBA_API bamba_status bamba_session_fill(bamba_session *session, size_t n_positions,
                                          uint64_t seed, bamba_error *err);

/* ---------------------------------------------------------------- operations --------------- */

/* One kind of operation of a forward pass: the time it took, or what it costs at least. */
typedef struct bamba_op {
    const char *name;                     /* "in_proj"; static storage                           */
    uint64_t    ns;
    uint64_t    bytes;                    /* of weights, adapters and state, each once a pass    */
    uint64_t    flops;                    /* of the formulas, a multiply-add as two              */
} bamba_op;

/**
 * What one forward pass costs, by kind of operation: a pass that feeds n_tokens to each of
 * n_sessions sessions, all at position `position`, and gives n_logits rows of logits. Works for
 * models without weights too.
 *
 * bytes is what must move between memory and processor at least: the weights used, once; the
 * adapters, each once for all sessions; the state and the convolution window of each session, read
 * and written; its keys and values, the old ones read and the new ones written. flops are the
 * additions and multiplications of the formulas; the state-space scan counts as its recurrence,
 * however it is computed.
 *
 * @param adapters  [n_adapters] that each of the sessions has; may be NULL if n_adapters is 0.
 * @param ops       [n], out, with ns 0; may be NULL if n is 0.
 * @return how many kinds of operations there are; the first n of them are filled in. 0 if the model
 *         is NULL, or the adapters are not such as a session of it may have.
 */
BAMBA_API size_t bamba_model_count(const bamba_model *model, size_t n_sessions, size_t n_tokens,
                                   size_t position, size_t n_logits,
                                   const bamba_adapter_use *adapters, size_t n_adapters,
                                   bamba_op *ops, size_t n);

/**
 * Begin to record where the time of feeding goes (on non-zero; this clears what was recorded
 * before), or stop recording (on 0). An engine that does not record loses no time by it.
 */
BAMBA_API void bamba_engine_profile(bamba_engine *engine, int on);

/** What has been recorded. Parameters and return as bamba_model_count. */
BAMBA_API size_t bamba_engine_profile_get(const bamba_engine *engine, bamba_op *ops, size_t n);

/* ---------------------------------------------------------------- limits of the machine ---- */

typedef enum bamba_limit {                /* what bounds the speed of a machine                  */
    BAMBA_LIMIT_READ = 0,                 /* bytes read from memory                              */
    BAMBA_LIMIT_F32  = 1,                 /* float32 multiply-adds, each two operations          */
    BAMBA_LIMIT_BF16 = 2,                 /* multiply-adds of bfloat16 dot products              */
    BAMBA_LIMIT_I8   = 3                  /* multiply-adds of 8-bit integer dot products         */
} bamba_limit;

/** Which arithmetic bounds the model's matrix products where memory does not. */
BAMBA_API bamba_limit bamba_model_peak(const bamba_model *model);

/** Processor time that the control groups of this process grant it, in processors (1.5: three
    seconds of processor time in two); 0 if nothing limits it. */
BAMBA_API double bamba_cpu_quota(void);

/** How often such a limit has stopped the control groups of this process since they were made. */
BAMBA_API uint64_t bamba_cpu_throttled(void);

/* Measures what the machine itself can do. One call at a time. */
typedef struct bamba_probe bamba_probe;

typedef struct bamba_probe_options {
    size_t          struct_bytes;
    int             n_threads;            /* 0 = as in an engine                                 */
    size_t          read_bytes;           /* memory to read, in huge pages if the system has them;
                                             0 = 1 GiB, or a quarter of what is free             */
    bamba_allocator allocator;
    int             pin;                  /* as in an engine                                     */
} bamba_probe_options;

#define BAMBA_PROBE_OPTIONS { sizeof(bamba_probe_options), 0, 0, { NULL, NULL, NULL }, 0 }

/** @return BAMBA_OK; BAMBA_ERR_ARGUMENT (n_threads outside 0 … 1024); BAMBA_ERR_MEMORY. */
BAMBA_API bamba_status bamba_probe_create(bamba_probe **out, const bamba_probe_options *options,
                                          bamba_error *err);
BAMBA_API void bamba_probe_free(bamba_probe *probe);

/** Measure one limit once, for 10 to 50 ms. @return GB/s, or 10^9 operations a second; 0 if the
    processor has no such instruction. */
BAMBA_API double bamba_probe_run(bamba_probe *probe, bamba_limit what);

/** Read data [n_bytes] once, 64 bytes at a time, by all threads. @return GB/s. */
BAMBA_API double bamba_probe_read(bamba_probe *probe, const void *data, size_t n_bytes);

BAMBA_API int bamba_probe_threads(const bamba_probe *probe);

/** Bytes of the memory that BAMBA_LIMIT_READ reads. */
BAMBA_API uint64_t bamba_probe_bytes(const bamba_probe *probe);

/** The CPU level whose instructions are measured, the best this processor has: "avx2". Static
    storage. */
BAMBA_API const char *bamba_probe_cpu(const bamba_probe *probe);

#ifdef __cplusplus
}
#endif
#endif /* BAMBA_MEASURE_H */
