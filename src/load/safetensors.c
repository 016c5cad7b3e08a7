/* safetensors.c - one safetensors file as a list of tensors.
 *
 * Layout:  u64 N (little-endian) | N bytes of JSON | tensor bytes up to the end of the file.
 * The JSON maps a name to { "dtype", "shape", "data_offsets": [begin, end] }, offsets counted
 * from the end of the JSON. Sorted by offset the tensors tile the rest of the file exactly.
 * Source:  huggingface/safetensors README.md and safetensors/src/tensor.rs. */
#include "load/safetensors.h"

#include "base/file.h"
#include "base/json.h"
#include "base/sort.h"

#include <string.h>

enum {
    LENGTH_BYTES     = 8,
    MAX_HEADER_BYTES = 100000000          /* the limit of the reference reader */
};

static const char METADATA[] = "__metadata__";

typedef struct safetensors {
    bb_container         base;            /* set when all is read */
    bb_allocator         a;
    bb_map               map;
    char                *file;            /* last component of the path */
    char                *names;           /* all names, each with its NUL */
    bb_tensor           *tensor;          /* [n] */
    size_t               n;
    const char          *header;          /* [header_bytes], in the map */
    size_t               header_bytes;
    const unsigned char *data;            /* [data_bytes], in the map */
    size_t               data_bytes;
    size_t               needed_bytes;    /* of data, by the offsets, where some lie beyond */
} safetensors;

static bb_status find_header(safetensors *f, bamba_error *err)
{
    const bb_map *map = &f->map;
    uint64_t      n = 0;

    if (map->size < LENGTH_BYTES)
        return bb_fail(err, BAMBA_ERR_FORMAT,
                       "%s: expected at least %d bytes, found %zu: not a safetensors file",
                       f->file, LENGTH_BYTES, map->size);
    for (int i = LENGTH_BYTES; i-- > 0;) n = n << 8 | map->data[i];
    if (n > MAX_HEADER_BYTES)
        return bb_fail(err, BAMBA_ERR_FORMAT,
                       "%s: expected a header of at most %d bytes, found %llu: not a "
                       "safetensors file", f->file, MAX_HEADER_BYTES, (unsigned long long)n);
    if (n > map->size - LENGTH_BYTES)
        return bb_fail(err, BAMBA_ERR_FORMAT,
                       "%s: the download is incomplete: %zu of at least %llu bytes", f->file,
                       map->size, (unsigned long long)n + LENGTH_BYTES);

    f->header = (const char *)map->data + LENGTH_BYTES;
    f->header_bytes = (size_t)n;
    f->data = map->data + LENGTH_BYTES + f->header_bytes;
    f->data_bytes = map->size - LENGTH_BYTES - f->header_bytes;
    return BAMBA_OK;
}

/* Check that metadata are a flat object of texts, or null. */
static void check_metadata(const bb_json *metadata)
{
    bb_json_walk walk = { 0 };
    bb_json      member;
    size_t       n;

    if (!metadata->node) return;
    if (!bb_json_is_object(metadata))
        bb_json_fail(metadata, BAMBA_ERR_FORMAT, "expected an object of texts, or null");
    while (bb_json_next(metadata, &walk, &member)) bb_json_value_text(&member, &n);
}

/* Read an element of an array as an integer >= 0. */
static size_t read_count(const bb_json *array, size_t index)
{
    const bb_json element = bb_json_at(array, index);
    const int64_t value = bb_json_value_int(&element);

    if (value < 0) {
        bb_json_fail(&element, BAMBA_ERR_FORMAT, "expected an integer >= 0, found %lld",
                     (long long)value);
        return 0;
    }
    return (size_t)value;
}

static void read_dtype(const bb_json *entry, bb_tensor *t)
{
    const bb_json dtype = bb_json_get(entry, "dtype");
    size_t        n;
    const char   *name = bb_json_value_text(&dtype, &n);

    t->dtype = bb_type_find(name, n);
    if (t->dtype == BB_TYPE_NONE)
        bb_json_fail(&dtype, BAMBA_ERR_FORMAT, "expected a dtype of the format, found '%.*s'",
                     bb_name_width(name), name);
}

