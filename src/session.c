/* session.c - what one sequence remembers: a block of states, a slot for each stateful mixer, and
 * pages for what attention remembers. */
#include "adapters.h"
#include "rewind.h"
#include "window.h"

#include "base/options.h"
#include "base/system.h"

#include <limits.h>
#include <string.h>

enum { DEFAULT_CONTEXT = 4096 };

/* Run on a measuring arena first, then on the real one. A slot's second state is touched when the
   first pass that may be undone writes it. */
static void carve(bamba_session *s, bb_arena *a)
{
    const bb_graph *g = s->model->graph;
    bb_slot        *slot = bb_take(a, g->n_slots, sizeof *slot);

    for (int i = 0; i < 2; i++)
        for (size_t n = 0; n < g->n_slots; n++) {
            void *state = bb_take(a, bb_graph_state_bytes(g, n), 1);
            if (slot) slot[n].state[i] = state;
        }
    for (size_t n = 0; n < g->n_slots && slot; n++) {
        slot[n].cache = (bb_pages){ s->pages.page, bb_graph_page_bytes(g, n) };
        slot[n].log = NULL;
    }
    s->slot = slot;
    bb_past_carve(&s->past, g, a);
}

static bb_status no_memory(size_t bytes, bamba_error *err)
{
    return bb_fail(err, BAMBA_ERR_MEMORY, "session: out of memory: expected %zu MiB", bytes >> 20);
}

static bb_status allocate_block(bamba_session *s, bamba_error *err)
{
    const bb_graph *g = s->model->graph;
    const size_t    page_bytes = bb_graph_page_bytes(g, g->n_slots);
    const bb_page_plan plan = bb_window_plan(s, s->n_context);
    const size_t    in_pages = bb_pages_bytes(&plan, page_bytes);
    bb_arena        a = BB_MEASURE;

    a.plain = true;
    carve(s, &a);
    if (a.overflow || in_pages > SIZE_MAX - a.used)
        return bb_fail(err, BAMBA_ERR_MEMORY, "session: a context of %zu tokens is too large",
                       s->n_context);
    const size_t bytes = a.used;
    s->block = bb_allocate(&s->alloc, bytes, 1);
    if (!s->block || !bb_pages_create(&s->pages, &s->alloc, &plan, page_bytes))
        return no_memory(bytes + in_pages, err);
    bb_advise_huge(&s->alloc, s->block, bytes);
    a = (bb_arena){ .base = s->block, .size = bytes, .plain = true };
    carve(s, &a);
    return BAMBA_OK;
}

/* Whether what a session remembers grows with its text. Asked of the whole network: its parts, run
   by several models, have the same limit. */
static bool has_limit(const bb_graph *g)
{
    for (size_t i = 0; i < g->n_mixers; i++)
        if (g->mixer[i]->kind->page_bytes) return true;
    return false;
}

bb_status bb_session_options_read(bamba_session_options *o, const bamba_session_options *given,
                                  bamba_error *err)
{
    const bb_status status = bb_read_options(o, sizeof *o,
                                             offsetof(bamba_session_options, n_rewind), given,
                                             "session options", err);
    if (status != BAMBA_OK) return status;
    if (o->n_window > BB_MOST_POSITIONS / 2 || o->n_sink < -1 || o->n_sink > BB_MOST_POSITIONS / 2)
        return bb_fail(err, BAMBA_ERR_ARGUMENT, "session: expected n_window <= %d and n_sink from "
                       "-1 to %d, found %zu and %d", BB_MOST_POSITIONS / 2, BB_MOST_POSITIONS / 2,
                       o->n_window, o->n_sink);
    if (o->n_window == 0 && o->n_sink != 0)
        return bb_fail(err, BAMBA_ERR_ARGUMENT, "session: expected an n_window beside an n_sink of "
                       "%d, found 0", o->n_sink);
    return BAMBA_OK;
}

static void plan_past(bamba_session *s, const bamba_session_options *o, size_t n_context)
{
    bb_past_plan(&s->past, s->model->graph, n_context, o->n_rewind, o->snapshot_tokens,
                 o->snapshot_bytes);
}

/* What attention is to see; a network without any sees no less. */
static void set_window(bamba_session *s, const bamba_session_options *o)
{
    if (o->n_window == 0 || !has_limit(s->model->graph)) return;
    s->window = o->n_window;
    s->sink = o->n_sink == 0 ? BB_USUAL_SINK : o->n_sink < 0 ? 0 : (size_t)o->n_sink;
}

static size_t context_of(const bamba_session *s, size_t wanted)
{
    const bamba_model *m = s->model;

    return wanted ? wanted
         : !has_limit(m->graph) ? SIZE_MAX
         : s->window > 0 ? BB_MOST_POSITIONS
         : m->n_context ? (size_t)m->n_context : DEFAULT_CONTEXT;
}

