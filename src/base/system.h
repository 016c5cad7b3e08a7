/* system.h - what the operating system leaves this process.
 *
 * Owns:    reading /proc, /sys and the control groups of this process for memory and processors.
 * Errors:  what cannot be read limits nothing. errno is kept.
 */
#ifndef BB_BASE_SYSTEM_H
#define BB_BASE_SYSTEM_H

#include "base/error.h"

/* Refuse to allocate `bytes` for `what` when the machine does not have them. */
bb_status bb_system_check_memory(const char *what, uint64_t bytes, bamba_error *err);

/* Bytes that can be allocated before the machine swaps or a control group ends the process;
   cached files count as free. UINT64_MAX if not known. */
uint64_t bb_system_memory(void);

/* Nanoseconds since some moment; never goes back. */
uint64_t bb_system_now_ns(void);

/* Processors' worth of time that the control groups grant, 0 if they do not limit it. */
double bb_system_quota(void);

/* How often such a grant was used up and the groups of this process had to wait. */
uint64_t bb_system_throttled(void);

/* Physical cores within the affinity mask and, rounded up, the quota of the control groups; at
   least 1. */
int bb_system_cores(void);

/* Physical cores among processors cpu[0 … n-1], within the quota as bb_system_cores counts it. */
int bb_system_cores_among(const int *cpu, int n);

/* For tests: what the functions above say of a tree of files under root, as
   root/proc/self/cgroup. */
uint64_t bb_system_memory_in(const char *root);
double   bb_system_quota_in(const char *root);
uint64_t bb_system_throttled_in(const char *root);
int      bb_system_cores_in(const char *root);

#endif
