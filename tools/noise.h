/* noise.h - what disturbed the machine while something was measured.
 *
 * Owns:    reading the system's counters of processor time.
 * Not:     what is done about it.
 */
#ifndef BAMBA_TOOLS_NOISE_H
#define BAMBA_TOOLS_NOISE_H

#include <stddef.h>
#include <stdint.h>

typedef struct noise {
    double   wall_s;
    uint64_t busy, stolen;                /* ticks of all processors                          */
    uint64_t own;                         /* ticks of this process                            */
    uint64_t throttled;                   /* times the quota stopped the control group        */
    int      cores;                       /* this process may use                             */
} noise;

noise noise_now(void);

/* Write what has disturbed n_threads threads since `since` as one phrase; an empty text if nothing
   is known to have. */
void noise_explain(const noise *since, int n_threads, char *out, size_t size);

#endif
