/* past.c - what a session keeps of its past in order to go back to it. */
#include "past.h"

#include <string.h>

/* Rows of the log beyond n_rewind: the rest of a segment whose chunks cannot be parted elsewhere,
   and of a pass of few rows. */
enum { SLACK = BB_EDGE + BB_FEW_ROWS };

void bb_past_plan(bb_past *p, const bb_graph *g, size_t n_context, size_t n_rewind,
                  size_t snapshot_every, uint64_t snapshot_bytes)
{
    p->state_bytes = 0;
    for (size_t i = 0; i < g->n_slots; i++)
        p->state_bytes += bb_whole_lines(bb_graph_state_bytes(g, i));
    p->grows = n_context == SIZE_MAX;
    p->capacity = p->grows ? 0 : n_context;
    p->n_rewind = n_rewind;
    p->cap = n_rewind == 0 ? 0 : n_rewind > SLACK ? 2 * n_rewind : n_rewind + SLACK;
    p->interval = p->every = snapshot_every;
    p->n_snapshots = snapshot_every == 0 || p->state_bytes == 0 ? 0
                   : (size_t)(snapshot_bytes / p->state_bytes);
    if (p->n_snapshots > 0 && p->n_snapshots > n_context / snapshot_every)
        p->n_snapshots = n_context / snapshot_every;
}

static void carve_state(const bb_past *p, bb_state *s, bb_arena *a)
{
    unsigned char *memory = bb_take(a, p->state_bytes, 1);
    if (s) *s = (bb_state){ .memory = memory };
}

void bb_past_carve(bb_past *p, const bb_graph *g, bb_arena *a)
{
    const bool measuring = !a->base;
    size_t     at = 0;

    if (p->capacity > 0) {
        p->token = bb_take(a, p->capacity, sizeof *p->token);
        p->fed = bb_take(a, p->capacity, sizeof *p->fed);
    }
    p->at = bb_take(a, g->n_slots, sizeof *p->at);
    for (size_t i = 0; i < g->n_slots && !measuring; i++) {
        p->at[i] = at;
        at += bb_whole_lines(bb_graph_state_bytes(g, i));
    }
    p->snapshot = bb_take(a, p->n_snapshots, sizeof *p->snapshot);
    for (size_t i = 0; i < p->n_snapshots; i++)
        carve_state(p, measuring ? NULL : &p->snapshot[i], a);
    if (p->n_rewind == 0) return;
    carve_state(p, measuring ? NULL : &p->near, a);
    carve_state(p, measuring ? NULL : &p->far, a);
    p->log = bb_take(a, g->n_slots, sizeof *p->log);
    for (size_t i = 0; i < g->n_slots; i++) {
        const bb_mixer *m = g->slot[i];
        const size_t    width = m && m->kind->replay ? m->kind->log_floats(m) : 0;
        float          *log = width > 0 ? bb_take(a, p->cap * width, sizeof *log) : NULL;
        if (!measuring) p->log[i] = log;
    }
}

bool bb_past_reserve(bb_past *p, const bb_allocator *a, size_t end)
{
    const size_t n = end - p->known;
    size_t       capacity = p->capacity;

    if (n <= capacity) return true;
    if (!bb_reserve(a, &p->fed, &capacity, n, sizeof *p->fed)) return false;
    capacity = p->capacity;
    if (!bb_reserve(a, &p->token, &capacity, n, sizeof *p->token)) return false;
    p->capacity = capacity;
    return true;
}

void bb_past_forget(bb_past *p, size_t pos, bool all)
{
    p->begin = pos;
    p->near.is_valid = p->far.is_valid = p->has_before = false;
    if (!all) return;
    for (size_t i = 0; i < p->n_snapshots; i++) p->snapshot[i].is_valid = false;
    p->n_taken = 0;
    p->every = p->interval;
}

size_t bb_past_cut(const bb_past *p, size_t least, size_t pos)
{
    for (; pos > least; pos--) {
        const unsigned fed = bb_past_fed(p, pos);
        if (!(fed & BB_FED_LONG) || (fed & BB_FED_START) || pos % BB_EDGE == 0) return pos;
    }
    return least;
}

size_t bb_past_stretch(const bb_past *p, size_t pos, size_t end)
{
    const unsigned kind = bb_past_fed(p, pos) & (BB_FED_LONG | BB_FED_MANY);
    size_t         at = pos + 1;

    for (; at < end; at++) {
        if ((bb_past_fed(p, at) & (BB_FED_LONG | BB_FED_MANY)) != kind) break;
        if ((kind & BB_FED_LONG) && (bb_past_fed(p, at) & BB_FED_START)) break;
    }
    return at;
}

float *bb_past_row(const bb_past *p, const bb_graph *g, size_t slot, size_t pos)
{
    const bb_mixer *m = g->slot[slot];
    return p->log[slot] ? p->log[slot] + (pos - p->begin) * m->kind->log_floats(m) : NULL;
}

void bb_past_drop(bb_past *p, const bb_graph *g, size_t position, size_t pos)
{
    for (size_t i = 0; i < g->n_slots && pos > p->begin; i++) {
        const bb_mixer *m = g->slot[i];
        if (!p->log[i]) continue;
        memmove(p->log[i], bb_past_row(p, g, i, pos),
                (position - pos) * m->kind->log_floats(m) * sizeof(float));
    }
    p->begin = pos;
}
