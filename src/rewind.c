/* rewind.c - sessions that go back. */
#include "rewind.h"

#include "feed.h"
#include "window.h"

#include <string.h>

enum { NEAR = 8 };                        /* rows that the near state lies behind; twice at most */

/* -------------------------------------------------------------- states ------------------- */

/* The state of all slots: one of a bb_state, or one of the session's two. */
typedef struct place {
    const bb_state *kept;                 /* NULL: the session's … */
    int             which;                /* … of this number */
} place;

static void *state_of(const bamba_session *s, place at, size_t slot)
{
    return at.kept ? at.kept->memory + s->past.at[slot] : s->slot[slot].state[at.which];
}

static void copy_state(const bamba_session *s, place from, place to)
{
    for (size_t i = 0; i < s->model->graph->n_slots; i++) {
        const size_t bytes = bb_graph_state_bytes(s->model->graph, i);
        if (bytes) memcpy(state_of(s, to, i), state_of(s, from, i), bytes);
    }
}

static void clear_state(const bamba_session *s, place to)
{
    for (size_t i = 0; i < s->model->graph->n_slots; i++) {
        const size_t bytes = bb_graph_state_bytes(s->model->graph, i);
        if (bytes) memset(state_of(s, to, i), 0, bytes);
    }
}

/* -------------------------------------------------------------- replay ------------------- */

typedef struct replaying {
    const bamba_engine  *e;
    const bamba_session *s;
    place                from, to;
    size_t               begin, end;      /* positions */
    size_t               scratch_floats;  /* of a thread */
} replaying;

static void replay_slot(const bb_exec *exec, const void *context, int tile)
{
    const replaying     *r = context;
    const bb_past       *p = &r->s->past;
    const bb_graph      *g = r->s->model->graph;
    const size_t         slot = (size_t)tile;
    const bb_mixer      *m = g->slot[slot];
    const void          *from = state_of(r->s, r->from, slot);
    void *const          to = state_of(r->s, r->to, slot);
    float               *scratch = (float *)(void *)exec->pass->scratch.base;

    if (!m || !m->kind->replay) return;
    scratch += (size_t)exec->thread * r->scratch_floats;
    for (size_t pos = r->begin, end; pos < r->end; pos = end, from = to) {
        end = bb_past_stretch(p, pos, r->end);
        m->kind->replay(m, exec->pass->k, bb_past_row(p, g, slot, pos),
                        (int)(pos % BB_MOST_POSITIONS), (int)(end - pos),
                        bb_past_fed(p, pos) & BB_FED_LONG, from, to, scratch);
    }
}

static void run_thread(void *context, int thread)
{
    const replaying *r = context;
    const bb_exec    exec = { .pass = &r->e->pass, .thread = thread };

    bb_each_tile(&exec, (int)r->s->model->graph->n_slots, replay_slot, r);
}

/* The state at `end` from that at `begin`, which both lie in the log. */
static void replay(const bamba_engine *e, const bamba_session *s, place from, place to,
                   size_t begin, size_t end)
{
    replaying r = { e, s, from, to, begin, end, bb_graph_scratch_floats(s->model->graph) };

    if (begin == end) {
        copy_state(s, from, to);
        return;
    }
    /* The mixers of the last pass have left gaps of their own in the scratch. */
    bb_unguard(e->pass.scratch.base, r.scratch_floats * sizeof(float) * (size_t)e->pass.n_threads);
    bb_team_run(e->pass.team, run_thread, &r);
}

static void move_on(const bamba_engine *e, const bamba_session *s, bb_state *state, size_t pos)
{
    const place at = { .kept = state };

    if (pos <= state->pos) return;
    replay(e, s, at, at, state->pos, pos);
    state->pos = pos;
}

/* -------------------------------------------------------------- passes ------------------- */

/* Let the log begin where n more rows fit and at least n_rewind, theirs among them, stay. */
static void keep_room(const bamba_engine *e, bamba_session *s, size_t n)
{
    bb_past     *p = &s->past;
    const size_t pos = s->position, end = pos + n;
    const bool   fits = end - p->begin <= p->cap;
    const bool   has_start = p->far.is_valid || (p->has_before && p->before == p->begin);
    size_t       begin = end > p->n_rewind ? end - p->n_rewind : 0;

    if (fits && p->far.is_valid) return;
    if (!has_start || n > p->cap || (!fits && begin >= pos)) {
        bb_past_forget(p, pos, false);
        return;
    }
    if (!p->far.is_valid) {               /* the log begins with the last pass, which this buries */
        copy_state(s, (place){ .which = !s->current }, (place){ .kept = &p->far });
        p->far.is_valid = true;
        p->far.pos = p->begin;
    }
    if (fits) return;
    begin = bb_past_cut(p, p->begin, begin);
    move_on(e, s, &p->far, begin);
    if (p->near.pos < begin) p->near.is_valid = false;
    bb_past_drop(p, s->model->graph, pos, begin);
}

