/* threads_start.h - one POSIX thread, for both files that start threads. */
#ifndef BB_BASE_THREADS_START_H
#define BB_BASE_THREADS_START_H

#include <stdbool.h>
#include <sys/types.h>                  /* pthread_t */

/* Start a thread with all signals blocked; the caller's mask stays as it is. false: not started. */
bool bb_threads_start_one(pthread_t *handle, void *(*run)(void *), void *context);

#endif
