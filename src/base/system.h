/* system.h - what the operating system leaves this process.
 *
 * Owns:    reading /proc, /sys and the cgroup for memory and processors.
 * Errors:  what cannot be read limits nothing.
 */
#ifndef BB_BASE_SYSTEM_H
#define BB_BASE_SYSTEM_H

#include "base/error.h"

/* Refuse to allocate `bytes` for `what` when the machine does not have them. */
bb_status bb_system_check_memory(const char *what, uint64_t bytes, bamba_error *err);

/* Bytes that can be allocated before the machine swaps or the cgroup kills; UINT64_MAX if not
   known. */
uint64_t bb_system_memory(void);

/* Nanoseconds since some moment; never goes back. */
uint64_t bb_system_now_ns(void);

/* Physical cores within the caller's affinity mask and the cgroup's processor quota; at least 1. */
int bb_system_cores(void);

/* Physical cores among processors cpu[0 … n-1] and within the quota; at least 1. */
int bb_system_cores_among(const int *cpu, int n);

#endif
