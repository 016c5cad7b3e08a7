/* checkpoint.c - all tensors of a model directory, whatever files hold them.
 *
 * With an index, its weight_map alone says which tensors there are and which file has each: a
 * name that two shards hold is settled by it, and what a shard holds beside is ignored.
 * (transformers 5 opens the same files and merges all they hold; the two differ only where
 * index and shards disagree.) metadata.total_size is often wrong after edits and not looked at.
 * Source: huggingface/transformers src/transformers/modeling_utils.py and utils/hub.py. */
#include "load/checkpoint.h"

#include "base/file.h"
#include "base/json.h"
#include "base/sort.h"
#include "load/safetensors.h"

#include <string.h>

static const char SINGLE[] = "model.safetensors";
static const char INDEX[] = "model.safetensors.index.json";

struct bb_checkpoint {
    bb_allocator   a;
    bb_container **file;                  /* [n_files] */
    size_t         n_files;
    bb_tensor     *tensor;                /* [n] by name; what they point to is the containers' */
    bool          *taken;                 /* [n] */
    size_t         n;
};

static bb_status no_memory(const char *file, bamba_error *err)
{
    return bb_fail(err, BAMBA_ERR_MEMORY, "%s: out of memory", file);
}

/* Without tensors yet, but with room for n of them in n_files files; NULL without memory. */
static bb_checkpoint *create(const bb_allocator *a, size_t n_files, size_t n)
{
    bb_checkpoint *c = bb_new(a, 1, sizeof *c);

    if (!c) return NULL;
    c->a = *a;
    c->file = bb_new(a, n_files, sizeof *c->file);
    c->tensor = bb_new(a, n + 1, sizeof *c->tensor);      /* an array also where n is 0 */
    c->taken = bb_new(a, n + 1, sizeof *c->taken);
    if (c->file && c->tensor && c->taken) return c;
    bb_checkpoint_close(c);
    return NULL;
}

bb_status bb_checkpoint_of(bb_checkpoint **out, const bb_allocator *a, bb_container *file,
                           bamba_error *err)
{
    bb_checkpoint *c = create(a, 1, file->n);

    *out = c;
    if (!c) {
        const bb_status status = no_memory(file->file, err);
        bb_container_close(file);
        return status;
    }
    if (file->n) memcpy(c->tensor, file->tensor, file->n * sizeof *c->tensor);
    c->n = file->n;
    c->file[c->n_files++] = file;
    return BAMBA_OK;
}

/* Whether a name means a file of the directory itself: an index must not reach outside. */
static bool is_plain_name(const char *name, size_t n_bytes)
{
    return n_bytes > 0 && strlen(name) == n_bytes && strcmp(name, ".") != 0 &&
           strcmp(name, "..") != 0 && strpbrk(name, "/\\") == NULL;
}

/* Names and files of the tensors that the map lists, both the document's text for now. */
static bb_status read_weight_map(bb_checkpoint **out, const bb_allocator *a, bb_json_doc *doc,
                                 bamba_error *err)
{
    const bb_json  root = bb_json_root(doc);
    const bb_json  map = bb_json_get(&root, "weight_map");
    const size_t   n = bb_json_members(&map);
    bb_checkpoint *c = n ? create(a, n, n) : NULL;
    bb_json_walk   walk = { 0 };
    bb_json        member;

    *out = c;
    if (!bb_json_is_object(&map))
        bb_json_fail_key(&root, "weight_map", BAMBA_ERR_FORMAT,
                         "expected an object of tensor names and file names");
    else if (n == 0)
        bb_json_fail(&map, BAMBA_ERR_FORMAT, "expected tensors, found none");
    else if (!c)
        return no_memory(INDEX, err);
    while (c && bb_json_next(&map, &walk, &member)) {
        size_t      n_bytes;
        const char *file = bb_json_value_text(&member, &n_bytes);
        if (!is_plain_name(file, n_bytes)) {
            bb_json_fail(&member, BAMBA_ERR_FORMAT,
                         "expected the name of a file in the same directory, found '%.*s'",
                         bb_name_width(file), file);
            break;
        }
        c->tensor[c->n].name = member.key;
        c->tensor[c->n++].file = file;
    }
    return bb_json_status(doc, err);
}

static int compare_files(const void *a, const void *b)
{
    const bb_tensor *x = a;
    const bb_tensor *y = b;
    const int        order = strcmp(x->file, y->file);

    return order ? order : strcmp(x->name, y->name);
}

static bb_status open_shard(bb_checkpoint *c, const char *dir, const char *name,
                            bamba_error *err)
{
    bb_status    status = BAMBA_OK;
    bb_path_kind kind;
    char        *path = bb_path_join(&c->a, dir, name);

    if (!path) return no_memory(name, err);
    BB_TRY(bb_path_find(path, &kind, err));
    if (!kind) {
        status = bb_fail(err, BAMBA_ERR_IO, "%s: no such file, but %s names it: the download is "
                         "incomplete", path, INDEX);
        goto done;
    }
    BB_TRY(bb_safetensors_open(&c->file[c->n_files], &c->a, path, err));
    c->n_files++;
done:
    bb_release(&c->a, path);
    return status;
}