static void read_shape(const bb_json *entry, bb_tensor *t)
{
    const bb_json shape = bb_json_get(entry, "shape");
    const size_t  n = bb_json_length(&shape);

    if (!bb_json_is_array(&shape)) {
        bb_json_fail(&shape, BAMBA_ERR_FORMAT, "expected an array of integers");
        return;
    }
    if (n > BB_MAX_DIMS) {
        bb_json_fail(&shape, BAMBA_ERR_UNSUPPORTED, "expected at most %d dimensions, found %zu",
                     BB_MAX_DIMS, n);
        return;
    }
    t->n_dims = (int)n;
    t->n_elements = 1;
    for (size_t i = 0; i < n; i++) {
        t->dim[i] = read_count(&shape, i);
        if (t->dim[i] && t->n_elements > SIZE_MAX / t->dim[i]) {
            bb_json_fail(&shape, BAMBA_ERR_FORMAT, "the number of elements overflows");
            return;
        }
        t->n_elements *= t->dim[i];
    }
}

/* Place the tensor in the file and compare its bytes with what dtype and shape need. */
static void read_extent(safetensors *f, const bb_json *entry, bb_tensor *t)
{
    const bb_json  offsets = bb_json_get(entry, "data_offsets");
    const unsigned bits = bb_type_bits(t->dtype);

    if (!bb_json_is_array(&offsets) || bb_json_length(&offsets) != 2) {
        bb_json_fail(&offsets, BAMBA_ERR_FORMAT, "expected an array of two integers");
        return;
    }
    const size_t begin = read_count(&offsets, 0);
    const size_t end = read_count(&offsets, 1);

    if (begin > end) {
        bb_json_fail(&offsets, BAMBA_ERR_FORMAT, "expected begin <= end, found [%zu, %zu]",
                     begin, end);
        return;
    }
    const bb_shape_text shape = bb_shape_show(t->dtype, t->n_dims, t->dim);
    if (bits && t->n_elements > SIZE_MAX / bits) {
        bb_json_fail(entry, BAMBA_ERR_FORMAT, "the size of %s overflows", shape.s);
        return;
    }
    if (t->n_elements * bits % 8) {
        bb_json_fail(entry, BAMBA_ERR_FORMAT, "expected whole bytes, found %s", shape.s);
        return;
    }
    t->bytes = t->n_elements * bits / 8;
    if (t->bytes != end - begin)
        bb_json_fail(entry, BAMBA_ERR_FORMAT, "expected %zu bytes for %s, found %zu", t->bytes,
                     shape.s, end - begin);
    else if (end <= f->data_bytes) t->data = f->data + begin;
    else if (end > f->needed_bytes) f->needed_bytes = end;    /* told when all are read */
}

/* Read all entries; names stay the document's text for now. */
static bb_status read_entries(safetensors *f, bb_json_doc *doc, bamba_error *err)
{
    const bb_json root = bb_json_root(doc);
    const size_t  members = bb_json_members(&root);
    bb_json_walk  walk = { 0 };
    bb_json       entry;

    if (!bb_json_is_object(&root)) {
        bb_json_fail(&root, BAMBA_ERR_FORMAT, "expected an object as header");
        return bb_json_status(doc, err);
    }
    if (members == 0) return BAMBA_OK;
    f->tensor = bb_new(&f->a, members, sizeof *f->tensor);
    if (!f->tensor) return bb_fail(err, BAMBA_ERR_MEMORY, "%s: out of memory", f->file);

    while (bb_json_next(&root, &walk, &entry)) {
        if (strcmp(entry.key, METADATA) == 0) {
            check_metadata(&entry);
            continue;
        }
        bb_tensor *t = &f->tensor[f->n++];
        t->name = entry.key;
        t->file = f->file;
        if (!bb_json_is_object(&entry)) {
            bb_json_fail(&entry, BAMBA_ERR_FORMAT, "expected an object");
            break;
        }
        read_dtype(&entry, t);
        read_shape(&entry, t);
        read_extent(f, &entry, t);
    }
    const bb_status status = bb_json_status(doc, err);
    if (status == BAMBA_OK && f->needed_bytes > f->data_bytes)
        return bb_fail(err, BAMBA_ERR_FORMAT, "%s: the download is incomplete: %zu of %llu bytes",
                       f->file, f->map.size, LENGTH_BYTES + (unsigned long long)f->header_bytes
                       + f->needed_bytes);
    return status;
}

