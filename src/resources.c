/* resources.c - what this process may use of the machine: the public face of base/system. */
#include "bamba_measure.h"

#include "base/system.h"
#include "base/threads.h"

uint64_t bamba_free_memory(void) { return bb_system_memory(); }

int bamba_default_threads(void) { return bb_threads_default(); }

double bamba_cpu_quota(void) { return bb_system_quota(); }

uint64_t bamba_cpu_throttled(void) { return bb_system_throttled(); }
