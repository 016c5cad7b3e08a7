/* rewrite.c - the weights of a model written anew: which tensors, in which files; their making. */
#include "rewrite.h"

#include "base/arena.h"
#include "base/file.h"
#include "base/json_text.h"
#include "base/sort.h"
#include "base/threads.h"
#include "load/safetensors_write.h"
#include "companions.h"
#include "forward.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum {
    TILE_ELEMENTS  = 1 << 18,             /* that a thread makes and writes at a time, about */
    TILES_BETWEEN  = 16,                  /* of each thread, between two reports of progress */
    COPY_BYTES     = 1 << 24,             /* copied between two reports */
    MOST_SHARDS    = 99999
};

bb_status bb_rewrite_no_memory(const bb_rewrite *w, bamba_error *err)
{
    return bb_fail(err, BAMBA_ERR_MEMORY, "%s: out of memory", w->out);
}

/* Tell how far it has come. */
static bb_status report(bb_rewrite *w, uint64_t n_bytes, bamba_error *err)
{
    const bamba_model_options *o = w->options;

    w->done += n_bytes;
    if (!o->progress || o->progress(o->progress_context, w->done, w->total) == 0) return BAMBA_OK;
    return bb_fail(err, BAMBA_ERR_CANCELLED, "%s: cancelled while writing weights", w->out);
}

/* -------------------------------------------------------------- what is written ---------- */

void bb_rewrite_note(void *context, const bb_need *need)
{
    bb_rewrite *w = context;

    if (!bb_reserve(&w->a, &w->item, &w->capacity, w->n + 1, sizeof *w->item)) {
        w->is_short = true;
        return;
    }
    w->item[w->n] = (bb_rewritten){ .need = *need, .order = w->n };
    w->item[w->n++].need.recode.first = 0;            /* the whole tensor, of a slice too */
}

static int compare_items(const void *a, const void *b)
{
    const bb_rewritten *x = a, *y = b;
    const int   order = strcmp(x->need.tensor->name, y->need.tensor->name);

    return order ? order : x->order < y->order ? -1 : 1;
}

/* Of a tensor that was named several times, the first naming stays. */
void bb_rewrite_sort(bb_rewrite *w)
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
    const size_t n = (size_t)need->n_stack, rows = (size_t)need->rows, cols = (size_t)r->cols;
    const size_t stack[] = { n, n ? rows / n : 0, cols }, matrix[] = { rows, cols };
    t.n_dims = n ? 3 : 2;
    memcpy(t.dim, n ? stack : matrix, (size_t)t.n_dims * sizeof *t.dim);
    return t;
}

static bb_status describe_all(bb_rewrite *w, bamba_error *err)
{
    enum { ENDING = 8 };                  /* bytes of "_q4", with the NUL, and more */
    size_t n = 1;

    for (size_t i = 0; i < w->n; i++) n += strlen(w->item[i].need.tensor->name) + ENDING;
    w->names = bb_allocate(&w->a, n, 1);
    w->tensor = bb_new(&w->a, w->n + 1, sizeof *w->tensor);
    w->shard_end = bb_new(&w->a, w->n + 1, sizeof *w->shard_end);
    if (!w->names || !w->tensor || !w->shard_end) return bb_rewrite_no_memory(w, err);
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
static bb_status plan_shards(bb_rewrite *w, bamba_error *err)
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
    const bb_rewrite                  *w;
    const bb_safetensors_writer *file;
    size_t                       index;   /* in the file */
    const bb_need               *need;
    bool                         is_merged;           /* adapters have a part in it */
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

static float find_largest(size_t n, const float *x)
{
    float most = 0.0f;

    for (size_t i = 0; i < n; i++) most = fmaxf(most, fabsf(x[i]));
    return most;
}

/* Refuse n rows that adapters have made larger than the wanted format holds: it makes infinities of
   them or, with scales, the largest that a scale allows. rows [n, cols]: what was encoded; it is
   overwritten with what `codes` hold. */
static bb_status check_merged(const making *k, int n, const void *codes, float *rows,
                              bamba_error *err)
{
    const float      any_holds = 448.0f;  /* the largest of F8_E4M3 */
    const bb_tensor *t = k->need->tensor;
    const bb_recode *r = &k->need->recode;
    const size_t     size = (size_t)n * (size_t)r->cols;

    if (!k->is_merged) return BAMBA_OK;
    const float most = find_largest(size, rows);
    r->wanted->decode(n, r->cols, codes, 0, rows, (size_t)r->cols);
    if (bb_is_finite(size, rows) && (most <= any_holds || find_largest(size, rows) > most / 2.0f))
        return BAMBA_OK;
    return bb_fail(err, BAMBA_ERR_NUMBER, "merge: '%.*s': the merged weights are too large for %s",
                   bb_name_width(t->name), t->name, r->wanted->name);
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
        if (check_merged(k, n, codes, (float *)(void *)scratch, &err) == BAMBA_OK &&
            bb_safetensors_put(k->file, k->index, r->wanted->bytes(first, r->cols), codes,
                               r->wanted->bytes(n, r->cols), &err) == BAMBA_OK) continue;
        if (!atomic_flag_test_and_set(&k->is_told)) k->err = err;
        return;
    }
}