/* Keep a state a few rows back, if the other one is far. */
static void keep_near(const bamba_engine *e, bamba_session *s)
{
    bb_past     *p = &s->past;
    const size_t pos = s->position;

    if (!p->far.is_valid || pos - p->far.pos <= 2 * NEAR) return;
    if (!p->near.is_valid) {
        copy_state(s, (place){ .which = s->current }, (place){ .kept = &p->near });
        p->near.is_valid = true;
        p->near.pos = pos;
    } else if (pos - p->near.pos > 2 * NEAR) {
        move_on(e, s, &p->near, bb_past_cut(p, p->near.pos, pos - NEAR));
    }
}

void bb_rewind_prepare(bamba_engine *e, bamba_session *s, bb_segment *seg)
{
    bb_past        *p = &s->past;
    const bb_graph *g = s->model->graph;
    const size_t    n = (size_t)seg->n_rows;

    keep_room(e, s, n);
    keep_near(e, s);
    p->has_before = false;
    seg->to = !seg->from;
    for (size_t i = 0; i < g->n_slots; i++)
        s->slot[i].log = n > p->cap ? NULL : bb_past_row(p, g, i, s->position);
}

/* Take a snapshot if it is time. When all are taken every second one goes, and the others lie twice
   as far apart. The first one stays if it is of where the session began (bb_rewind_begin), before
   which nothing leads back. */
static void take_snapshot(bamba_session *s)
{
    bb_past     *p = &s->past;
    const size_t last = p->n_taken ? p->snapshot[p->n_taken - 1].pos : 0;

    if (p->n_snapshots == 0 || s->position < last + p->every) return;
    if (p->n_taken == p->n_snapshots) {
        const bool keeps_first = p->n_snapshots > 1 && p->snapshot[0].pos >= 2 * p->every;
        p->n_taken = 0;
        for (size_t i = keeps_first ? 0 : 1; i < p->n_snapshots; i += 2) {
            const bb_state kept = p->snapshot[i];
            p->snapshot[i] = p->snapshot[p->n_taken];
            p->snapshot[p->n_taken++] = kept;
        }
        p->every *= 2;
        if (p->n_taken == 0 || s->position < p->snapshot[p->n_taken - 1].pos + p->every) return;
    }
    bb_state *to = &p->snapshot[p->n_taken++];
    copy_state(s, (place){ .which = s->current }, (place){ .kept = to });
    to->is_valid = true;
    to->pos = s->position;
}

void bb_rewind_begin(bamba_session *s)
{
    bb_past_forget(&s->past, s->position, true);
    take_snapshot(s);
}

void bb_rewind_record(bamba_session *s, const bb_segment *seg, const int32_t *tokens, unsigned how)
{
    bb_past     *p = &s->past;
    const size_t n = (size_t)seg->n_rows, first = s->position - n;
    unsigned     fed = seg->n_rows > BB_FEW_ROWS ? BB_FED_LONG : 0;

    if (how & BB_FED_MANY) fed |= BB_FED_MANY;
    memmove(bb_past_tokens(p, first), tokens, n * sizeof *tokens);
    memset(p->fed + (first - p->known), (int)fed, n);
    if (how & BB_FED_START) p->fed[first - p->known] |= BB_FED_START;
    if (p->n_rewind > 0) {
        p->has_before = true;
        p->before = first;
        if (n > p->cap) p->begin = s->position;
    }
    if (how & BB_FED_END) take_snapshot(s);
}

int bb_rewind_cut(const bamba_session *s, int n, size_t left)
{
    const bb_past *p = &s->past;
    const size_t   pos = s->position;

    if (p->n_rewind == 0 || (size_t)n <= p->cap || left < p->n_rewind) return 0;
    const size_t most = left - p->n_rewind;           /* rows before the last n_rewind */
    if (most >= (size_t)n) return 0;
    const size_t edge = (pos + most) / BB_EDGE * BB_EDGE;
    const int    first = edge > pos ? (int)(edge - pos) : 0;
    return first > BB_FEW_ROWS && n - first > BB_FEW_ROWS ? first : 0;
}

/* -------------------------------------------------------------- the way back ------------- */

/* The first row of the segment that holds position pos. */
static size_t segment_of(const bb_past *p, size_t pos)
{
    while (pos > p->known && !(bb_past_fed(p, pos) & BB_FED_START)) pos--;
    return pos;
}