/* Fix the sizes that the options give. */
static void plan_session(bamba_session *s, const bamba_session_options *o)
{
    set_window(s, o);
    s->n_context = context_of(s, o->n_context);
    plan_past(s, o, o->n_context == 0 && s->window > 0 ? SIZE_MAX : s->n_context);
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
    BB_TRY(bb_session_options_read(&o, options, err));
    const bool limited = has_limit(model->graph);
    if (limited && o.n_context > BB_MOST_POSITIONS) {
        status = bb_fail(err, BAMBA_ERR_ARGUMENT, "session: expected n_context <= %d, found %zu",
                         BB_MOST_POSITIONS, o.n_context);
        goto done;
    }
    a = model->alloc;
    if (o.allocator.allocate || o.allocator.release)
        BB_TRY(bb_allocator_resolve(&a, &o.allocator, err));
    BB_TRY(bb_system_check_memory("session", bb_graph_session_bytes(model->graph, 1), err));

    s = bb_new(&a, 1, sizeof *s);
    if (!s) {
        status = bb_fail(err, BAMBA_ERR_MEMORY, "session: out of memory");
        goto done;
    }
    s->alloc = a;
    s->model = model;
    plan_session(s, &o);
    BB_TRY(allocate_block(s, err));
    bamba_session_reset(s);
    BB_TRY(bb_adapters_give(s, o.adapters, o.n_adapters, err));
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
    if (s->past.grows) {
        bb_release(&a, s->past.token);
        bb_release(&a, s->past.fed);
    }
    bb_release(&a, s->extras);
    bb_release(&a, s->adapter);
    bb_pages_free(&s->pages);
    bb_release(&a, s->block);
    bb_release(&a, s);
}

void bamba_session_reset(bamba_session *s)
{
    if (!s) return;
    const bb_graph *g = s->model->graph;
    for (size_t i = 0; i < g->n_slots; i++) {
        const size_t n = bb_graph_state_bytes(g, i);
        if (n) memset(s->slot[i].state[s->current], 0, n);
    }
    bb_pages_keep(&s->pages, 0);
    bb_past_forget(&s->past, 0, true);
    s->past.known = 0;
    s->position = 0;
    s->length = s->n_context < INT_MAX ? (int)s->n_context : INT_MAX;
    if (s->window > 0 && s->sink + s->window < s->n_context) s->length = (int)(s->sink + s->window);
    s->spoilt = false;
}

uint64_t bamba_session_bytes(const bamba_model *model, const bamba_session_options *options,
                             size_t n_positions)
{
    bamba_session_options o = BAMBA_SESSION_OPTIONS;
    bamba_session         s = { .model = model };
    bb_arena              a = BB_MEASURE;

    if (!model || bb_session_options_read(&o, options, NULL) != BAMBA_OK) return 0;
    set_window(&s, &o);
    plan_past(&s, &o, n_positions);
    a.plain = true;
    carve(&s, &a);
    const bb_graph    *g = model->graph;
    const bb_page_plan plan = bb_window_plan(&s, n_positions);
    const size_t       in_pages = bb_pages_bytes(&plan, bb_graph_page_bytes(g, g->n_slots));
    return a.overflow || in_pages > SIZE_MAX - a.used - sizeof s ? UINT64_MAX
         : a.used + in_pages + sizeof s;
}

const int32_t *bamba_session_tokens(const bamba_session *s)
{
    return s && s->position > 0 && s->past.known == 0 ? s->past.token : NULL;
}

size_t bamba_session_position(const bamba_session *s) { return s ? s->position : 0; }

size_t bamba_session_room(const bamba_session *s) { return s ? s->n_context - s->position : 0; }

/* All that `to` remembers but the pages is what `from` remembers; its past has room for it. */
static void remember(bamba_session *to, const bamba_session *from)
{
    const bb_graph *g = to->model->graph;
    const size_t    n = from->position - from->past.known;

    for (size_t i = 0; i < g->n_slots; i++)
        memcpy(to->slot[i].state[to->current], from->slot[i].state[from->current],
               bb_graph_state_bytes(g, i));
    if (n > 0) memcpy(to->past.token, from->past.token, n * sizeof *to->past.token);
    if (n > 0) memcpy(to->past.fed, from->past.fed, n);
    to->past.known = from->past.known;
    to->position = from->position;
    to->length = from->length;
    to->spoilt = from->spoilt;
    bb_rewind_begin(to);
}

static bb_status check_window(const char *what, const bamba_session *from, const bamba_session *to,
                              bamba_error *err)
{
    if (to->window == from->window && to->sink == from->sink) return BAMBA_OK;
    return bb_fail(err, BAMBA_ERR_ARGUMENT, "session %s: expected a window of %zu and a sink of "
                   "%zu, found %zu and %zu", what, from->window, from->sink, to->window, to->sink);
}

