/* quantize.c - a model directory written anew, with its matrices in other formats, or with adapters
 * merged into them.
 *
 * Which tensors there are, and which format each gets, the binder says, as for a model that is
 * opened with the same options. config.json, without which nothing opens, comes last. */
#include "rewrite.h"

#include "base/json_text.h"
#include "base/options.h"
#include "base/outfile.h"
#include "companions.h"
#include "merge.h"
#include "policy.h"

#include <string.h>

static const uint64_t SHARD_BYTES = 5000000000;

static const char KEY[] = "quantization_config", OLD_KEY[] = "compression_config";

/* -------------------------------------------------------------- config.json -------------- */

static bool has_blocks(const bb_rewrite *w)
{
    for (size_t i = 0; i < w->n; i++)
        if (w->item[i].need.rows > 0 && w->item[i].need.recode.wanted->block > 1) return true;
    return false;
}

/* quantization_config: the words that the options gave. */
static void print_policy(const bb_rewrite *w, bb_printer *p)
{
    const bamba_model_options *o = w->options;
    const bb_kernels          *k = &w->model->kernels;
    const bb_format           *f = bb_format_of(k, (bb_type)o->weight_type);

    bb_print(p, "{\n    \"quant_method\": \"bamba\",\n    \"version\": 1,\n    \"policy\": {\n"
             "      \"type\": \"%s\",\n      \"type_of\": [", f ? f->name : "stored");
    for (size_t i = 0; i < o->n_type_rules; i++) {
        const bamba_type_rule *rule = &o->type_rules[i];
        bb_print(p, "%s\n        { \"pattern\": ", i ? "," : "");
        bb_print_quoted(p, rule->pattern);
        bb_print(p, ", \"type\": \"%s\" }", bb_format_of(k, (bb_type)rule->type)->name);
    }
    bb_print(p, "%s]\n    }\n  }", o->n_type_rules ? "\n      " : "");
}

/* config.json with the policy, and without the key that ties what the adapters have parted. */
static bb_status write_config(const bb_rewrite *w, bamba_error *err)
{
    const char *tie_key = w->merge && bb_merge_unties(w->merge) ? w->model->graph->tie_key : NULL;
    size_t      n = 0;
    char       *policy = has_blocks(w) ? bb_rewrite_print(w, print_policy, &n) : NULL;

    if (has_blocks(w) && !policy) return bb_rewrite_no_memory(w, err);
    const bb_config_change change[] = { { OLD_KEY, NULL }, { KEY, policy }, { tie_key, "false" } };
    const bb_status status = bb_companions_config(&w->a, w->dir, w->to, change,
                                                  tie_key ? 3 : 2, err);
    bb_release(&w->a, policy);
    return status;
}

/* -------------------------------------------------------------- the public face ---------- */

static bb_status read_options(bb_rewrite *w, const bamba_quantize_options *given,
                              const bamba_model_options *model, bamba_error *err)
{
    bamba_quantize_options o = BAMBA_QUANTIZE_OPTIONS;
    bb_status              status = BAMBA_OK;

    BB_TRY(bb_read_options(&o, sizeof o, sizeof o, given, "quantize options", err));
    w->shard_bytes = o.shard_bytes ? o.shard_bytes : SHARD_BYTES;
    BB_TRY(bb_allocator_resolve(&w->a, &model->allocator, err));
    if (model->first_layer != 0 || model->end_layer != 0)
        status = bb_fail(err, BAMBA_ERR_ARGUMENT, "quantize: expected all layers, found "
                         "first_layer %d and end_layer %d", model->first_layer, model->end_layer);
done:
    return status;
}

static bb_status write_all(bb_rewrite *w, bamba_error *err)
{
    bb_status  status = BAMBA_OK;
    bb_outdir *dir = NULL;

    BB_TRY(bb_rewrite_plan(w, err));
    BB_TRY(bb_outdir_create(&dir, &w->a, w->out, err));
    w->to = bb_outdir_path(dir);
    BB_TRY(bb_rewrite_weights(w, err));
    BB_TRY(bb_companions_copy(&w->a, w->dir, w->to, err));
    BB_TRY(write_config(w, err));
    BB_TRY(bb_outdir_finish(dir, err));
done:
    bb_outdir_close(dir);
    return status;
}

