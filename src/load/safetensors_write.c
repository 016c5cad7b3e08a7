/* safetensors_write.c - a safetensors file whose tensors are declared first, then written.
 *
 * The length of the header, the first eight bytes, is written last.
 * Source:  huggingface/safetensors README.md and safetensors/src/tensor.rs. */
#include "load/safetensors_write.h"

#include "base/json_text.h"
#include "base/outfile.h"
#include "base/sort.h"

#include <string.h>

enum { LENGTH_BYTES = 8, ALIGN = 64, SMALL = 1 << 16 };

typedef struct place {
    const bb_tensor *tensor;
    size_t           index;               /* in the caller's list */
    uint64_t         begin, end;          /* offsets in the data */
} place;

struct bb_safetensors_writer {
    bb_allocator a;
    bb_outfile  *file;
    uint64_t     header_bytes;
    uint64_t    *begin;                   /* [n] in the file, by the caller's numbers */
};

static uint64_t count_bytes(const bb_tensor *t)
{
    uint64_t n = bb_type_bits(t->dtype);

    for (int i = 0; i < t->n_dims; i++) n *= t->dim[i];
    return n / 8;
}

/* The largest power of two that divides n, at most ALIGN. */
static uint64_t find_alignment(uint64_t n)
{
    const uint64_t low = n & (~n + 1);
    return n == 0 || low > ALIGN ? ALIGN : low;
}

/* By alignment; then small tensors together, since all of them are read when a model opens, and a
   disk brings neighbours at once; then by name. */
static int compare_places(const void *a, const void *b)
{
    const place   *x = a, *y = b;
    const uint64_t ax = find_alignment(x->end), ay = find_alignment(y->end);

    if (ax != ay) return ax > ay ? -1 : 1;
    if ((x->end <= SMALL) != (y->end <= SMALL)) return x->end <= SMALL ? -1 : 1;
    return strcmp(x->tensor->name, y->tensor->name);
}

/* Order the tensors and place them; returns the bytes of all. */
static uint64_t place_tensors(place *p, const bb_tensor *tensor, size_t n)
{
    uint64_t at = 0;

    for (size_t i = 0; i < n; i++)
        p[i] = (place){ &tensor[i], i, 0, count_bytes(&tensor[i]) };
    bb_sort(p, n, sizeof *p, compare_places);
    for (size_t i = 0; i < n; i++) {
        p[i].begin = at;
        p[i].end = at += p[i].end;
    }
    return at;
}

static void print_header(bb_printer *p, const place *list, size_t n)
{
    bb_print(p, "{\"__metadata__\":{\"format\":\"pt\"}");
    for (size_t i = 0; i < n; i++) {
        const bb_tensor *t = list[i].tensor;
        bb_print(p, ",");
        bb_print_quoted(p, t->name);
        bb_print(p, ":{\"dtype\":\"%s\",\"shape\":[", bb_type_name(t->dtype));
        for (int d = 0; d < t->n_dims; d++) bb_print(p, "%s%zu", d ? "," : "", t->dim[d]);
        bb_print(p, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)list[i].begin,
                 (unsigned long long)list[i].end);
    }
    bb_print(p, "}");
    while ((p->used + LENGTH_BYTES) % ALIGN) bb_print(p, " ");
}

/* The header as text, to be released; NULL without memory. */
static char *make_header(const bb_allocator *a, const place *list, size_t n, size_t *n_bytes)
{
    bb_printer p = { 0 };

    print_header(&p, list, n);
    *n_bytes = p.used;
    p = (bb_printer){ .buffer = bb_allocate(a, p.used + 1, 1), .size = p.used + 1 };
    if (p.buffer) print_header(&p, list, n);
    return p.buffer;
}

bb_status bb_safetensors_create(bb_safetensors_writer **out, const bb_allocator *a,
                                const char *path, const bb_tensor *tensor, size_t n,
                                bamba_error *err)
{
    bb_status              status = BAMBA_OK;
    bb_safetensors_writer *w = bb_new(a, 1, sizeof *w);
    place                 *list = bb_new(a, n + 1, sizeof *list);
    char                  *header = NULL;
    size_t                 n_header = 0;

    *out = NULL;
    if (w) w->a = *a, w->begin = bb_new(a, n + 1, sizeof *w->begin);
    if (!w || !w->begin || !list) {
        status = bb_fail(err, BAMBA_ERR_MEMORY, "%s: out of memory", path);
        goto done;
    }
    const uint64_t bytes = place_tensors(list, tensor, n);
    header = make_header(a, list, n, &n_header);
    if (!header) {
        status = bb_fail(err, BAMBA_ERR_MEMORY, "%s: out of memory", path);
        goto done;
    }
    w->header_bytes = n_header;
    for (size_t i = 0; i < n; i++)
        w->begin[list[i].index] = LENGTH_BYTES + w->header_bytes + list[i].begin;
    BB_TRY(bb_outfile_create(&w->file, a, path, LENGTH_BYTES + w->header_bytes + bytes, err));
    BB_TRY(bb_outfile_write(w->file, LENGTH_BYTES, header, n_header, err));
    *out = w;
    w = NULL;
done:
    bb_release(a, header);
    bb_release(a, list);
    bb_safetensors_free(w);
    return status;
}

bb_status bb_safetensors_put(const bb_safetensors_writer *w, size_t i, uint64_t at,
                             const void *bytes, size_t n_bytes, bamba_error *err)
{
    return bb_outfile_write(w->file, w->begin[i] + at, bytes, n_bytes, err);
}

bb_status bb_safetensors_finish(bb_safetensors_writer *w, bamba_error *err)
{
    unsigned char length[LENGTH_BYTES];
    bb_status     status = BAMBA_OK;

    for (int i = 0; i < LENGTH_BYTES; i++) length[i] = (unsigned char)(w->header_bytes >> 8 * i);
    BB_TRY(bb_outfile_write(w->file, 0, length, sizeof length, err));
    BB_TRY(bb_outfile_finish(w->file, err));
done:
    return status;
}

void bb_safetensors_free(bb_safetensors_writer *w)
{
    if (!w) return;
    const bb_allocator a = w->a;

    bb_outfile_close(w->file);
    bb_release(&a, w->begin);
    bb_release(&a, w);
}
