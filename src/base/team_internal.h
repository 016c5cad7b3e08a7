/* team_internal.h - what a team consists of: for team.c, stages.c and placement.c.
 *
 * Tiles are numbered within a stage, and stages within the life of a team. Each member has a word
 * `next` that says which tile of its part of which stage is to be taken next. A word of an earlier
 * stage means that nothing of this part has been taken, so nobody has to prepare a stage.
 */
#ifndef BB_BASE_TEAM_INTERNAL_H
#define BB_BASE_TEAM_INTERNAL_H

#include "base/team.h"
#include "base/threads.h"

#include <stdatomic.h>
#include <stdint.h>

#ifdef __linux__
#  include <sched.h>
typedef cpu_set_t bb_affinity;
#else
typedef int bb_affinity;
#endif

enum { BB_CACHE_LINE = 64 };
enum { BB_LOOKS = 16 };                   /* at a word, between two looks at the clock */
enum { BB_STAGE_SPIN_NS = 20000 };        /* that a thread waits before it sleeps */

/* What is not atomic belongs to the member's thread; between calls, to the caller. */
typedef struct bb_member {
    _Alignas(BB_CACHE_LINE) _Atomic uint64_t next;    /* stage << 32 | tile */
    _Alignas(BB_CACHE_LINE) _Atomic uint64_t offer;   /* tiles that others may repeat; 0: none */
    _Alignas(BB_CACHE_LINE) uint32_t stage;           /* number of the one it is in */
    uint32_t   target;                    /* value of the team's `done` when that stage is over */
    uint32_t   n_done;                    /* tiles done here that `done` does not count yet */
    uint32_t   n_own;                     /* tiles of this stage done here */
    uint64_t   begin_ns;                  /* when this thread began a repeatable stage */
    _Atomic uint64_t moved_ns;            /* when it was last moved to another processor */
    atomic_int tid;                       /* the system's number of it; 0: thread 0, or unknown */
    int        thread;
} bb_member;

struct bb_team {
    _Alignas(BB_CACHE_LINE) atomic_uint done;         /* tiles; wakes threads in a stage */
    atomic_int   n_waiting;               /* threads that sleep on `done` */
    _Alignas(BB_CACHE_LINE) _Atomic uint64_t door;    /* see team.c */
    atomic_uint  n_calls;                 /* wakes idle threads */
    atomic_int   n_idle;                  /* threads that sleep on `n_calls` */
    atomic_uint  n_exits;                 /* wakes the caller when the last thread leaves a call */
    atomic_bool  quit;
    void       (*body)(void *context, int thread);
    void        *context;
    uint32_t     first_stage, first_target;           /* of each thread, as a call begins */
    int          n_threads;
    bool         is_pinned;
    bool         may_move;                /* threads of the team may go to another processor */
    bb_allocator alloc;
    bb_member   *member;                  /* [n_threads] */
    atomic_int  *cpu;                     /* [n_threads] as its stage began; -1: in no call */
    bb_threads  *threads;
};

/* Bind the calling thread to the i-th of the processors it may use, counted round. Returns true if
   *before holds the affinity that bb_unpin restores. */
bool bb_pin(int i, bb_affinity *before);
void bb_unpin(const bb_affinity *before);

/* Note the system's number of the calling thread, m's. */
void bb_identify(bb_member *m);

/* Note the processor that the calling thread, m's, is on. If another of the team is there too,
   move m's to one that has none, or the other if m's is thread 0, which is the host's. */
void bb_spread(bb_team *t, bb_member *m);

#endif