/* Give the tensors names that outlive the document. */
static bb_status copy_names(safetensors *f, bamba_error *err)
{
    size_t bytes = 0;

    if (f->n == 0) return BAMBA_OK;
    for (size_t i = 0; i < f->n; i++) bytes += strlen(f->tensor[i].name) + 1;
    f->names = bb_allocate(&f->a, bytes, 1);
    if (!f->names) return bb_fail(err, BAMBA_ERR_MEMORY, "%s: out of memory", f->file);

    char *to = f->names;
    for (size_t i = 0; i < f->n; i++) {
        const size_t n = strlen(f->tensor[i].name) + 1;
        memcpy(to, f->tensor[i].name, n);
        f->tensor[i].name = to;
        to += n;
    }
    return BAMBA_OK;
}

/* Order by (begin, end), so that empty tensors stand before what begins at the same offset, then
   by name, so that a message names the same tensor whatever the order of the file. */
static int compare_extents(const void *a, const void *b)
{
    const bb_tensor *x = a;
    const bb_tensor *y = b;

    if (x->data != y->data) return x->data < y->data ? -1 : 1;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? -1 : 1;
    return strcmp(x->name, y->name);
}

/* Check that every byte of the data belongs to exactly one tensor. */
static bb_status check_extents(safetensors *f, bamba_error *err)
{
    size_t at = 0;

    bb_sort(f->tensor, f->n, sizeof *f->tensor, compare_extents);
    for (size_t i = 0; i < f->n; i++) {
        const bb_tensor *t = &f->tensor[i];
        const size_t     begin = (size_t)(t->data - f->data);

        if (begin != at)
            return bb_fail(err, BAMBA_ERR_FORMAT,
                           "%s: '%.*s': expected to begin at offset %zu, found %zu: %s",
                           f->file, bb_name_width(t->name), t->name, at, begin,
                           begin > at ? "a hole before it" : "tensors overlap");
        at += t->bytes;
    }
    if (at != f->data_bytes)
        return bb_fail(err, BAMBA_ERR_FORMAT,
                       "%s: expected %zu bytes of tensors, found %zu: bytes after the last "
                       "tensor", f->file, at, f->data_bytes);
    return BAMBA_OK;
}

static bb_status read_header(safetensors *f, bamba_error *err)
{
    bb_status    status = BAMBA_OK;
    bb_json_doc *doc = NULL;

    BB_TRY(bb_json_parse(&doc, &f->a, f->file, f->header, f->header_bytes, 0, err));
    BB_TRY(read_entries(f, doc, err));
    BB_TRY(copy_names(f, err));
done:
    bb_json_close(doc);
    return status;
}

static void release(safetensors *f)
{
    if (!f) return;
    const bb_allocator a = f->a;

    bb_map_close(&f->map);
    bb_release(&a, f->tensor);
    bb_release(&a, f->names);
    bb_release(&a, f->file);
    bb_release(&a, f);
}

static void close_container(bb_container *c) { release((safetensors *)c); }

bb_status bb_safetensors_open(bb_container **out, const bb_allocator *a, const char *path,
                              bamba_error *err)
{
    bb_status    status = BAMBA_OK;
    const char  *name = bb_path_name(path);
    safetensors *f = bb_new(a, 1, sizeof *f);

    *out = NULL;
    if (!f) return bb_fail(err, BAMBA_ERR_MEMORY, "%s: out of memory", name);
    f->a = *a;
    f->file = bb_copy_text(a, name, strlen(name));
    if (!f->file) {
        status = bb_fail(err, BAMBA_ERR_MEMORY, "%s: out of memory", name);
        goto done;
    }
    BB_TRY(bb_map_open(&f->map, path, err));
    BB_TRY(find_header(f, err));
    BB_TRY(read_header(f, err));
    BB_TRY(check_extents(f, err));
    bb_tensors_sort(f->tensor, f->n);

    f->base = (bb_container){ f->file, f->tensor, f->n, f->map.is_read ? f->map.size : 0,
                              close_container };
    *out = &f->base;
    f = NULL;
done:
    release(f);
    return status;
}
