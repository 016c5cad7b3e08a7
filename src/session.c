/* session.c - what one sequence remembers: one block of memory, a slot for each stateful mixer. */
#include "objects.h"

#include "base/options.h"
#include "base/system.h"
#include "graph/random.h"

#include <string.h>

enum { DEFAULT_CONTEXT = 4096 };

static size_t slot_bytes(const bamba_session *s, size_t slot, size_t positions)
{
    const bb_mixer *m = s->model->graph->stateful[slot];
    return m->kind->state_bytes(m, positions);
}

/* Run on a measuring arena first, then on the real one. Constant states lie before what grows
   with positions, whose pages are touched as they are reached. */
static void carve(bamba_session *s, bb_arena *a)
{
    const size_t n_slots = s->model->graph->n_slots;

    void **state = bb_take(a, n_slots, sizeof *state);
    if (a->base) s->state = state;
    for (int growing = 0; growing < 2; growing++)
        for (size_t i = 0; i < n_slots; i++) {
            const size_t fixed = slot_bytes(s, i, 0);
            if ((fixed == 0) != growing) continue;
            void *slot = bb_take(a, slot_bytes(s, i, s->n_context), 1);
            if (a->base) s->state[i] = slot;
        }
    s->shadow = bb_take(a, bb_graph_state_bytes(s->model->graph, 0), 1);
}

static bb_status allocate_block(bamba_session *s, bamba_error *err)
{
    bb_arena a = BB_MEASURE;

    a.plain = true;
    carve(s, &a);
    if (a.overflow)
        return bb_fail(err, BAMBA_ERR_MEMORY, "session: a context of %zu tokens is too large",
                       s->n_context);
    const size_t bytes = a.used;
    s->block = bb_allocate(&s->alloc, bytes, 1);
    if (!s->block)
        return bb_fail(err, BAMBA_ERR_MEMORY, "session: no address space for %zu MiB", bytes >> 20);
    bb_advise_huge(&s->alloc, s->block, bytes);           /* at depth, 4 KiB pages halve decoding */
    a = (bb_arena){ .base = s->block, .size = bytes, .plain = true };
    carve(s, &a);
    return BAMBA_OK;
}

bamba_status bamba_session_create(bamba_session **out, const bamba_model *model,
                                  const bamba_session_options *options, bamba_error *err)
{
    bamba_session_options o = BAMBA_SESSION_OPTIONS;
    bb_status             status = BAMBA_OK;
    bamba_session        *s = NULL;
    bb_allocator          a;

    if (!out) return bb_fail(err, BAMBA_ERR_ARGUMENT, "session: out is NULL");
    *out = NULL;
    if (!model) return bb_fail(err, BAMBA_ERR_ARGUMENT, "session: model is NULL");
    if (!model->block)
        return bb_fail(err, BAMBA_ERR_ARGUMENT, "session: the model was opened without weights");
    BB_TRY(bb_read_options(&o, sizeof o, sizeof o, options, "session options", err));
    if (o.n_context > (size_t)1 << 30) {
        status = bb_fail(err, BAMBA_ERR_ARGUMENT, "session: expected n_context <= %zu, found %zu",
                         (size_t)1 << 30, o.n_context);
        goto done;
    }
    a = model->alloc;
    if (o.allocator.allocate || o.allocator.release)
        BB_TRY(bb_allocator_resolve(&a, &o.allocator, err));
    BB_TRY(bb_system_check_memory("session", bb_graph_state_bytes(model->graph, 1), err));

    s = bb_new(&a, 1, sizeof *s);
    if (!s) {
        status = bb_fail(err, BAMBA_ERR_MEMORY, "session: out of memory");
        goto done;
    }
    s->alloc = a;
    s->model = model;
    s->n_context = o.n_context ? o.n_context
                 : model->n_context ? (size_t)model->n_context : DEFAULT_CONTEXT;
    BB_TRY(allocate_block(s, err));
    bamba_session_reset(s);
    *out = s;
    s = NULL;
done:
    bamba_session_free(s);
    return status;
}

