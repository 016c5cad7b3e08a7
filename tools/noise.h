/* noise.h - who else was at work while something was measured.
 *
 * Owns:    reading the system's accounts.
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
    uint64_t throttled;                   /* times the control group was stopped by quota    */
    int      cores;                       /* this process may use                             */
} noise;

noise noise_now(void);

/* What disturbed `n_threads` threads since then, in a phrase; empty if nothing is known to. */
void noise_explain(const noise *since, int n_threads, char *out, size_t size);

#endif
