/* quantize.c - a model directory written anew, with its matrices in other formats.
 *
 * Which tensors there are, and which format each gets, the binder says, as for a model that is
 * opened with the same options. Tensors are made a few tiles at a time, by all threads, and written
 * where they belong; config.json, without which nothing opens, comes last. */
#include "objects.h"

#include "base/arena.h"
#include "base/file.h"
#include "base/json_text.h"
#include "base/options.h"
#include "base/outfile.h"
#include "base/sort.h"
#include "base/threads.h"
#include "load/safetensors_write.h"
#include "companions.h"
#include "merge.h"
#include "policy.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum {
    TILE_ELEMENTS  = 1 << 18,             /* that a thread makes and writes at a time, about */
    TILES_BETWEEN  = 16,                  /* of each thread, between two reports of progress */
    COPY_BYTES     = 1 << 24,             /* copied between two reports */
    MOST_SHARDS    = 99999
};
static const uint64_t SHARD_BYTES = 5000000000;

static const char KEY[] = "quantization_config", OLD_KEY[] = "compression_config";

typedef struct item {
    bb_need need;
    size_t  order;                        /* in which the binder named it */
    bb_tensor changed;                    /* in place of the tensor, where adapters have another */
} item;

typedef struct work {
    bb_allocator               a;
    const bamba_model_options *options;   /* complete */
    uint64_t                   shard_bytes;
    const char                *dir, *out; /* out: as the caller names it, for messages */
    const char                *to;        /* where files are made */
    bamba_model               *model;
    bb_merge                  *merge;     /* adapters to merge in; or NULL */
    item                      *item;      /* [n] by name */
    size_t                     n, capacity;
    bool                       is_short;  /* of memory for them */
    bb_tensor                 *tensor;    /* [n] as written */
    char                      *names;
    size_t                    *shard_end; /* [n_shards] first item behind it */
    size_t                     n_shards;
    int                        n_workers;
    unsigned char             *room;      /* [n_workers, n_room] */
    size_t                     n_room;
    uint64_t                   done, total;           /* bytes */
} work;

static bb_status no_memory(const work *w, bamba_error *err)
{
    return bb_fail(err, BAMBA_ERR_MEMORY, "%s: out of memory", w->out);
}

/* Tell how far it has come. */
static bb_status report(work *w, uint64_t n_bytes, bamba_error *err)
{
    const bamba_model_options *o = w->options;

    w->done += n_bytes;
    if (!o->progress || o->progress(o->progress_context, w->done, w->total) == 0) return BAMBA_OK;
    return bb_fail(err, BAMBA_ERR_CANCELLED, "%s: cancelled while writing weights", w->out);
}

/* -------------------------------------------------------------- what is written ---------- */

static void note_need(void *context, const bb_need *need)
{
    work *w = context;

    if (!bb_reserve(&w->a, &w->item, &w->capacity, w->n + 1, sizeof *w->item)) {
        w->is_short = true;
        return;
    }
    w->item[w->n] = (item){ .need = *need, .order = w->n };
    w->item[w->n++].need.recode.first = 0;            /* the whole tensor, of a slice too */
}

static int compare_items(const void *a, const void *b)
{
    const item *x = a, *y = b;
    const int   order = strcmp(x->need.tensor->name, y->need.tensor->name);

    return order ? order : x->order < y->order ? -1 : 1;
}

/* Of a tensor that was named several times, the first naming stays. */
static void sort_items(work *w)
{
    size_t n = 0;

    bb_sort(w->item, w->n, sizeof *w->item, compare_items);
    for (size_t i = 0; i < w->n; i++)
        if (n == 0 || w->item[i].need.tensor != w->item[n - 1].need.tensor)
            w->item[n++] = w->item[i];
    w->n = n;
}

static bool is_copied(const bb_need *need)
{
    if (need->recode.change) return false;
    return need->rows == 0 || bb_format_is_like(need->recode.wanted, need->recode.stored);
}

/* The tensor that becomes of an item, under this name. */
static bb_tensor describe(const bb_need *need, const char *name)
{
    const bb_recode *r = &need->recode;
    bb_tensor        t = *need->tensor;

    t.name = name;
    if (is_copied(need)) return t;
    const bb_format *f = r->wanted;
    t.bytes = f->bytes(need->rows, r->cols);
    if (f->block > 1) {
        t.dtype = BB_TYPE_U8;
        t.n_dims = 2;
        t.dim[1] = f->bytes(f->rows_together, r->cols);
        t.dim[0] = t.bytes / t.dim[1];
        return t;
    }
    t.dtype = f->type;
    if (r->stored->block == 1) return t;
    t.n_dims = 2;
    t.dim[0] = (size_t)need->rows;
    t.dim[1] = (size_t)r->cols;
    return t;
}

