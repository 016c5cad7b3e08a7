/* window.c - sessions whose attention sees a window and a sink: which pages they keep. */
#include "window.h"

/* Rows of a pass that the session has room of its own for, and of any pass. */
enum { USUAL_ROWS = 512, MOST_ROWS = 65536 };

/* Positions before those that rows to come see which the way back needs: within a segment some rows
   are fed again. */
static size_t margin_of(const bamba_session *s)
{
    return s->past.n_rewind > 0 ? s->past.n_rewind + BB_FEW_ROWS : 0;
}

static size_t min_size(size_t a, size_t b) { return a < b ? a : b; }

bb_page_plan bb_window_plan(const bamba_session *s, size_t n_context)
{
    const bb_graph *g = s->model->graph;
    const size_t    all = bb_graph_page_bytes(g, g->n_slots) > 0 ? bb_graph_n_pages(n_context) : 0;
    const size_t    fixed = bb_graph_n_pages(s->sink);
    const size_t    back = s->window + min_size(margin_of(s), n_context);

    if (s->window == 0) return (bb_page_plan){ all, all, 0 };
    const size_t own = min_size(all, fixed + bb_graph_n_pages(back + USUAL_ROWS) + 1);
    const size_t most = min_size(all, fixed + bb_graph_n_pages(back + MOST_ROWS) + 1);
    return (bb_page_plan){ most, own, own > fixed ? fixed : 0 };
}

/* Pages that rows from `position` on, and `margin` positions before it, do not see. */
static size_t count_gone(const bamba_session *s, size_t position, size_t margin)
{
    const size_t seen = s->window + margin, fixed = bb_graph_n_pages(s->sink);

    if (s->window == 0 || position < seen) return 0;
    const size_t first = (position - seen + 1) / BB_KV_BLOCK;
    return first > fixed ? first - fixed : 0;
}

size_t bb_window_gone(const bamba_session *s, size_t position)
{
    return count_gone(s, position, 0);
}

size_t bb_window_held(const bamba_session *s, size_t position)
{
    return position - bb_window_gone(s, position) * BB_KV_BLOCK;
}

bool bb_window_reaches(const bamba_session *s, size_t position)
{
    return position == 0 || bb_window_gone(s, position) >= s->pages.n_gone;
}

void bb_window_slide(bamba_session *s)
{
    const size_t gone = count_gone(s, s->position, margin_of(s));

    if (s->pages.n_pages > 0 && gone > s->pages.n_gone)
        bb_pages_drop(&s->pages, gone - s->pages.n_gone);
}