/* Replace the entries of the index, sorted by file, by the tensors they name. */
static bb_status fill_from_shards(bb_checkpoint *c, const char *dir, bamba_error *err)
{
    bb_status   status = BAMBA_OK;
    const char *open = NULL;              /* name of the last shard in c->file */

    for (size_t i = 0; i < c->n; i++) {
        bb_tensor *t = &c->tensor[i];
        if (!open || strcmp(open, t->file) != 0) {
            open = t->file;
            BB_TRY(open_shard(c, dir, open, err));
        }
        const bb_container *file = c->file[c->n_files - 1];
        const bb_tensor    *found = bb_tensors_find(file->tensor, file->n, t->name);
        if (!found)
            return bb_fail(err, BAMBA_ERR_FORMAT, "%s: '%.*s': not in this file, as %s says",
                           t->file, bb_name_width(t->name), t->name, INDEX);
        *t = *found;
    }
done:
    return status;
}

static bb_status open_sharded(bb_checkpoint **out, const bb_allocator *a, const char *dir,
                              const char *index_path, bamba_error *err)
{
    bb_status      status = BAMBA_OK;
    bb_checkpoint *c = NULL;
    bb_json_doc   *doc = NULL;

    BB_TRY(bb_json_open(&doc, a, index_path, BB_JSON_LARGE, err));
    BB_TRY(read_weight_map(&c, a, doc, err));
    bb_sort(c->tensor, c->n, sizeof *c->tensor, compare_files);
    BB_TRY(fill_from_shards(c, dir, err));
    bb_tensors_sort(c->tensor, c->n);
    *out = c;
    c = NULL;
done:
    bb_json_close(doc);
    bb_checkpoint_close(c);
    return status;
}

/* The failure for a directory without weights: what was looked for, what is there instead. */
static bb_status report_nothing(const char *dir, bamba_error *err)
{
    static const struct {
        const char *prefix, *suffix, *hint;
    } other[] = {
        { "model-", ".safetensors", "a shard, but the index is missing" },
        { "", ".safetensors", "which has another name" },
        { "pytorch_model", ".bin", "but of weights only safetensors are read" },
        { "", ".gguf", "but GGUF is not read yet" },
    };
    char name[256];                       /* the longest name that a file can have */

    for (size_t i = 0; i < sizeof other / sizeof other[0]; i++)
        if (bb_dir_find(dir, other[i].prefix, other[i].suffix, name, sizeof name))
            return bb_fail(err, BAMBA_ERR_IO, "%s: expected %s or %s, found %s, %s", dir,
                           SINGLE, INDEX, name, other[i].hint);
    return bb_fail(err, BAMBA_ERR_IO, "%s: expected %s or %s, found neither", dir, SINGLE,
                   INDEX);
}

bb_status bb_checkpoint_open(bb_checkpoint **out, const bb_allocator *a, const char *dir,
                             bamba_error *err)
{
    bb_status     status = BAMBA_OK;
    bb_path_kind  is_single, is_sharded;
    bb_container *file;
    char         *single = bb_path_join(a, dir, SINGLE);
    char         *index = bb_path_join(a, dir, INDEX);

    *out = NULL;
    if (!single || !index) {
        status = no_memory(dir, err);
        goto done;
    }
    BB_TRY(bb_path_find(single, &is_single, err));
    BB_TRY(bb_path_find(index, &is_sharded, err));
    if (is_single) {
        BB_TRY(bb_safetensors_open(&file, a, single, err));
        status = bb_checkpoint_of(out, a, file, err);
    } else if (is_sharded) {
        status = open_sharded(out, a, dir, index, err);
    } else {
        status = report_nothing(dir, err);
    }
done:
    bb_release(a, single);
    bb_release(a, index);
    return status;
}

void bb_checkpoint_close(bb_checkpoint *c)
{
    if (!c) return;
    const bb_allocator a = c->a;

    for (size_t i = 0; i < c->n_files; i++) bb_container_close(c->file[i]);
    bb_release(&a, c->file);
    bb_release(&a, c->tensor);
    bb_release(&a, c->taken);
    bb_release(&a, c);
}

const bb_tensor *bb_checkpoint_find(const bb_checkpoint *c, const char *name)
{
    return bb_tensors_find(c->tensor, c->n, name);
}

const bb_tensor *bb_checkpoint_take(bb_checkpoint *c, const char *name)
{
    const bb_tensor *t = bb_checkpoint_find(c, name);

    if (t) c->taken[t - c->tensor] = true;
    return t;
}

const bb_tensor *bb_checkpoint_untaken(const bb_checkpoint *c, const bb_tensor *after)
{
    for (size_t i = after ? (size_t)(after - c->tensor) + 1 : 0; i < c->n; i++)
        if (!c->taken[i]) return &c->tensor[i];
    return NULL;
}

const bb_tensor *bb_checkpoint_tensors(const bb_checkpoint *c, size_t *n)
{
    *n = c->n;
    return c->tensor;
}

uint64_t bb_checkpoint_bytes(const bb_checkpoint *c)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < c->n; i++) bytes += c->tensor[i].bytes;
    return bytes;
}

uint64_t bb_checkpoint_read_bytes(const bb_checkpoint *c)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < c->n_files; i++) bytes += c->file[i]->read_bytes;
    return bytes;
}
