/* model.c - opening a model directory: config.json → plan, checkpoint → bound graph. */
#include "objects.h"

#include "arch/registry.h"
#include "base/file.h"
#include "base/options.h"
#include "load/directory.h"
#include "load/safetensors.h"
#include "mixer/count.h"
#include "policy.h"

#include <stdlib.h>
#include <string.h>

/* -------------------------------------------------------------- options ------------------ */

_Static_assert((int)BB_TYPE_F32 == BAMBA_TYPE_F32 && (int)BB_TYPE_BF16 == BAMBA_TYPE_BF16
               && (int)BB_TYPE_F16 == BAMBA_TYPE_F16 && (int)BB_TYPE_Q8 == BAMBA_TYPE_Q8
               && (int)BB_TYPE_Q4 == BAMBA_TYPE_Q4 && (int)BB_TYPE_F8_E4M3 == BAMBA_TYPE_F8,
               "a public type is an element type");

bb_status bb_model_options_read(bamba_model_options *o, const bamba_model_options *given,
                                bamba_error *err)
{
    const bb_status status = bb_read_options(o, sizeof *o,
                                             offsetof(bamba_model_options, first_layer), given,
                                             "model options", err);

    if (status != BAMBA_OK) return status;
    if ((int)o->weight_type < BAMBA_TYPE_DEFAULT || o->weight_type > BAMBA_TYPE_Q4)
        return bb_fail(err, BAMBA_ERR_ARGUMENT, "model options: unknown weight_type %d",
                       (int)o->weight_type);
    if ((int)o->kv_type < BAMBA_TYPE_DEFAULT || o->kv_type > BAMBA_TYPE_Q8)
        return bb_fail(err, BAMBA_ERR_ARGUMENT, "model options: unknown kv_type %d",
                       (int)o->kv_type);
    if (o->state_type != BAMBA_TYPE_DEFAULT && o->state_type != BAMBA_TYPE_F32
        && o->state_type != BAMBA_TYPE_BF16 && o->state_type != BAMBA_TYPE_Q8)
        return bb_fail(err, BAMBA_ERR_ARGUMENT,
                       "model options: expected state_type default, F32, BF16 or Q8, found %d",
                       (int)o->state_type);
    if (o->compute_type != BAMBA_TYPE_DEFAULT && o->compute_type != BAMBA_TYPE_F32)
        return bb_fail(err, BAMBA_ERR_ARGUMENT,
                       "model options: expected compute_type default or F32, found %d",
                       (int)o->compute_type);
    if (o->n_threads < 0 || o->n_threads > 1024)
        return bb_fail(err, BAMBA_ERR_ARGUMENT,
                       "model options: expected n_threads from 0 to 1024, found %d", o->n_threads);
    return BAMBA_OK;
}

static bb_status cut_layers(bb_graph *g, const bamba_model_options *o, bamba_error *err)
{
    if (o->first_layer == 0 && o->end_layer == 0) return BAMBA_OK;
    if (bb_graph_cut(g, o->first_layer, o->end_layer)) return BAMBA_OK;
    return bb_fail(err, BAMBA_ERR_ARGUMENT,
                   "model options: expected 0 <= first_layer < end_layer <= %d, found %d and %d",
                   g->n_layers, o->first_layer, o->end_layer);
}

/* The level by the option, else by the environment, else the best there is. One that is asked for
   by name is never replaced by another. */
static bb_status choose_kernels(bb_kernels *k, const char *option, bamba_error *err)
{
    const char    *from = option ? "option cpu" : "environment BAMBA_CPU";
    const char    *name = option ? option : getenv("BAMBA_CPU");
    const unsigned here = bb_cpu_detect();

    bb_kernels_init(k, bb_cpu_best());
    if (!name || !name[0]) return BAMBA_OK;
    const int level = bb_cpu_level(name);
    if (level < 0)
        return bb_fail(err, BAMBA_ERR_ARGUMENT, "%s: unknown CPU level '%.40s'; the best "
                       "of this processor is '%s'", from, name, k->name);
    if ((unsigned)level & ~here)
        return bb_fail(err, BAMBA_ERR_ARGUMENT, "%s: this processor does not have '%.40s'; "
                       "its best is '%s'", from, name, k->name);
    bb_kernels_init(k, (unsigned)level);
    return BAMBA_OK;
}

/* -------------------------------------------------------------- config.json -------------- */

