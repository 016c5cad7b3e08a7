/* loops.c - whether a text goes round in circles. */
#include "loops.h"

size_t loops_find(const int32_t *ids, size_t n)
{
    for (size_t period = 1; period <= LOOPS_LONGEST; period++) {
        const size_t all = LOOPS_TIMES * period > LOOPS_FEWEST ? LOOPS_TIMES * period
                                                               : LOOPS_FEWEST;
        size_t       same = 0;

        if (n < all) return n;
        while (same < all - period && ids[n - 1 - same] == ids[n - 1 - same - period]) same++;
        if (same == all - period) return n - all + period;
    }
    return n;
}