static bb_status describe_all(work *w, bamba_error *err)
{
    enum { ENDING = 8 };                  /* bytes of "_q4", with the NUL, and more */
    size_t n = 1;

    for (size_t i = 0; i < w->n; i++) n += strlen(w->item[i].need.tensor->name) + ENDING;
    w->names = bb_allocate(&w->a, n, 1);
    w->tensor = bb_new(&w->a, w->n + 1, sizeof *w->tensor);
    w->shard_end = bb_new(&w->a, w->n + 1, sizeof *w->shard_end);
    if (!w->names || !w->tensor || !w->shard_end) return no_memory(w, err);
    char *name = w->names;
    for (size_t i = 0; i < w->n; i++) {
        const bb_need *need = &w->item[i].need;
        const bool     has_ending = need->rows > 0 && need->recode.wanted->block > 1;
        const size_t   room = strlen(need->tensor->name) + ENDING;
        snprintf(name, room, "%.*s%s%s", (int)need->n_name, need->tensor->name,
                 has_ending ? "_" : "", has_ending ? need->recode.wanted->name : "");
        w->tensor[i] = describe(need, name);
        w->total += w->tensor[i].bytes;
        name += room;
    }
    return BAMBA_OK;
}

/* Cut the items into files. */
static bb_status plan_shards(work *w, bamba_error *err)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < w->n; i++) {
        const uint64_t more = w->tensor[i].bytes;
        if (bytes > 0 && (bytes > w->shard_bytes || more > w->shard_bytes - bytes)) {
            w->n_shards++;
            bytes = 0;
        }
        bytes += more;
        w->shard_end[w->n_shards] = i + 1;
    }
    if (++w->n_shards > MOST_SHARDS)
        return bb_fail(err, BAMBA_ERR_ARGUMENT, "quantize options: shard_bytes %llu makes %zu "
                       "files, at most %d are possible", (unsigned long long)w->shard_bytes,
                       w->n_shards, MOST_SHARDS);
    return BAMBA_OK;
}

/* -------------------------------------------------------------- one tensor --------------- */

typedef struct making {
    const work                  *w;
    const bb_safetensors_writer *file;
    size_t                       index;   /* in the file */
    const bb_need               *need;
    int                          tile_rows;
    int                          end;     /* first row that is not meant yet */
    atomic_int                   next;    /* row that nobody has taken yet */
    atomic_flag                  is_told; /* somebody has failed, and err is theirs */
    bamba_error                  err;
} making;

static int count_tile_rows(const bb_recode *r)
{
    const int together = r->wanted->rows_together;
    const int rows = TILE_ELEMENTS / r->cols / together * together;
    return rows > together ? rows : together;
}

/* Bytes of the rows of a tile in the wanted format, and what they are made with behind them. */
static size_t count_codes(const bb_recode *r, int n)
{
    return bb_whole_lines(r->wanted->bytes(n, r->cols));
}

static void make_some(void *context, int worker)
{
    making          *k = context;
    const bb_recode *r = &k->need->recode;
    unsigned char   *codes = k->w->room + (size_t)worker * k->w->n_room;
    unsigned char   *scratch = codes + count_codes(r, k->tile_rows);
    bamba_error      err;

    for (int first; (first = atomic_fetch_add(&k->next, k->tile_rows)) < k->end;) {
        const int n = k->end - first < k->tile_rows ? k->end - first : k->tile_rows;
        bb_recode_rows(r, first, n, codes, 0, scratch);
        if (bb_safetensors_put(k->file, k->index, r->wanted->bytes(first, r->cols), codes,
                               r->wanted->bytes(n, r->cols), &err) == BAMBA_OK) continue;
        if (!atomic_flag_test_and_set(&k->is_told)) k->err = err;
        return;
    }
}

/* Let go of bytes [n] of a tensor that will not be read again. */
static void drop(const work *w, const unsigned char *bytes, size_t n)
{
    if (bb_checkpoint_read_bytes(w->model->checkpoint) == 0) bb_map_drop(bytes, n);
}