static bb_status plan_model(bamba_model *m, bb_json_doc *doc, const bb_log *log, bamba_error *err)
{
    const bb_json  config = bb_json_root(doc);
    const bb_arch *arch;
    bb_facts      *facts = NULL;
    bb_plan        plan = { .g = m->graph, .kv_type = m->kv_type, .state_type = m->state_type };
    bb_status      status = BAMBA_OK;

    if (!bb_json_is_object(&config))
        bb_json_fail(&config, BAMBA_ERR_FORMAT, "expected an object");
    BB_TRY(bb_json_status(doc, err));
    arch = bb_arch_find(&config);
    BB_TRY(bb_json_status(doc, err));
    m->architecture = arch->model_type;
    BB_TRY(bb_quantization_read(&m->quantization, &m->alloc, &config, err));
    facts = bb_arch_plan(arch, &config, &plan);
    BB_TRY(bb_json_status(doc, err));
    BB_TRY(bb_plan_status(&plan, err));
    m->n_context = facts->n_context;
    m->stored_type = facts->stored_type;
    bb_generation_config_init(&m->generation, m->graph->n_vocab);
    bb_generation_config_tokens(&m->generation, &config, log);
    BB_TRY(bb_json_status(doc, err));
done:
    bb_release(&m->alloc, facts);
    return status;
}

/* -------------------------------------------------------------- open --------------------- */

/* Where a model comes from, and what is to be done with it. */
typedef struct opening {
    const char     *dir;                  /* NULL: the file `config` alone */
    const char     *config;
    const uint64_t *random;               /* a seed for weights to be made, or NULL */
    bb_need_fn     *visit;                /* not NULL: weights are shown to it, not attached */
    void           *visit_context;
    bool            may_part;             /* a tied pair may become two matrices */
} opening;

static bb_status bind_model(bamba_model *m, const bamba_model_options *o, const opening *from,
                            bamba_error *err)
{
    bb_policy             policy;
    bb_status             status = BAMBA_OK;
    const bb_log          log = { o->log, o->log_context };
    const bb_bind_options bind = {
        .k = &m->kernels, .policy = bb_policy_choose, .policy_context = &policy,
        .policy_check = bb_policy_check,
        .visit = from->visit, .visit_context = from->visit_context,
        .scheme = bb_quantization_scheme, .scheme_context = m->quantization,
        .moments = m->moments, .planned_type = m->stored_type, .copy = o->copy_weights != 0,
        .random = from->random != NULL, .seed = from->random ? *from->random : 0,
        .n_threads = o->n_threads, .progress = o->progress,
        .progress_context = o->progress_context, .strict = o->strict != 0, .log = log,
    };

    status = bb_policy_init(&policy, &m->alloc, &m->kernels, m->graph, (bb_type)o->weight_type,
                            o->type_rules, o->n_type_rules, err);
    policy.where = from->dir ? from->dir : from->config;
    if (!m->checkpoint) policy.also[0] = m->graph->embed_alias;
    if (!m->checkpoint || from->may_part) policy.also[1] = m->graph->twin_name;
    if (status == BAMBA_OK)
        status = bb_bind(m->graph, m->checkpoint, &bind, &m->block, &m->stats, err);
    bb_policy_free(&policy);
    if (status != BAMBA_OK || !m->checkpoint || from->visit) return status;
    const uint64_t read_bytes = bb_checkpoint_read_bytes(m->checkpoint);
    if (read_bytes > 0)
        bb_log_line(&log, "weights: %.1f MiB of files are read into memory, since their file "
                    "system cannot map them", (double)read_bytes / 0x1p20);
    if (m->stats.converted_bytes > 0)
        bb_log_line(&log, "weights: %.1f MiB are converted copies in memory",
                    (double)m->stats.converted_bytes / 0x1p20);
    if (m->stats.misaligned_bytes > 0)
        bb_log_line(&log, "weights: %.1f MiB are copied into memory, since they lie unaligned in "
                    "their file", (double)m->stats.misaligned_bytes / 0x1p20);
    return BAMBA_OK;
}

static bb_status open_moments(bamba_model *m, const char *path, bamba_error *err)
{
    bb_container   *file = NULL;
    const bb_status status = bb_safetensors_open(&file, &m->alloc, path, err);

    return status == BAMBA_OK ? bb_checkpoint_of(&m->moments, &m->alloc, file, err) : status;
}

static bb_status hash_file(const char *path, unsigned char hash[BB_HASH_BYTES], bamba_error *err)
{
    bb_map          map;
    bb_hash         h;
    const bb_status status = bb_map_open(&map, path, err);

    if (status != BAMBA_OK) return status;
    bb_hash_begin(&h);
    bb_hash_add(&h, map.data, map.size);
    bb_hash_end(&h, hash);
    bb_map_close(&map);
    return BAMBA_OK;
}