/* The matrix that a parted pair lacks, in the format that the options give a matrix of its name. */
static bb_status add_twin(bb_rewrite *w, bamba_error *err)
{
    const bamba_model_options *o = w->options;
    const bb_graph            *g = w->model->graph;
    const bb_tensor           *stored = bb_find_tensor(g, w->model->checkpoint, g->embed_name);
    const bool                 is_head = strcmp(g->twin_name, g->head_alias) == 0;
    bb_status                  status = BAMBA_OK;
    bb_policy                  policy;
    size_t                     i = 0;

    while (w->item[i].need.tensor != stored) i++;
    if (!bb_reserve(&w->a, &w->item, &w->capacity, w->n + 1, sizeof *w->item))
        return bb_rewrite_no_memory(w, err);
    BB_TRY(bb_policy_init(&policy, &w->a, &w->model->kernels, g, (bb_type)o->weight_type,
                          o->type_rules, o->n_type_rules, err));
    bb_need need = bb_merge_twin(w->merge, &w->item[i].need);
    need.recode.wanted = bb_policy_choose(&policy, is_head ? BB_ROLE_HEAD : BB_ROLE_EMBEDDING,
                                          g->twin_name, need.rows, need.recode.cols,
                                          need.recode.stored);
    w->item[w->n] = (bb_rewritten){ .need = need, .order = w->n };
    w->n++;
    bb_rewrite_sort(w);
done:
    bb_policy_free(&policy);
    return status;
}

static bb_status merge_all(bb_rewrite *w, const bamba_adapter_source *adapter, size_t n,
                           bamba_error *err)
{
    bb_status status = BAMBA_OK;

    for (size_t i = 0; i < w->n; i++) {
        const bb_need *need = &w->item[i].need;
        if (need->rows > 0 && (w->model->quantization || need->recode.stored->block > 1))
            return bb_fail(err, BAMBA_ERR_UNSUPPORTED, "%s: a quantized model: adapters are "
                           "merged into the model that it was made from", w->dir);
    }
    BB_TRY(bb_merge_open(&w->merge, &w->a, w->model, adapter, n, err));
    if (bb_merge_unties(w->merge)) BB_TRY(add_twin(w, err));
    for (size_t i = 0; i < w->n; i++)
        BB_TRY(bb_merge_change(w->merge, &w->item[i].need, &w->item[i].changed, err));
    status = bb_merge_check(w->merge, err);
done:
    return status;
}

static bb_status write_model(const char *dir, const char *out, const bamba_adapter_source *adapter,
                             size_t n, const bamba_model_options *model,
                             const bamba_quantize_options *options, bamba_error *err)
{
    bamba_model_options complete = BAMBA_MODEL_OPTIONS;
    bb_rewrite                w = { .options = &complete, .dir = dir, .out = out };
    bb_status           status = BAMBA_OK;

    if (!dir || !out)
        return bb_fail(err, BAMBA_ERR_ARGUMENT, "quantize: %s is NULL", dir ? "out" : "dir");
    BB_TRY(bb_model_options_read(&complete, model, err));
    BB_TRY(read_options(&w, options, &complete, err));
    BB_TRY(bb_model_visit(&w.model, dir, &complete, n > 0, bb_rewrite_note, &w, err));
    if (w.is_short) {
        status = bb_rewrite_no_memory(&w, err);
        goto done;
    }
    bb_rewrite_sort(&w);
    if (n > 0) BB_TRY(merge_all(&w, adapter, n, err));
    BB_TRY(write_all(&w, err));
done:
    bb_merge_close(w.merge);
    bb_release(&w.a, w.room);
    bb_release(&w.a, w.shard_end);
    bb_release(&w.a, w.names);
    bb_release(&w.a, w.tensor);
    bb_release(&w.a, w.item);
    bamba_model_free(w.model);
    return status;
}

bamba_status bamba_quantize(const char *dir, const char *out, const bamba_model_options *model,
                            const bamba_quantize_options *options, bamba_error *err)
{
    return write_model(dir, out, NULL, 0, model, options, err);
}

bamba_status bamba_merge(const char *dir, const char *out, const bamba_adapter_source *adapter,
                         size_t n, const bamba_model_options *model,
                         const bamba_quantize_options *options, bamba_error *err)
{
    if (!adapter || n == 0)
        return bb_fail(err, BAMBA_ERR_ARGUMENT, "merge: expected adapters, found none");
    return write_model(dir, out, adapter, n, model, options, err);
}