static bb_status make_tensor(work *w, const bb_need *need, const bb_safetensors_writer *file,
                             size_t index, bamba_error *err)
{
    const bb_recode *r = &need->recode;
    bb_status        status = BAMBA_OK;
    making k = { .w = w, .file = file, .index = index, .need = need,
                 .tile_rows = count_tile_rows(r), .is_told = ATOMIC_FLAG_INIT };
    const int    step = TILES_BETWEEN * w->n_workers;           /* tiles */
    const size_t row_bytes = need->tensor->bytes / (size_t)need->rows;

    for (int first = 0; first < need->rows; first = k.end) {
        k.end = (need->rows - first) / k.tile_rows < step ? need->rows : first + step * k.tile_rows;
        atomic_store(&k.next, first);
        const int n_tiles = (k.end - first + k.tile_rows - 1) / k.tile_rows;
        const int n_workers = n_tiles < w->n_workers ? n_tiles : w->n_workers;
        bb_loop(n_workers, n_workers, make_some, &k);
        if (k.err.code != BAMBA_OK) {
            if (err) *err = k.err;
            return k.err.code;
        }
        drop(w, need->tensor->data + row_bytes * (size_t)first,
             row_bytes * (size_t)(k.end - first));
        BB_TRY(report(w, r->wanted->bytes(k.end, r->cols) - r->wanted->bytes(first, r->cols), err));
    }
done:
    return status;
}

static bb_status copy_tensor(work *w, const bb_tensor *t, const bb_safetensors_writer *file,
                             size_t index, bamba_error *err)
{
    bb_status status = BAMBA_OK;

    for (size_t at = 0; at < t->bytes; at += COPY_BYTES) {
        const size_t n = t->bytes - at < COPY_BYTES ? t->bytes - at : COPY_BYTES;
        BB_TRY(bb_safetensors_put(file, index, at, t->data + at, n, err));
        drop(w, t->data + at, n);
        BB_TRY(report(w, n, err));
    }
done:
    return status;
}

/* -------------------------------------------------------------- weights ------------------ */

static bb_status make_room(work *w, bamba_error *err)
{
    w->n_room = 64;
    for (size_t i = 0; i < w->n; i++) {
        const bb_need   *need = &w->item[i].need;
        const bb_recode *r = &need->recode;
        if (is_copied(need)) continue;
        const int    rows = count_tile_rows(r);
        const size_t n = count_codes(r, rows) + bb_whole_lines(bb_recode_bytes(r, rows));
        if (n > w->n_room) w->n_room = n;
    }
    w->n_workers = w->options->n_threads ? w->options->n_threads : bb_threads_default();
    w->room = bb_allocate(&w->a, (size_t)w->n_workers, w->n_room);
    return w->room ? BAMBA_OK : no_memory(w, err);
}

/* The name of a shard: "model-00002-of-00005.safetensors". */
typedef struct shard_name { char s[64]; } shard_name;

static shard_name name_shard(const work *w, size_t i)
{
    shard_name name;

    if (w->n_shards == 1) snprintf(name.s, sizeof name.s, "model.safetensors");
    else snprintf(name.s, sizeof name.s, "model-%05zu-of-%05zu.safetensors", i + 1, w->n_shards);
    return name;
}

static bb_status write_shard(work *w, size_t shard, bamba_error *err)
{
    const size_t           first = shard ? w->shard_end[shard - 1] : 0, end = w->shard_end[shard];
    bb_status              status = BAMBA_OK;
    bb_safetensors_writer *file = NULL;
    char                  *path = bb_path_join(&w->a, w->to, name_shard(w, shard).s);

    if (!path) return no_memory(w, err);
    BB_TRY(bb_safetensors_create(&file, &w->a, path, w->tensor + first, end - first, err));
    for (size_t i = first; i < end; i++) {
        const bb_need *need = &w->item[i].need;
        if (is_copied(need)) BB_TRY(copy_tensor(w, need->tensor, file, i - first, err));
        else BB_TRY(make_tensor(w, need, file, i - first, err));
    }
    BB_TRY(bb_safetensors_finish(file, err));
done:
    bb_safetensors_free(file);
    bb_release(&w->a, path);
    return status;
}

/* What print writes, as text to be released; NULL without memory. */
static char *print_text(const work *w, void (*print)(const work *w, bb_printer *p), size_t *n)
{
    bb_printer p = { 0 };

    print(w, &p);
    p = (bb_printer){ .buffer = bb_allocate(&w->a, p.used + 1, 1), .size = p.used + 1 };
    if (p.buffer) print(w, &p);
    *n = p.used;
    return p.buffer;
}