bamba_status bamba_session_copy(bamba_session *to, const bamba_session *from, bamba_error *err)
{
    if (!to || !from) return bb_fail(err, BAMBA_ERR_ARGUMENT, "session copy: a session is NULL");
    if (to->model != from->model)
        return bb_fail(err, BAMBA_ERR_ARGUMENT, "session copy: the sessions' models differ");
    if (from->position > to->n_context)
        return bb_fail(err, BAMBA_ERR_FULL, "session copy: expected a context of at least %zu, "
                       "found %zu", from->position, to->n_context);
    const bb_status status = check_window("copy", from, to, err);
    if (status != BAMBA_OK || to == from) return status;
    to->past.known = from->past.known;
    const size_t n_pages = bb_graph_n_pages(bb_window_held(from, from->position));
    bb_pages_begin(&to->pages, bb_window_gone(from, from->position));
    if (!bb_adapters_copy(to, from) || !bb_past_reserve(&to->past, &to->alloc, from->position)
        || !bb_pages_write(&to->pages, 0, n_pages, false)) {
        bamba_session_reset(to);
        return bb_fail(err, BAMBA_ERR_MEMORY, "session copy: out of memory");
    }
    const size_t skip = to->pages.n_gone - from->pages.n_gone;
    for (size_t i = 0; to->pages.n_pages > 0 && i < n_pages; i++)
        memcpy(to->pages.page[i], from->pages.page[i < to->pages.n_fixed ? i : i + skip],
               to->pages.page_bytes);
    remember(to, from);
    return BAMBA_OK;
}

bamba_status bamba_session_fork(bamba_session **out, const bamba_session *from,
                                const bamba_session_options *options, bamba_error *err)
{
    bamba_session_options o = BAMBA_SESSION_OPTIONS;
    bb_status             status = BAMBA_OK;
    bamba_session        *s = NULL;

    if (!out || !from)
        return bb_fail(err, BAMBA_ERR_ARGUMENT, "session fork: %s is NULL", out ? "from" : "out");
    *out = NULL;
    BB_TRY(bb_session_options_read(&o, options, err));
    if (o.n_context == 0) o.n_context = from->past.grows ? 0 : from->n_context;
    if (o.n_window == 0 && from->window > 0) {
        o.n_window = from->window;
        o.n_sink = from->sink > 0 ? (int)from->sink : -1;
    }
    BB_TRY(bamba_session_create(&s, from->model, &o, err));
    if (from->position > s->n_context)
        status = bb_fail(err, BAMBA_ERR_FULL, "session fork: expected a context of at least "
                         "%zu, found %zu", from->position, s->n_context);
    else if ((status = check_window("fork", from, s, err)) != BAMBA_OK)
        goto done;
    else if (o.n_adapters > 0)
        status = bb_fail(err, BAMBA_ERR_ARGUMENT, "session fork: expected no adapters: it has "
                         "those of the session it comes from");
    else if (!bb_adapters_copy(s, from) || !bb_past_reserve(&s->past, &s->alloc, from->position))
        status = bb_fail(err, BAMBA_ERR_MEMORY, "session fork: out of memory");
    if (status != BAMBA_OK) goto done;
    bb_pages_share(&s->pages, &from->pages,
                   bb_window_gone(from, from->position) - from->pages.n_gone,
                   bb_graph_n_pages(bb_window_held(from, from->position)));
    remember(s, from);
    *out = s;
    s = NULL;
done:
    bamba_session_free(s);
    return status;
}

bamba_status bamba_session_fill(bamba_session *s, size_t n_positions, uint64_t seed,
                                bamba_error *err)
{
    if (!s) return bb_fail(err, BAMBA_ERR_ARGUMENT, "session fill: the session is NULL");
    if (n_positions > s->n_context)
        return bb_fail(err, BAMBA_ERR_FULL, "session fill: expected at most %zu positions, found "
                       "%zu", s->n_context, n_positions);

    const bb_graph   *g = s->model->graph;
    const size_t      n_held = bb_window_held(s, n_positions);
    const uint64_t    needed = bb_graph_session_bytes(g, n_held);
    const uint64_t    held = bb_graph_session_bytes(g, bb_window_held(s, s->position));
    const bb_status   status = needed <= held ? BAMBA_OK
                             : bb_system_check_memory("session fill", needed - held, err);

    if (status != BAMBA_OK) return status;
    float *scratch = bb_allocate(&s->alloc, bb_graph_scratch_floats(g) + 1, sizeof *scratch);
    bamba_session_reset(s);
    bb_pages_begin(&s->pages, bb_window_gone(s, n_positions));
    if (!scratch || !bb_pages_write(&s->pages, 0, bb_graph_n_pages(n_held), false)) {
        bamba_session_reset(s);
        bb_release(&s->alloc, scratch);
        return bb_fail(err, BAMBA_ERR_MEMORY, "session fill: out of memory");
    }
    for (size_t i = 0; n_positions > 0 && i < g->n_slots; i++)
        if (g->slot[i])
            g->slot[i]->kind->fill(g->slot[i], &s->model->kernels, seed, n_held,
                                   s->slot[i].state[s->current], &s->slot[i].cache, scratch);
    bb_release(&s->alloc, scratch);
    s->past.known = n_positions;
    bb_past_forget(&s->past, n_positions, true);
    s->position = n_positions;
    return BAMBA_OK;
}
