/* fault.h - an allocator that counts, fails on request, and knows what was not released.
 *
 * Owns:    bamba_allocator for tests. Fresh memory is filled with 0xA5, released with 0x5A.
 * Not:     threads: the library calls an allocator from one thread at a time.
 * Errors:  an allocation while armed, a block released twice or never allocated: abort().
 */
#ifndef SUPPORT_FAULT_H
#define SUPPORT_FAULT_H

#include "bamba.h"

#include <stdbool.h>

typedef struct fault {
    size_t n_calls;                       /* allocations asked for so far, refused ones too */
    size_t n_refused;
    size_t n_live;                        /* blocks not released */
    size_t live_bytes;
    size_t peak_bytes;
    size_t fail_at;                       /* number of the call to refuse, from 1; 0 = none */
    bool   forever;                       /* refuse all later calls too */
    bool   armed;                         /* abort on any call: proves that nothing allocates */
} fault;

/* f must outlive what is allocated through it. */
bamba_allocator fault_allocator(fault *f);

#endif