/* Where replaying on the way to `target` ends: there, unless it is within the first rows of a long
   segment. Those ran in chunks and among many; alone they are few, and must be fed again. So must
   any part of a long segment where OpenBLAS multiplies, whose sums depend on the number of rows. */
static size_t replay_end(const bamba_session *s, size_t target)
{
    const bb_past *p = &s->past;

    if (target < p->known || !(bb_past_fed(p, target) & BB_FED_LONG)) return target;
    const size_t first = segment_of(p, target);
    const bool   is_exact = s->model->kernels.format[BB_FORMAT_F32].many;
    return target - first <= BB_FEW_ROWS || !is_exact ? first : target;
}

/* By the log to `pos`. False: it does not reach so far back. */
static bool go_by_log(const bamba_engine *e, bamba_session *s, size_t pos)
{
    bb_past       *p = &s->past;
    const place    current = { .which = s->current }, other = { .which = !s->current };
    const bb_state *best = NULL;

    if (p->n_rewind == 0 || pos < p->begin) return false;
    if (p->far.is_valid && p->far.pos <= pos) best = &p->far;
    if (p->near.is_valid && p->near.pos <= pos) best = &p->near;
    const bool by_before = p->has_before && p->before >= p->begin && p->before <= pos
                        && (!best || best->pos <= p->before);
    if (by_before && p->before == pos) {
        s->current = !s->current;
        p->has_before = false;
    } else if (by_before) {
        replay(e, s, other, current, p->before, pos);
    } else if (best) {
        replay(e, s, (place){ .kept = best }, current, best->pos, pos);
    } else return false;
    return true;
}

/* By the last snapshot that is not behind `pos`, and whose rows to come have what they see, or the
   empty state, to where the rest must be fed again from: *at. False: there the tokens are not
   known. */
static bool go_by_snapshot(bamba_session *s, size_t pos, size_t *at)
{
    bb_past    *p = &s->past;
    const place current = { .which = s->current };
    size_t      i = p->n_taken;

    while (i > 0 && (p->snapshot[i - 1].pos > pos || !bb_window_reaches(s, p->snapshot[i - 1].pos)))
        i--;
    *at = i > 0 ? p->snapshot[i - 1].pos : 0;
    if (*at < p->known && pos > 0) return false;
    if (i > 0) copy_state(s, (place){ .kept = &p->snapshot[i - 1] }, current);
    else clear_state(s, current);
    return true;
}

/* The session stands at pos now: what lies behind has never been. */
static void stand_at(bamba_session *s, size_t pos, bool by_log)
{
    bb_past *p = &s->past;

    s->position = pos;
    bb_pages_keep(&s->pages, pos > 0 ? bb_graph_n_pages(bb_window_place(s, pos)) : 0);
    while (p->n_taken > 0 && p->snapshot[p->n_taken - 1].pos > pos)
        p->snapshot[--p->n_taken].is_valid = false;
    if (!by_log) {
        bb_past_forget(p, pos, false);
        return;
    }
    if (p->near.pos > pos) p->near.is_valid = false;
    if (p->before > pos) p->has_before = false;
}

static bb_status check(const bamba_engine *e, const bamba_session *s, size_t position,
                       bamba_error *err)
{
    if (!e || !s) return bb_fail(err, BAMBA_ERR_ARGUMENT, "rewind: the engine or session is NULL");
    if (s->model != e->model)
        return bb_fail(err, BAMBA_ERR_ARGUMENT, "rewind: the session belongs to another model");
    if (e->in_call)
        return bb_fail(err, BAMBA_ERR_ARGUMENT, "rewind: a callback uses the engine it belongs to");
    if (s->spoilt)
        return bb_fail(err, BAMBA_ERR_NUMBER, "rewind: the session holds numbers that are not "
                       "finite since an earlier call: expected it to be reset");
    if (position > s->position)
        return bb_fail(err, BAMBA_ERR_ARGUMENT, "rewind: expected a position up to %zu, found %zu",
                       s->position, position);
    return BAMBA_OK;
}

bamba_status bamba_session_rewind(bamba_engine *e, bamba_session *s, size_t position,
                                  bamba_error *err)
{
    const bb_status status = check(e, s, position, err);

    if (status != BAMBA_OK || position == s->position) return status;
    size_t     at = replay_end(s, position);
    const bool by_log = bb_window_reaches(s, at)
        && (s->past.state_bytes == 0 || go_by_log(e, s, at));
    if (!by_log && !go_by_snapshot(s, position, &at))
        return bb_fail(err, BAMBA_ERR_ARGUMENT, "rewind: expected a position from %zu on, "
                       "since the session was filled without tokens, found %zu",
                       s->past.begin, position);
    stand_at(s, at, by_log);
    return at == position ? BAMBA_OK : bb_feed_again(e, s, position, err);
}