/* Let go of bytes [n] of a tensor that will not be read again. */
static void drop(const bb_rewrite *w, const unsigned char *bytes, size_t n)
{
    if (bb_checkpoint_read_bytes(w->model->checkpoint) == 0) bb_map_drop(bytes, n);
}

static bb_status make_tensor(bb_rewrite *w, const bb_rewritten *item,
                             const bb_safetensors_writer *file, size_t index, bamba_error *err)
{
    const bb_need   *need = &item->need;
    const bb_recode *r = &need->recode;
    bb_status        status = BAMBA_OK;
    making k = { .w = w, .file = file, .index = index, .need = need,
                 .is_merged = r->change || need->tensor == &item->changed,
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

static bb_status copy_tensor(bb_rewrite *w, const bb_tensor *t, const bb_safetensors_writer *file,
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

static bb_status make_room(bb_rewrite *w, bamba_error *err)
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
    return w->room ? BAMBA_OK : bb_rewrite_no_memory(w, err);
}

bb_status bb_rewrite_plan(bb_rewrite *w, bamba_error *err)
{
    bb_status status = BAMBA_OK;

    BB_TRY(describe_all(w, err));
    BB_TRY(plan_shards(w, err));
    status = make_room(w, err);
done:
    return status;
}

/* The name of a shard: "model-00002-of-00005.safetensors". */
typedef struct shard_name { char s[64]; } shard_name;

static shard_name name_shard(const bb_rewrite *w, size_t i)
{
    shard_name name;

    if (w->n_shards == 1) snprintf(name.s, sizeof name.s, "model.safetensors");
    else snprintf(name.s, sizeof name.s, "model-%05zu-of-%05zu.safetensors", i + 1, w->n_shards);
    return name;
}

static bb_status write_shard(bb_rewrite *w, size_t shard, bamba_error *err)
{
    const size_t           first = shard ? w->shard_end[shard - 1] : 0, end = w->shard_end[shard];
    bb_status              status = BAMBA_OK;
    bb_safetensors_writer *file = NULL;
    char                  *path = bb_path_join(&w->a, w->to, name_shard(w, shard).s);

    if (!path) return bb_rewrite_no_memory(w, err);
    BB_TRY(bb_safetensors_create(&file, &w->a, path, w->tensor + first, end - first, err));
    for (size_t i = first; i < end; i++) {
        const bb_need *need = &w->item[i].need;
        if (is_copied(need)) BB_TRY(copy_tensor(w, need->tensor, file, i - first, err));
        else BB_TRY(make_tensor(w, &w->item[i], file, i - first, err));
    }
    BB_TRY(bb_safetensors_finish(file, err));
done:
    bb_safetensors_free(file);
    bb_release(&w->a, path);
    return status;
}

char *bb_rewrite_print(const bb_rewrite *w, void (*print)(const bb_rewrite *w, bb_printer *p),
                       size_t *n)
{
    bb_printer p = { 0 };

    print(w, &p);
    p = (bb_printer){ .buffer = bb_allocate(&w->a, p.used + 1, 1), .size = p.used + 1 };
    if (p.buffer) print(w, &p);
    *n = p.used;
    return p.buffer;
}

static void print_index(const bb_rewrite *w, bb_printer *p)
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

bb_status bb_rewrite_weights(bb_rewrite *w, bamba_error *err)
{
    bb_status status = BAMBA_OK;
    char     *index = NULL;
    size_t    n = 0;

    for (size_t i = 0; i < w->n_shards; i++) BB_TRY(write_shard(w, i, err));
    if (w->n_shards == 1) return BAMBA_OK;
    index = bb_rewrite_print(w, print_index, &n);
    if (!index) return bb_rewrite_no_memory(w, err);
    status = bb_companion_put(&w->a, w->to, "model.safetensors.index.json", index, n, err);
done:
    bb_release(&w->a, index);
    return status;
}
