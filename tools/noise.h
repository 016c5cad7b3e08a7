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
    double             wall_s;
    unsigned long long busy, stolen;      /* ticks of all processors                          */
    unsigned long long own;               /* ticks of this process                            */
    unsigned long long throttled;         /* times the quota stopped the control group        */
    int                cores;             /* that this process may use                        */
} noise;

noise noise_now(void);

/* Writes what has disturbed n_threads threads since `since` as one phrase; an empty text if nothing
   is known to have. */
void noise_explain(const noise *since, int n_threads, char *out, size_t size);

/* Reads the first line of a file that fits a scanf format; returns how many values it gave, 0 if
   there is no such line. */
int noise_scan(const char *path, const char *format, ...)
    __attribute__((format(scanf, 2, 3)));

#endif