/* Read config.json and plan the model; no weights yet. */
static bb_status begin(bamba_model **out, const bb_allocator *a, const char *config_path,
                       const bamba_model_options *o, bamba_error *err)
{
    const bb_log log = { o->log, o->log_context };
    bb_status    status = BAMBA_OK;
    bb_json_doc *doc = NULL;
    bamba_model *m = bb_new(a, 1, sizeof *m);

    if (m) m->alloc = *a;
    if (!m || !(m->graph = bb_graph_create(a))) {
        status = bb_fail(err, BAMBA_ERR_MEMORY, "model: out of memory");
        goto done;
    }
    m->kv_type = o->kv_type ? (bb_type)o->kv_type : BB_TYPE_F16;
    m->state_type = o->state_type ? (bb_type)o->state_type : BB_TYPE_F32;
    BB_TRY(choose_kernels(&m->kernels, o->cpu, err));
    if (o->compute_type == BAMBA_TYPE_F32) bb_kernels_keep_f32(&m->kernels);
    BB_TRY(bb_json_open(&doc, a, config_path, BB_JSON_INFINITY, err));
    BB_TRY(hash_file(config_path, m->config_hash, err));
    BB_TRY(plan_model(m, doc, &log, err));
    BB_TRY(cut_layers(m->graph, o, err));
    *out = m;
    m = NULL;
done:
    bb_json_close(doc);
    bamba_model_free(m);
    return status;
}

static bb_status open_model(bamba_model **out, const opening *from,
                            const bamba_model_options *options, bamba_error *err)
{
    const char         *dir = from->dir;
    bamba_model_options o = BAMBA_MODEL_OPTIONS;
    bb_status           status = BAMBA_OK;
    bamba_model        *m = NULL;
    char               *path = NULL;
    bb_allocator        a;

    *out = NULL;
    BB_TRY(bb_model_options_read(&o, options, err));
    BB_TRY(bb_allocator_resolve(&a, &o.allocator, err));
    if (dir && !(path = bb_path_join(&a, dir, "config.json"))) {
        status = bb_fail(err, BAMBA_ERR_MEMORY, "%s: out of memory", dir);
        goto done;
    }
    if (dir) BB_TRY(bb_directory_check(&a, dir, "config.json", err));
    BB_TRY(begin(&m, &a, dir ? path : from->config, &o, err));
    if (dir) {
        const bb_log log = { o.log, o.log_context };
        BB_TRY(bb_generation_config_read(&m->generation, &a, dir, &log, err));
        if (o.calibration) BB_TRY(open_moments(m, o.calibration, err));
        BB_TRY(bb_checkpoint_open(&m->checkpoint, &a, dir, err));
    }
    BB_TRY(bind_model(m, &o, from, err));
    *out = m;
    m = NULL;
done:
    bamba_model_free(m);
    if (path) bb_release(&a, path);
    return status;
}

bamba_status bamba_model_open_config(bamba_model **out, const char *path,
                                     const bamba_model_options *options, bamba_error *err)
{
    if (!out || !path)
        return bb_fail(err, BAMBA_ERR_ARGUMENT, "model: %s is NULL", out ? "path" : "out");
    return open_model(out, &(opening){ .config = path }, options, err);
}

bamba_status bamba_model_open_random(bamba_model **out, const char *path, uint64_t seed,
                                     const bamba_model_options *options, bamba_error *err)
{
    if (!out || !path)
        return bb_fail(err, BAMBA_ERR_ARGUMENT, "model: %s is NULL", out ? "path" : "out");
    return open_model(out, &(opening){ .config = path, .random = &seed }, options, err);
}

bamba_status bamba_model_open(bamba_model **out, const char *dir,
                              const bamba_model_options *options, bamba_error *err)
{
    if (!out || !dir)
        return bb_fail(err, BAMBA_ERR_ARGUMENT, "model: %s is NULL", out ? "dir" : "out");
    return open_model(out, &(opening){ .dir = dir }, options, err);
}

bb_status bb_model_visit(bamba_model **out, const char *dir, const bamba_model_options *options,
                         bool may_part, bb_need_fn *visit, void *context, bamba_error *err)
{
    const opening from = { .dir = dir, .visit = visit, .visit_context = context,
                           .may_part = may_part };
    return open_model(out, &from, options, err);
}

void bamba_model_free(bamba_model *m)
{
    if (!m) return;
    const bb_allocator a = m->alloc;
    bb_unguard(m->block, m->stats.resident_bytes);
    bb_release(&a, m->block);
    bb_graph_free(m->graph);
    bb_checkpoint_close(m->checkpoint);
    bb_checkpoint_close(m->moments);
    bb_quantization_free(m->quantization);
    bb_release(&a, m);
}

/* -------------------------------------------------------------- asking ------------------- */

