/* attend_groups.c - which rows of a pass attend together, and how what they see is cut.
 *
 * A pass of few rows cuts the positions of a row into at most 16 ranges, whose parts of the softmax
 * are joined in a second stage: so one deep sequence has work for every thread. Where the cuts are
 * depends on the row's position alone. Passes of many rows have tiles enough: one range. */
#include "mixer/attend_internal.h"

#include <limits.h>

enum { RANGE = 1024 };                    /* positions of a range, at least */

typedef bb_attend_cut   cut;
typedef bb_attend_group group;

/* Ranges of a row at pos are doubled until BB_ATTEND_RANGES are enough. */
static cut cut_at(const bb_exec *e, const bb_segment *seg, int pos)
{
    const bool windowed = seg->window > 0 && pos - seg->sink >= seg->window;
    const int  least = windowed ? pos - seg->window + 1 : 0;
    int        range = e->pass->many ? INT_MAX : RANGE;

    while (pos / range - least / range >= BB_ATTEND_RANGES) range *= 2;
    return (cut){ range, least / range, windowed ? seg->window : INT_MAX,
                  windowed && seg->sink > 0 };
}

static bool is_cut_alike(cut a, cut b)
{
    return a.range == b.range && a.first == b.first && a.window == b.window;
}

static group group_from(const bb_exec *e, const bb_segment *seg, int first)
{
    const int left = seg->n_rows - first;
    const int pos = seg->pos + first;
    group     g = { seg, first, left < BB_ATTEND_ROWS ? left : BB_ATTEND_ROWS,
                    cut_at(e, seg, pos), 1 };

    while (!is_cut_alike(g.cut, cut_at(e, seg, pos + g.n_rows - 1))) g.n_rows--;
    g.n_ranges = (pos + g.n_rows - 1) / g.cut.range - g.cut.first + 1;
    return g;
}

bb_attend_group bb_attend_first_group(const bb_exec *e)
{
    return group_from(e, e->pass->segment, 0);
}

bool bb_attend_next_group(const bb_exec *e, bb_attend_group *g)
{
    const bb_segment *seg = g->seg;
    int               first = g->first + g->n_rows;

    if (first == seg->n_rows) {
        seg++;
        first = 0;
    }
    if (seg == e->pass->segment + e->pass->n_segments) return false;
    *g = group_from(e, seg, first);
    return true;
}