static void print_index(const work *w, bb_printer *p)
{
    bb_print(p, "{\n  \"metadata\": {\n    \"total_size\": %llu\n  },\n  \"weight_map\": {",
             (unsigned long long)w->total);
    for (size_t i = 0, shard = 0; i < w->n; i++) {
        if (i == w->shard_end[shard]) shard++;
        bb_print(p, "%s\n    ", i ? "," : "");
        bb_print_quoted(p, w->tensor[i].name);
        bb_print(p, ": \"%s\"", name_shard(w, shard).s);
    }
    bb_print(p, "\n  }\n}\n");
}

static bb_status write_weights(work *w, bamba_error *err)
{
    bb_status status = BAMBA_OK;
    char     *index = NULL;
    size_t    n = 0;

    for (size_t i = 0; i < w->n_shards; i++) BB_TRY(write_shard(w, i, err));
    if (w->n_shards == 1) return BAMBA_OK;
    index = print_text(w, print_index, &n);
    if (!index) return no_memory(w, err);
    status = bb_companion_put(&w->a, w->to, "model.safetensors.index.json", index, n, err);
done:
    bb_release(&w->a, index);
    return status;
}

/* -------------------------------------------------------------- config.json -------------- */

static bool has_blocks(const work *w)
{
    for (size_t i = 0; i < w->n; i++)
        if (w->item[i].need.rows > 0 && w->item[i].need.recode.wanted->block > 1) return true;
    return false;
}

/* quantization_config: the words that the options gave. */
static void print_policy(const work *w, bb_printer *p)
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
static bb_status write_config(const work *w, bamba_error *err)
{
    const char *tie_key = w->merge && bb_merge_unties(w->merge) ? w->model->graph->tie_key : NULL;
    size_t      n = 0;
    char       *policy = has_blocks(w) ? print_text(w, print_policy, &n) : NULL;

    if (has_blocks(w) && !policy) return no_memory(w, err);
    const bb_config_change change[] = { { OLD_KEY, NULL }, { KEY, policy }, { tie_key, "false" } };
    const bb_status status = bb_companions_config(&w->a, w->dir, w->to, change,
                                                  tie_key ? 3 : 2, err);
    bb_release(&w->a, policy);
    return status;
}

/* -------------------------------------------------------------- the public face ---------- */

static bb_status read_options(work *w, const bamba_quantize_options *given,
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

static bb_status write_all(work *w, bamba_error *err)
{
    bb_status  status = BAMBA_OK;
    bb_outdir *dir = NULL;

    BB_TRY(describe_all(w, err));
    BB_TRY(plan_shards(w, err));
    BB_TRY(make_room(w, err));
    BB_TRY(bb_outdir_create(&dir, &w->a, w->out, err));
    w->to = bb_outdir_path(dir);
    BB_TRY(write_weights(w, err));
    BB_TRY(bb_companions_copy(&w->a, w->dir, w->to, err));
    BB_TRY(write_config(w, err));
    BB_TRY(bb_outdir_finish(dir, err));
done:
    bb_outdir_close(dir);
    return status;
}

/* The matrix that a parted pair lacks, in the format that the options give a matrix of its name. */
static bb_status add_twin(work *w, bamba_error *err)
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
        return no_memory(w, err);
    BB_TRY(bb_policy_init(&policy, &w->a, &w->model->kernels, g, (bb_type)o->weight_type,
                          o->type_rules, o->n_type_rules, err));
    bb_need need = bb_merge_twin(w->merge, &w->item[i].need);
    need.recode.wanted = bb_policy_choose(&policy, is_head ? BB_ROLE_HEAD : BB_ROLE_EMBEDDING,
                                          g->twin_name, need.rows, need.recode.cols,
                                          need.recode.stored);
    w->item[w->n] = (item){ .need = need, .order = w->n };
    w->n++;
    sort_items(w);
done:
    bb_policy_free(&policy);
    return status;
}

static bb_status merge_all(work *w, const bamba_adapter_source *adapter, size_t n, bamba_error *err)
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
    work                w = { .options = &complete, .dir = dir, .out = out };
    bb_status           status = BAMBA_OK;

    if (!dir || !out)
        return bb_fail(err, BAMBA_ERR_ARGUMENT, "quantize: %s is NULL", dir ? "out" : "dir");
    BB_TRY(bb_model_options_read(&complete, model, err));
    BB_TRY(read_options(&w, options, &complete, err));
    BB_TRY(bb_model_visit(&w.model, dir, &complete, note_need, &w, err));
    if (w.is_short) {
        status = no_memory(&w, err);
        goto done;
    }
    sort_items(&w);
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
