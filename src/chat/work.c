/* work.c - what one parse of a template, or one rendering, has to spend; its first error. */
#include "chat/work.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

enum { CHUNK_BYTES = 16 << 10, ALIGN = 16 };

/* Chunks double up to a size, so that small templates stay small. */
typedef struct bb_chunk {
    struct bb_chunk *before;
    size_t           used, size;          /* of the bytes behind this header */
} bb_chunk;

static_assert(sizeof(bb_chunk) <= 32, "header of a chunk");
enum { HEADER = 32, CHUNK_MOST = 4 << 20 };

static bb_chunk *add_chunk(bb_work *w, size_t bytes)
{
    size_t size = w->chunk ? 2 * w->chunk->size : CHUNK_BYTES;

    if (size > CHUNK_MOST) size = CHUNK_MOST;
    if (size < bytes) size = bytes;
    bb_chunk *c = bb_allocate(w->a, size + HEADER, 1);
    if (!c) {
        bb_work_fail(w, BAMBA_ERR_MEMORY, "out of memory");
        return NULL;
    }
    *c = (bb_chunk){ .before = w->chunk, .size = size };
    w->chunk = c;
    return c;
}

void *bb_work_take(bb_work *w, size_t n, size_t elem_bytes)
{
    if (w->status != BAMBA_OK) return NULL;
    if (n > w->n_most / elem_bytes || n * elem_bytes > w->n_most - w->n_taken) {
        bb_work_fail(w, BAMBA_ERR_UNSUPPORTED, "takes more than %zu bytes of memory", w->n_most);
        return NULL;
    }
    const size_t bytes = (n * elem_bytes + ALIGN - 1) / ALIGN * ALIGN;
    bb_chunk    *c = w->chunk;
    if (!c || c->size - c->used < bytes) c = add_chunk(w, bytes);
    if (!c) return NULL;
    void *block = (unsigned char *)c + HEADER + c->used;
    c->used += bytes;
    w->n_taken += bytes < w->n_most - w->n_taken ? bytes : w->n_most - w->n_taken;
    return block;
}

void bb_work_free(bb_work *w)
{
    while (w->chunk) {
        bb_chunk *c = w->chunk;
        w->chunk = c->before;
        bb_release(w->a, c);
    }
}

bool bb_work_fail(bb_work *w, bb_status code, const char *format, ...)
{
    char    message[252];
    va_list args;

    if (w->status != BAMBA_OK) return false;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    w->status = w->line == 0 ? bb_fail(w->err, code, "%.80s: %s", w->name, message)
              : bb_fail(w->err, code, "%.80s:%u:%u: %s", w->name, w->line, w->column, message);
    return false;
}

bool bb_step(bb_work *w, size_t n)
{
    if (w->status != BAMBA_OK) return false;
    w->n_steps += n;
    return w->n_steps <= w->n_most_steps ||
           bb_work_fail(w, BAMBA_ERR_UNSUPPORTED, "takes more than %llu steps",
                        (unsigned long long)w->n_most_steps);
}

bool bb_enter(bb_work *w)
{
    if (!bb_step(w, 1)) return false;
    if (w->depth >= BB_DEPTH_MOST)
        return bb_work_fail(w, BAMBA_ERR_UNSUPPORTED, "nested too deeply");
    w->depth++;
    return true;
}

void bb_leave(bb_work *w)
{
    w->depth--;
}