/* The format that the model goes by: that of most weights. */
static const bb_format *main_format(const bamba_model *m)
{
    const uint64_t *n = m->stats.params_of;
    int             most = 0;

    for (int i = 1; i < BB_N_FORMATS; i++)
        if (n[i] > n[most]) most = i;
    return n[most] > 0 ? &m->kernels.format[most] : bb_format_of(&m->kernels, m->stored_type);
}

bamba_limit bamba_model_peak(const bamba_model *m)
{
    if (!m) return BAMBA_LIMIT_F32;
    const bb_type rounded = main_format(m)->activation;
    return rounded == BB_TYPE_I8 && m->kernels.peak[BB_PEAK_I8] ? BAMBA_LIMIT_I8
         : rounded == BB_TYPE_BF16 ? BAMBA_LIMIT_BF16 : BAMBA_LIMIT_F32;
}

/* Types that only published checkpoints have, with scales of their own kind, have no name. */
static bamba_type public_type(bb_type type)
{
    return type <= BB_TYPE_F8_E4M3 ? (bamba_type)type : BAMBA_TYPE_DEFAULT;
}

bamba_status bamba_model_info_get(const bamba_model *m, bamba_model_info *info)
{
    if (!m || !info || info->struct_bytes < sizeof info->struct_bytes) return BAMBA_ERR_ARGUMENT;

    const size_t           size = info->struct_bytes;
    const bamba_model_info full = {
        .struct_bytes   = size,
        .architecture   = m->architecture,
        .cpu            = m->kernels.name,
        .weight_type    = public_type(main_format(m)->type),
        .kv_type        = (bamba_type)m->kv_type,
        .n_vocab        = m->graph->n_vocab,
        .n_layers       = m->graph->n_layers,
        .n_context      = m->n_context,
        .d_model        = m->graph->d_model,
        .n_eos          = m->generation.n_eos,
        .eos            = m->generation.eos,
        .bos            = m->generation.bos,
        .n_params       = m->stats.n_params,
        .weights_bytes  = m->stats.weights_bytes,
        .mapped_bytes   = m->stats.mapped_bytes,
        .resident_bytes = m->stats.resident_bytes,
        .max_new_tokens = m->generation.max_new_tokens,
        .bits_per_weight = m->stats.matrix_params > 0
                         ? 8.0 * (double)m->stats.matrix_bytes / (double)m->stats.matrix_params
                         : 0.0,
        .state_type     = (bamba_type)m->state_type,
    };
    if (size > sizeof full) memset((unsigned char *)info + sizeof full, 0, size - sizeof full);
    memcpy(info, &full, size < sizeof full ? size : sizeof full);
    return BAMBA_OK;
}

uint64_t bamba_model_state_bytes(const bamba_model *m, size_t n_positions)
{
    return m ? bb_graph_session_bytes(m->graph, n_positions) : 0;
}

size_t bamba_model_count(const bamba_model *m, size_t n_sessions, size_t n_tokens, size_t position,
                         size_t n_logits, const bamba_adapter_use *adapters, size_t n_adapters,
                         bamba_op *ops, size_t n)
{
    bb_count       count[BB_MAX_OPS] = { { 0, 0 } };
    bb_adapter_use use[BB_MOST_ADAPTERS];
    bb_segment     one = { .n_rows = 1, .adapter = use, .n_adapters = (int)n_adapters };
    bb_work        w = { .n_wanted = n_logits, .segment = &one, .n_adapted = 1 };

    if (!m || n_adapters > BB_MOST_ADAPTERS || (n_adapters > 0 && !adapters)) return 0;
    for (size_t i = 0; i < n_adapters; i++) {
        if (!adapters[i].adapter || adapters[i].adapter->model != m) return 0;
        use[i] = (bb_adapter_use){ &adapters[i].adapter->base, adapters[i].scale };
    }
    bb_work_add(&w, position, n_tokens, 0, 0);
    w.T *= n_sessions, w.n_segments *= n_sessions, w.seen *= n_sessions, w.reached *= n_sessions;
    w.times = w.T;
    bb_count_pass(m->graph, &w, count);
    const size_t n_ops = (size_t)m->graph->n_ops;
    for (size_t i = 0; i < n && i < n_ops; i++)
        ops[i] = (bamba_op){ m->graph->op_name[i], 0, count[i].bytes, count[i].flops };
    return n_ops;
}

size_t bamba_model_describe(const bamba_model *m, char *buffer, size_t size)
{
    bb_printer p = { .buffer = buffer, .size = size };

    if (size > 0) buffer[0] = '\0';
    if (m) bb_graph_print(m->graph, &p);
    return p.used;
}
