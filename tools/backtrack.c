/* backtrack.c - tokens that may not be chosen at a place. */
#include "backtrack.h"

#include <math.h>
#include <string.h>

bool backtrack_ban(backtrack *b, size_t place, int32_t id)
{
    size_t n = 0;

    for (size_t i = 0; i < b->n_banned; i++)
        if (b->banned[i].place <= place) b->banned[n++] = b->banned[i];
    b->n_banned = n;
    if (n == BACKTRACK_MOST) return false;
    b->banned[n].place = place;
    b->banned[n].id = id;
    b->n_banned = n + 1;
    return true;
}

bool backtrack_apply(const backtrack *b, size_t place, const float *logits, size_t n_vocab,
                     float *out)
{
    bool any = false;

    for (size_t i = 0; i < b->n_banned; i++) {
        if (b->banned[i].place != place) continue;
        if (!any) memcpy(out, logits, n_vocab * sizeof *out);
        any = true;
        out[b->banned[i].id] = -INFINITY;
    }
    return any;
}