void bamba_session_free(bamba_session *s)
{
    if (!s) return;
    const bb_allocator a = s->alloc;
    bb_release(&a, s->block);
    bb_release(&a, s);
}

void bamba_session_reset(bamba_session *s)
{
    if (!s) return;
    for (size_t i = 0; i < s->model->graph->n_slots; i++)
        memset(s->state[i], 0, slot_bytes(s, i, 0));
    s->position = 0;
    s->length = (int)s->n_context;
}

size_t bamba_session_position(const bamba_session *s) { return s ? s->position : 0; }

size_t bamba_session_room(const bamba_session *s) { return s ? s->n_context - s->position : 0; }

bamba_status bamba_session_copy(bamba_session *to, const bamba_session *from, bamba_error *err)
{
    if (!to || !from) return bb_fail(err, BAMBA_ERR_ARGUMENT, "session copy: a session is NULL");
    if (to->model != from->model)
        return bb_fail(err, BAMBA_ERR_ARGUMENT, "session copy: the sessions' models differ");
    if (from->position > to->n_context)
        return bb_fail(err, BAMBA_ERR_FULL, "session copy: expected a context of at least %zu, "
                       "found %zu", from->position, to->n_context);
    if (to == from) return BAMBA_OK;
    for (size_t i = 0; i < to->model->graph->n_slots; i++)
        memcpy(to->state[i], from->state[i], slot_bytes(from, i, from->position));
    to->position = from->position;
    to->length = from->length;
    return BAMBA_OK;
}

enum { PATTERN = 4096 };                  /* elements; what is filled repeats them */

static void repeat(unsigned char *to, size_t n, const void *pattern, size_t pattern_bytes)
{
    for (size_t i = 0; i < n; i += pattern_bytes)
        memcpy(to + i, pattern, n - i < pattern_bytes ? n - i : pattern_bytes);
}

bamba_status bamba_session_fill(bamba_session *s, size_t n_positions, uint64_t seed,
                                bamba_error *err)
{
    float    wide[PATTERN];
    uint16_t half[PATTERN];

    if (!s) return bb_fail(err, BAMBA_ERR_ARGUMENT, "session fill: the session is NULL");
    if (n_positions > s->n_context)
        return bb_fail(err, BAMBA_ERR_FULL, "session fill: expected at most %zu positions, found "
                       "%zu", s->n_context, n_positions);

    const bb_graph   *g = s->model->graph;
    const bb_kernels *k = &s->model->kernels;
    const bool        is_wide = s->model->kv_type == BB_TYPE_F32;
    const uint64_t    needed = bb_graph_state_bytes(g, n_positions);
    const uint64_t    held = bb_graph_state_bytes(g, s->position);
    const bb_status   status = needed <= held ? BAMBA_OK
                             : bb_system_check_memory("session fill", needed - held, err);

    if (status != BAMBA_OK) return status;
    bamba_session_reset(s);
    bb_random_fill(k, BB_TYPE_F32, 0.5f, seed, 0, PATTERN, wide);
    if (!is_wide) bb_random_fill(k, s->model->kv_type, 0.5f, seed, 0, PATTERN, half);
    for (size_t i = 0; n_positions > 0 && i < g->n_slots; i++) {
        const size_t fixed = slot_bytes(s, i, 0);
        repeat(s->state[i], fixed, wide, sizeof wide);
        repeat((unsigned char *)s->state[i] + fixed, slot_bytes(s, i, n_positions) - fixed,
               is_wide ? (const void *)wide : half, is_wide ? sizeof wide : sizeof half);
    }
    s->position = n_positions;
    return BAMBA_OK;
}

void bb_session_save(bamba_session *s)
{
    unsigned char *to = s->shadow;

    for (size_t i = 0; i < s->model->graph->n_slots; i++) {
        const size_t n = slot_bytes(s, i, 0);
        memcpy(to, s->state[i], n);
        to += n;
    }
}

void bb_session_restore(bamba_session *s)
{
    const unsigned char *from = s->shadow;

    for (size_t i = 0; i < s->model->graph->n_slots; i++) {
        const size_t n = slot_bytes(s, i, 0);
        memcpy(s->state[i], from, n);
        from += n;
    }
}
