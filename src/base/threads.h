/* threads.h - who starts threads: OpenMP (threads_openmp.c) or pthreads (threads_pthread.c).
 *
 * Owns:    starting and joining the threads of a team, the default number of threads, loops without
 *          deadlines. Threads started here have all signals blocked: the host's are for the host.
 * Not:     what threads of a team do, and when (team.c, stages.c); the caller's affinity.
 * Errors:  told as the number of threads there are; a loop runs on the caller where there are none.
 */
#ifndef BB_BASE_THREADS_H
#define BB_BASE_THREADS_H

#include "base/alloc.h"

typedef struct bb_threads bb_threads;

/* Start run(context, i) for i = 1 … n-1, each on a thread of its own. Returns how many of the n
   threads there are, counting the caller as thread 0; 0: out of memory. If fewer than n, those that
   started must be made to return; in any case *out goes to bb_threads_join. */
int  bb_threads_start(bb_threads **out, const bb_allocator *a, int n,
                      void (*run)(void *context, int thread), void *context);

/* Wait until every `run` has returned, and release what the threads took. NULL is nothing. */
void bb_threads_join(bb_threads *t);

/* Whether the user said where threads go (OMP_PROC_BIND, OMP_PLACES), so they must stay there. */
bool bb_threads_are_placed(const bb_threads *t);

/* Threads of a team or loop if nobody says how many: the physical cores that the process may use;
   with OpenMP at most OMP_NUM_THREADS and OMP_THREAD_LIMIT, as the environment has them: what the
   host sets by omp_set_num_threads is for its own regions. */
int  bb_threads_default(void);

/* Run run(context, i) once for each i = 0 … n-1, in any order, on at most n_threads threads.
   Returns when all are done. The floating-point mode is fpmode.h's inside; the caller's mode and
   errno come back. */
void bb_loop(int n_threads, int n, void (*run)(void *context, int i), void *context);

#endif
