/* product_room.c - the memory that products work in: what all threads share, and each one's own. */
#include "mixer/product_internal.h"

/* Most bytes that any format's prepared rows take. */
static size_t prepared_bytes(const bb_kernels *k, int T, int widest, bool many)
{
    size_t most = 0;

    for (int i = 0; i < BB_N_FORMATS; i++) {
        const bb_format *f = &k->format[i];
        most = bb_larger(most, (many ? f->many_bytes : f->few_bytes)(T, widest));
    }
    return most;
}

static size_t scratch_bytes(const bb_kernels *k, int T, int widest)
{
    size_t most = (size_t)BB_FEW_DECODED * (size_t)widest * sizeof(float);

    for (int i = 0; i < BB_N_FORMATS; i++) {
        const bb_format *f = &k->format[i];
        if (f->many) most = bb_larger(most, BB_MANY_SCRATCH(T, BB_MANY_TILE));
        else if (f->few)
            most = bb_larger(most, (size_t)BB_MANY_TILE * (size_t)widest * sizeof(float));
    }
    return most;
}

static bb_product_own take_own(const bb_kernels *k, int T, int widest, bb_arena *a)
{
    const size_t   few = prepared_bytes(k, BB_FEW_ROWS, widest, false);
    bb_product_own o;

    o.rows = bb_take(a, (size_t)BB_FEW_ROWS * (size_t)widest, sizeof(float));
    for (int i = 0; i < BB_COPIES; i++) o.prepared[i] = bb_take(a, few, 1);
    o.few = bb_take(a, (size_t)BB_PLACES * 2 * BB_FEW_ROWS * BB_FEW_TILE, sizeof(float));
    o.many = bb_take(a, 2 * (size_t)T * BB_MANY_TILE, sizeof(float));
    o.scratch = bb_take(a, scratch_bytes(k, T, widest), 1);
    return o;
}

bb_product_room *bb_product_room_take(bb_arena *a, const bb_kernels *k, int T, int widest,
                                      int n_threads)
{
    bb_product_room *room = bb_take(a, 1, sizeof *room);
    bb_product_room  r = { .T = T, .widest = widest };

    for (int i = 0; i < BB_COPIES; i++)
        r.prepared[i] = bb_take(a, prepared_bytes(k, T, widest, true), 1);
    for (int i = 0; i < n_threads; i++) {
        const size_t         before = a->used;
        const bb_product_own o = take_own(k, T, widest, a);
        if (i == 0) r.first = o;
        r.own_bytes = a->used - before;
    }
    if (room) *room = r;
    return room;
}

static void *further(void *p, size_t bytes) { return (unsigned char *)p + bytes; }

bb_product_own bb_product_own_of(const bb_product_room *room, int thread)
{
    const size_t   bytes = (size_t)thread * room->own_bytes;
    bb_product_own o = room->first;

    o.rows = further(o.rows, bytes);
    for (int i = 0; i < BB_COPIES; i++) o.prepared[i] = further(o.prepared[i], bytes);
    o.few = further(o.few, bytes);
    o.many = further(o.many, bytes);
    o.scratch = further(o.scratch, bytes);
    return o;
}
